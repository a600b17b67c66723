"""The effect ledger of a service: what really happened, told by the service itself and not by the engine.

The table is append-only and has no unique key on purpose: should the engine or the inbox ever let an effect happen
twice, both rows are there for an auditor to find.
"""

import itertools
import time
from typing import Literal

from saga.contract import Context

_SEQUENCE = itertools.count(1)


async def record(ctx: Context, kind: Literal["do", "undo"], *, subject: str, detail: str = "") -> None:
    """Write one effect in the handler's own transaction: it exists exactly when the effect does.

    `subject` is the business identity (the order id). Rows of several services on one machine are ordered by
    `at_ns`; `sequence` orders those of one process within the same nanosecond.
    """
    await ctx.tx.execute(
        "insert into effects (saga, step, kind, idempotency_key, subject, detail, at_ns, sequence)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8)",
        ctx.saga,
        ctx.step,
        kind,
        ctx.key,
        subject,
        detail,
        time.time_ns(),
        next(_SEQUENCE),
    )
