"""Committing a batch whatever happens: an unknown outcome is asked again, one bad row does not take its neighbours."""

import logging

from saga.core.errors import Unavailable
from saga.ports import Batch, Committed, CommitUnknown, Journal

log = logging.getLogger("saga.engine")

UNKNOWN_TRIES = 3


async def commit_all(journal: Journal, batch: Batch) -> Committed:
    """Commit. After an unknown outcome the same batch again is safe: whoever won already counts as won.

    Raises Unavailable when the store stays away; then nothing of the batch may be acknowledged. A row that the store
    refuses for good is left out, as if it had lost.
    """
    for _ in range(UNKNOWN_TRIES):
        try:
            return await journal.commit(batch)
        except CommitUnknown:
            log.warning("a commit's outcome is unknown, asking again")
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the store's own error; whose row it is, is found by halving
            return await _halves(journal, batch, error)
    raise Unavailable("the store did not answer a commit, nor the question whether it happened")


async def _halves(journal: Journal, batch: Batch, error: Exception) -> Committed:
    """The store refused the statement: find the row that it cannot take."""
    rows = [Batch(starts=[start]) for start in batch.starts]
    rows += [Batch(advances=[advance]) for advance in batch.advances]
    rows += [Batch(parked=[parked]) for parked in batch.parked]
    if len(rows) <= 1:
        log.error("the store refuses a row; it is left out", exc_info=error, extra={"row": repr(batch)[:2_000]})
        return await journal.commit(Batch())
    middle = len(rows) // 2
    one = await commit_all(journal, _joined(rows[:middle]))
    other = await commit_all(journal, _joined(rows[middle:]))
    return Committed(one.sagas | other.sagas, other.now)


def _joined(rows: list[Batch]) -> Batch:
    return Batch(
        starts=[start for row in rows for start in row.starts],
        advances=[advance for row in rows for advance in row.advances],
        parked=[parked for row in rows for parked in row.parked],
    )
