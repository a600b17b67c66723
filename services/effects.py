"""The effect ledger of a service: what really happened, told by the service itself and not by the engine.

The table is append-only and has no unique key on purpose: should the engine or the inbox ever let an effect happen
twice, both rows are there for an auditor to find.
"""

import itertools
import time
from typing import Literal

from saga.contract import Context

_SEQUENCE = itertools.count(1)


class EffectLedger:
    """The ledger of one service; its table carries the service's name, so that services can share a database."""

    def __init__(self, service: str) -> None:
        self._insert = (
            f"insert into {service}_effects"  # noqa: S608 - the name is ours
            " (saga, step, kind, idempotency_key, subject, detail, at_ns, sequence)"
            " values ($1, $2, $3, $4, $5, $6, $7, $8)"
        )

    async def record(self, ctx: Context, kind: Literal["do", "undo"], *, subject: str, detail: str = "") -> None:
        """Write one effect in the handler's own transaction: it exists exactly when the effect does.

        `subject` is the business identity (the order id). Rows of several services on one machine are ordered by
        `at_ns`; `sequence` orders those of one process within the same nanosecond.
        """
        row = (ctx.saga, ctx.step, kind, ctx.key, subject, detail, time.time_ns(), next(_SEQUENCE))
        await ctx.tx.execute(self._insert, *row)
