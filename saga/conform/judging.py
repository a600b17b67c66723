"""What a rule wants of one answer, and the sentence that says what came instead."""

from saga.conform.report import Broken
from saga.conform.sight import outcome_of, shown
from saga.core.messages import Outcome
from saga.ports import Delivery
from saga.wire import names

APPLIED, REPLAYED, NOTHING = "ok/applied", "ok/replayed", "ok/none"
BUSY, FAILED = "retry/busy", "failed"
CANCELLED, EXPIRED, KEY_REUSED = "refused/cancelled", "refused/expired", "refused/key-reused"
INVALID, UNKNOWN, IN_DOUBT = "refused/invalid-payload", "refused/unknown-command", "refused/in-doubt"


def kind_of(reply: Delivery) -> str:
    """An answer as one word: `ok/<effect>`, `failed`, `retry/<code>`, `refused/<code>`."""
    outcome = outcome_of(reply)
    if outcome == Outcome.FAILED:
        return FAILED
    detail = reply.headers.get(names.EFFECT if outcome == Outcome.OK else names.CODE, "?")
    return f"{outcome}/{detail}"


def want(reply: Delivery, *kinds: str, when: str) -> None:
    """Raises Broken unless the answer is one of these."""
    if kind_of(reply) not in kinds:
        raise Broken(f"{when}: answered {shown(reply)}, wanted {' or '.join(map(_spelled, kinds))}", reply)


def want_same(first: Delivery, second: Delivery, *, when: str) -> None:
    """Raises Broken unless both answers carry the same."""
    for what, one, two in (
        ("body", first.body, second.body),
        ("type", first.type, second.type),
        (names.CODE, first.headers.get(names.CODE), second.headers.get(names.CODE)),
        (names.COST, first.headers.get(names.COST), second.headers.get(names.COST)),
    ):
        if one != two:
            raise Broken(f"{when}: the {what} differs from that of the first answer", first, second)


def _spelled(kind: str) -> str:
    return f"ok, effect {kind.removeprefix('ok/')}" if kind.startswith("ok/") else kind
