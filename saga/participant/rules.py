"""What a participant must do with a command, as pure decisions over what its inbox knows.

    a row's life   (none) ──► in_progress ──► ok | failed        effects that commit `in_progress` first
                   (none) ──────────────────► ok | failed        effect `inbox`: written with the effect itself
                   (none) | in_progress ────► cancelled          a compensation came first, or settled a doubt

The order of the questions is the contract (wire.md): the key before the expiry, the expiry before the handler. Every
function is total: it has an answer for each state a row can be in, and raises nothing.
"""

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import assert_never

import msgspec

from saga.contract import Effect
from saga.core.messages import CommandMessage, RefusedCode, ReplyEffect
from saga.cost import Cost


class RowStatus(StrEnum):
    """What the inbox knows of a key."""

    IN_PROGRESS = "in_progress"
    """Begun; not known to have ended. Live while its lease lasts, in doubt afterwards."""
    OK = "ok"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """A tombstone: undone before it was done. It must never run."""


class InboxRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the inbox holds of one key."""

    key: str
    status: RowStatus
    command_type: str | None = None
    """None on the tombstone of a command that never came."""
    command_hash: bytes | None = None
    command: bytes | None = None
    """Of an action, for whoever undoes it; None in a compensation's row."""
    reply_type: str = ""
    reply: bytes = b""
    code: str = ""
    effect: ReplyEffect = ReplyEffect.APPLIED
    """What the stored answer claimed."""
    cost: Cost | None = None
    """What the stored answer told."""
    owner: str | None = None
    lease_until: datetime | None = None


class Replay(msgspec.Struct, frozen=True):
    """Send the stored answer again."""

    row: InboxRow


class Refuse(msgspec.Struct, frozen=True):
    """Answer `refused`: this delivery settles nothing."""

    code: RefusedCode
    message: str


class Busy(msgspec.Struct, frozen=True):
    """The key is being worked on: answer `retry/busy`."""


class Run(msgspec.Struct, frozen=True):
    """Run the handler. With `stale`, a run before was interrupted and its row is taken over."""

    stale: InboxRow | None = None


class Probe(msgspec.Struct, frozen=True):
    """Ask the probe whether the interrupted run happened; only if not, and not expired, run."""

    stale: InboxRow
    expired: bool


Admission = Replay | Refuse | Busy | Run | Probe


class Tombstone(msgspec.Struct, frozen=True):
    """The action never came: make sure that it never will. Answer `ok`, effect `none`."""


class NothingToUndo(msgspec.Struct, frozen=True):
    """The action had no effect, or can have none any more. Answer `ok`, effect `none`."""


class UndoFromPayload(msgspec.Struct, frozen=True):
    """The action happened but is forgotten here: the compensation's own fields must do. Never answer `none`."""


class UndoWithStored(msgspec.Struct, frozen=True):
    """Undo with what is stored of the action. With `unsettled` its outcome is not known: its reply is missing, and its
    row must be tombstoned with the undo."""

    action: InboxRow
    unsettled: bool = False


class ProbeAction(msgspec.Struct, frozen=True):
    """The action was interrupted: ask its probe, settle its row with the answer, and decide again."""

    action: InboxRow


UndoneAdmission = Tombstone | NothingToUndo | UndoFromPayload | UndoWithStored | ProbeAction | Busy | Refuse
UndoAdmission = UndoneAdmission | Replay | Probe


def payload_hash(body: bytes) -> bytes:
    """What tells bytes from other bytes under the same key: of the body as sent, never as understood."""
    return hashlib.sha256(body).digest()


def admit(command: CommandMessage, effect: Effect, row: InboxRow | None, now: datetime) -> Admission:
    """Decide what this delivery of a command deserves, given the row of its key. `effect` is what its contract
    declares."""
    expired = command.expires_at is not None and command.expires_at <= now
    if effect is not Effect.READ_ONLY and row is not None:
        if not _same_command(command, row):
            return Refuse(RefusedCode.KEY_REUSED, f"key {command.key} was used for another command or other bytes")
        match row.status:
            case RowStatus.OK | RowStatus.FAILED:
                return Replay(row)
            case RowStatus.CANCELLED:
                return Refuse(RefusedCode.CANCELLED, "its compensation came first")
            case RowStatus.IN_PROGRESS:
                return Busy() if is_live(row, now) else _interrupted(effect, row, expired=expired)
            case _:
                assert_never(row.status)
    return _expired(command, now) if expired else Run()


def admit_undo(
    command: CommandMessage,
    effect: Effect,
    row: InboxRow | None,
    undone: tuple[InboxRow | None, Effect | None],
    now: datetime,
) -> UndoAdmission:
    """Decide what a compensation deserves, given the row of its own key, and the row of the key it undoes with the
    effect that action declares (None when this service handles it no more).

    Where the own row was interrupted and may run again, its key is taken over by whatever the other row allows.
    """
    admission = admit(command, effect, row, now)
    return admit_undone(command, *undone, now) if isinstance(admission, Run) else admission


def admit_undone(
    command: CommandMessage, action: InboxRow | None, action_effect: Effect | None, now: datetime
) -> UndoneAdmission:
    """Decide what there is to undo, given the row of the key that `saga-undoes` names."""
    if action is None:
        return UndoFromPayload() if command.undoes_outcome == "ok" else Tombstone()
    match action.status:
        case RowStatus.OK:
            return UndoWithStored(action)
        case RowStatus.FAILED | RowStatus.CANCELLED:
            return NothingToUndo()
        case RowStatus.IN_PROGRESS:
            return Busy() if is_live(action, now) else _undo_interrupted(command, action, action_effect)
        case _:
            assert_never(action.status)


def is_live(row: InboxRow, now: datetime) -> bool:
    """Whether somebody still answers for this row."""
    return row.lease_until is not None and row.lease_until > now


def _same_command(command: CommandMessage, row: InboxRow) -> bool:
    if row.command_hash is None:
        return True  # a tombstone of something that never came: there are no bytes to compare with
    return row.command_type == command.type_name and row.command_hash == payload_hash(command.body)


def _expired(command: CommandMessage, now: datetime) -> Refuse:
    """With both times: a queue that was long shows in them, and so does a clock that is wrong."""
    return Refuse(RefusedCode.EXPIRED, f"it expired at {command.expires_at}, and here it is {now:%Y-%m-%d %H:%M:%S%z}")


def _interrupted(effect: Effect, row: InboxRow, *, expired: bool) -> Admission:
    """A run that began and did not end: what the declared effect allows."""
    match effect:
        case Effect.PROBE:
            return Probe(row, expired)
        case Effect.PROVIDER_KEY:
            if expired:
                return Refuse(RefusedCode.EXPIRED, "it expired after an interrupted run")
            return Run(row)
        case Effect.AT_MOST_ONCE:
            return Refuse(RefusedCode.IN_DOUBT, "it was begun before and nothing can tell whether it happened")
        case Effect.INBOX | Effect.READ_ONLY:
            # Such a row is never committed: the contract declared another effect when this one was.
            return Refuse(RefusedCode.IN_DOUBT, f"it was interrupted before its effect was declared {effect}")
        case _:
            assert_never(effect)


def _undo_interrupted(command: CommandMessage, action: InboxRow, effect: Effect | None) -> UndoneAdmission:
    """The action began and did not end: how its effect can be told, or undone without telling."""
    match effect:
        case Effect.PROBE:
            return ProbeAction(action)
        case Effect.PROVIDER_KEY:
            return UndoWithStored(action, unsettled=True)
        case Effect.AT_MOST_ONCE | Effect.INBOX | Effect.READ_ONLY | None:
            if command.undoes_outcome == "ok":  # a person looked: the engine knows what nothing here can tell
                return UndoWithStored(action, unsettled=True)
            return Refuse(RefusedCode.IN_DOUBT, f"nothing here can tell whether {action.command_type} happened")
        case _:
            assert_never(effect)
