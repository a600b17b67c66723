"""The participant's rules over the whole product of what can be: no state without an answer, no answer that claims."""

import hashlib
from datetime import UTC, datetime, timedelta
from itertools import product

import msgspec

from saga.contract import Effect
from saga.core.messages import CommandMessage, Kind, RefusedCode
from saga.participant.rules import (
    Busy,
    InboxRow,
    NothingToUndo,
    Probe,
    ProbeAction,
    Refuse,
    Replay,
    RowStatus,
    Run,
    Tombstone,
    UndoFromPayload,
    UndoWithStored,
    admit,
    admit_undo,
    admit_undone,
    payload_hash,
)

NOW = datetime(2026, 5, 1, tzinfo=UTC)
KEY = "a" * 32
ACTION_KEY = "b" * 32
EFFECTS = list(Effect)
STATES = ["none", "live", "stale", "ok", "failed", "cancelled"]
"""Of a row: there is none, or it is in progress with or without a lease, or it is settled."""


def a_command(kind: Kind = Kind.ACTION, *, expired: bool = False, undoes_outcome: str = "unknown") -> CommandMessage:
    """A command that came in."""
    undo = kind is Kind.COMPENSATION
    return CommandMessage(
        saga="0197f3a0-0000-7000-8000-000000000001",
        saga_name="order",
        saga_version=1,
        business_key="",
        path="pay",
        kind=kind,
        execution=1,
        attempt=1,
        service="bank",
        command="Pay",
        command_version=1,
        message_id="m",
        key=KEY,
        body=b"{}",
        undoes=ACTION_KEY if undo else None,
        undoes_outcome=undoes_outcome if undo else None,
        expires_at=NOW if expired else NOW + timedelta(seconds=1),
    )


def a_row(state: str, *, same: bool = True, key: str = KEY, kept: bool = True) -> InboxRow | None:
    """What the inbox holds in that state. `kept=False`: the tombstone of something that never came."""
    if state == "none":
        return None
    status = RowStatus.IN_PROGRESS if state in {"live", "stale"} else RowStatus(state)
    leases = {"live": NOW + timedelta(seconds=1), "stale": NOW}
    return InboxRow(
        key=key,
        status=status,
        command_type="bank.Pay.v1" if kept else None,
        command_hash=payload_hash(b"{}" if same else b"[]") if kept else None,
        owner="o",
        lease_until=leases.get(state),
    )


def test_every_state_of_a_key_has_one_answer() -> None:
    """The table of the wire contract: the key before the expiry, the expiry before the handler."""
    for state, effect, expired, same in product(STATES, EFFECTS, [True, False], [True, False]):
        row = a_row(state, same=same)
        got = admit(a_command(expired=expired), effect, row, NOW)
        wanted = expected(effect, row, state, expired=expired, same=same)
        assert got == wanted, (state, effect, expired, same)


def expected(effect: Effect, row: InboxRow | None, state: str, *, expired: bool, same: bool) -> object:
    """The same table, written as one reads it."""
    if effect is Effect.READ_ONLY or row is None:
        return refusal(RefusedCode.EXPIRED) if expired else Run()
    if not same:
        return refusal(RefusedCode.KEY_REUSED)
    if state == "stale":
        return {
            Effect.PROBE: Probe(row, expired),
            Effect.PROVIDER_KEY: refusal(RefusedCode.EXPIRED) if expired else Run(row),
            Effect.AT_MOST_ONCE: refusal(RefusedCode.IN_DOUBT),
            Effect.INBOX: refusal(RefusedCode.IN_DOUBT),
        }[effect]
    return {
        "live": Busy(),
        "ok": Replay(row),
        "failed": Replay(row),
        "cancelled": refusal(RefusedCode.CANCELLED),
    }[state]


class refusal:  # noqa: N801 - reads as a value above
    """Equal to any refusal with this code that says why."""

    def __init__(self, code: RefusedCode) -> None:
        self._code = code

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Refuse) and other.code is self._code and bool(other.message)

    def __hash__(self) -> int:
        return hash(self._code)

    def __repr__(self) -> str:
        return f"refusal({self._code})"


def test_every_state_of_an_action_has_one_undo() -> None:
    """What there is to undo, for each state the action's key can be in."""
    for state, effect, outcome in product(STATES, [*EFFECTS, None], ["ok", "unknown"]):
        action = a_row(state, key=ACTION_KEY)
        got = admit_undone(a_command(Kind.COMPENSATION, undoes_outcome=outcome), action, effect, NOW)
        assert got == expected_undo(state, action, effect, outcome), (state, effect, outcome)


def expected_undo(state: str, action: InboxRow | None, effect: Effect | None, outcome: str) -> object:
    """The same table, written as one reads it."""
    if action is None:
        return UndoFromPayload() if outcome == "ok" else Tombstone()
    if state == "stale":
        if effect is Effect.PROBE:
            return ProbeAction(action)
        known = effect is Effect.PROVIDER_KEY or outcome == "ok"
        return UndoWithStored(action, unsettled=True) if known else refusal(RefusedCode.IN_DOUBT)
    settled: dict[str, object] = {"live": Busy(), "ok": UndoWithStored(action)}
    return settled.get(state, NothingToUndo())


def test_an_undo_looks_at_its_own_key_first() -> None:
    """Only where its own key lets it run does the undone key decide, and then it alone does."""
    for own, state, effect, action_effect in product(STATES, STATES, EFFECTS, [*EFFECTS, None]):
        for outcome in ("ok", "unknown"):
            command = a_command(Kind.COMPENSATION, undoes_outcome=outcome)
            row, action = a_row(own), a_row(state, key=ACTION_KEY)
            alone = admit(command, effect, row, NOW)
            got = admit_undo(command, effect, row, (action, action_effect), NOW)
            wanted = admit_undone(command, action, action_effect, NOW) if isinstance(alone, Run) else alone
            assert got == wanted, (own, state, effect, action_effect, outcome)


def test_an_undo_of_what_happened_is_never_empty_for_want_of_memory() -> None:
    """Where the engine knows `ok` and the inbox knows nothing, nobody says that there was nothing to undo."""
    command = a_command(Kind.COMPENSATION, undoes_outcome="ok")
    for state, effect in product(STATES, [*EFFECTS, None]):
        got = admit_undone(command, a_row(state, key=ACTION_KEY), effect, NOW)
        assert not isinstance(got, Tombstone)
        assert isinstance(got, NothingToUndo) == (state in {"failed", "cancelled"})


def test_a_tombstone_of_what_never_came_has_no_bytes_to_differ_from() -> None:
    """The late action is cancelled whatever its bytes are."""
    got = admit(a_command(), Effect.INBOX, a_row("cancelled", kept=False), NOW)
    assert got == refusal(RefusedCode.CANCELLED)


def test_the_same_bytes_for_another_command_are_another_command() -> None:
    """A key belongs to one command type."""
    row = a_row("ok")
    assert row is not None
    other = msgspec.structs.replace(row, command_type="bank.Unpay.v1")
    assert admit(a_command(), Effect.INBOX, other, NOW) == refusal(RefusedCode.KEY_REUSED)


def test_the_hash_is_of_the_bytes_as_sent() -> None:
    """Two spellings of one value are two payloads."""
    assert payload_hash(b'{"a":1}') == hashlib.sha256(b'{"a":1}').digest()
    assert payload_hash(b'{"a": 1}') != payload_hash(b'{"a":1}')
