"""Committing a batch whatever happens: an unknown outcome is asked again, one bad row does not take its neighbours."""

import logging
from collections.abc import Sequence
from datetime import datetime

import msgspec

from saga.core.errors import SchemaMismatch, StoreAway, Unavailable
from saga.ports import Advance, Batch, CommitUnknown, Journal, NewSaga, ParkedMessage

log = logging.getLogger("saga.engine")

UNKNOWN_TRIES = 3
BODY_LOGGED_BYTES_MAX = 2_000
BARE = "kept without headers"

Row = NewSaga | Advance | ParkedMessage


class Outcome(msgspec.Struct):
    """What became of a batch. A saga named nowhere lost a race: reload it and decide again."""

    won: set[str] = msgspec.field(default_factory=set)
    refused: dict[str, str] = msgspec.field(default_factory=dict)
    """Sagas whose row the store will never take, and why."""
    now: datetime | None = None
    """Store time; None when the store took nothing."""


async def commit_all(journal: Journal, batch: Batch) -> Outcome:
    """Commit. After an unknown outcome the same batch again is safe: whoever won already counts as won.

    A row that the store refuses for good is found by halving: O(log n) statements for each, and its neighbours are
    committed. A parked message that is refused is kept without what surrounds its body; if that fails too, it is
    logged. Raises Unavailable or SchemaMismatch when the store cannot be used; then nothing of the batch may be
    acknowledged, though some of it may be durable.
    """
    outcome = Outcome()
    left: list[list[Row]] = [[*batch.starts, *batch.advances, *batch.parked]]
    while left:
        part = left.pop()
        error = await _try(journal, part, outcome)
        if error is None:
            continue
        if len(part) > 1:
            left += [part[len(part) // 2 :], part[: len(part) // 2]]
            continue
        _refused(part[0], error, outcome, left)
    return outcome


def _refused(row: Row, error: Exception, outcome: Outcome, left: list[list[Row]]) -> None:
    """The one row that the store refuses."""
    if not isinstance(row, ParkedMessage):
        outcome.refused[row.saga] = f"{type(error).__name__}: {error}"
    elif not row.detail.startswith(BARE):
        log.error("the store refuses a parked message; keeping its body", exc_info=error, extra={"origin": row.origin})
        left.append([_bare(row, error)])
    else:
        body = repr(row.body[:BODY_LOGGED_BYTES_MAX])
        log.error("a parked message is lost but for this line", extra={"origin": row.origin, "body": body})


async def _try(journal: Journal, rows: Sequence[Row], outcome: Outcome) -> Exception | None:
    """Commit these rows in one statement; returns why the store refuses to."""
    batch = Batch(
        starts=[row for row in rows if isinstance(row, NewSaga)],
        advances=[row for row in rows if isinstance(row, Advance)],
        parked=[row for row in rows if isinstance(row, ParkedMessage)],
    )
    for _ in range(UNKNOWN_TRIES):
        try:
            committed = await journal.commit(batch)
        except CommitUnknown as unknown:
            log.warning("a commit's outcome is unknown, asking again", extra={"reason": str(unknown)})
        except (Unavailable, SchemaMismatch):
            raise
        except Exception as error:  # noqa: BLE001 - the store's own error; whose row it is, is found by halving
            return error
        else:
            outcome.won |= committed.sagas
            outcome.now = committed.now
            return None
    raise StoreAway("the store did not answer a commit, nor the question whether it happened")


def _bare(message: ParkedMessage, error: Exception) -> ParkedMessage:
    """The body and where it came from, without anything else a sender had a say in."""
    return ParkedMessage(
        origin=message.origin,
        reason="engine-defect",
        detail=f"{BARE}: the store refused it ({type(error).__name__}); first parked as {message.reason}",
        exchange="",
        routing_key="",
        body=message.body,
        headers={},
        message_id="",
        correlation_id="",
        type="",
        reply_to="",
        sender=None,
    )
