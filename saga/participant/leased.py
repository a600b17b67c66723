"""What follows the first transaction where it could only claim: running under a lease, and settling doubts."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from saga.contract import Context, Handler
from saga.core.messages import Outcome, RefusedCode
from saga.participant import inbox
from saga.participant.handling import Claimed, Doubt, cancelled
from saga.participant.inbox import Claim
from saga.participant.job import Job
from saga.participant.outcome import (
    BUSY_ANSWER,
    Answer,
    ask_probe,
    cancelled_by_caller,
    read_command,
    refused,
    replayed,
    retry,
    run_handler,
)
from saga.participant.rules import InboxRow, RowStatus

RENEWALS_PER_LEASE = 3

log = logging.getLogger("saga.participant")


async def run_claimed(job: Job, claimed: Claimed) -> Answer:
    """Run the handler outside any transaction and remember what it answered.

    `retry` and `refused` are not remembered: the row stays in progress without a lease, which is in doubt at once.
    """
    job.ran = True
    job.context.undone = claimed.undone
    job.context.database = job.serving.database
    keys = [job.command.key, *([] if claimed.unsettled is None else [claimed.unsettled.key])]
    async with _renewed(job, keys):
        limit = job.serving.participant.handler_timeout
        answer = await run_handler(job.handler, claimed.value, job.context, limit)
        if answer.settles:
            return await _settle(job, claimed, answer)
    await _give_up(job, keys)
    return answer


async def settle_doubt(job: Job, doubt: Doubt) -> Answer | None:
    """Ask the probe of an interrupted run and write down what it says; None: now decide again.

    A probe that denies an action that is to be undone tombstones it; one that denies the own key lets it run.
    """
    row = doubt.row
    handler = job.serving.participant.handlers.get(row.command_type or "")
    async with _renewed(job, [row.key]):
        answer = await _ask(job, handler, doubt)
        if answer is not None and answer.settles:
            settlement = job.settlement(answer)
        elif answer is None and not doubt.own:
            settlement = cancelled(job)
        else:
            settlement = None
        if settlement is not None:
            return await _write_down(job, row, settlement)
    await _give_up(job, [row.key])
    job.not_happened = doubt.own and answer is None
    return answer


async def _write_down(job: Job, row: InboxRow, settlement: inbox.Settlement) -> Answer | None:
    try:
        async with job.serving.begin_short() as tx:
            written = await inbox.settle(tx, row.key, job.owner, settlement)
    except Exception as error:
        log.exception("an answer could not be remembered", extra={"key": row.key})
        return retry("database-error", f"{type(error).__name__}: {error}")
    return None if written else BUSY_ANSWER


async def _ask(job: Job, handler: Handler | None, doubt: Doubt) -> Answer | None:
    body = job.command.body if doubt.own else doubt.row.command
    if handler is None or body is None:
        return refused(RefusedCode.IN_DOUBT, f"nothing here can tell whether {doubt.row.command_type} happened")
    value = read_command(handler, body)
    if isinstance(value, Answer):
        return refused(RefusedCode.IN_DOUBT, f"{doubt.row.command_type} can no longer be read: {value.message}")
    about = job.command
    context = job.context
    if not doubt.own:
        context = Context(key=doubt.row.key, saga=about.saga, step=about.path, attempt=about.attempt)
    context.database = job.serving.database
    return await ask_probe(handler, value, context, job.serving.participant.handler_timeout)


async def _settle(job: Job, claimed: Claimed, answer: Answer) -> Answer:
    """Remember the answer. When the row was taken from us meanwhile, what it says now decides."""
    try:
        async with job.serving.begin_short() as tx:
            if await inbox.settle(tx, job.command.key, job.owner, job.settlement(answer)):
                if claimed.unsettled is not None and answer.outcome is Outcome.OK:
                    await inbox.settle(tx, claimed.unsettled.key, job.owner, cancelled(job))
                return answer
            looked = await inbox.look(tx, job.serving.database.dialect, job.command.key)
    except Exception as error:
        log.exception("an answer could not be remembered", extra={"key": job.command.key})
        return retry("database-error", f"{type(error).__name__}: {error}")
    log.warning("a lease was lost", extra={"key": job.command.key})
    return _after_loss(looked.row, answer)


def _after_loss(row: InboxRow | None, answer: Answer) -> Answer:
    """The truth about an effect that came after its lease: to be heard even if its undo was promised to be empty."""
    if row is None or row.status is RowStatus.CANCELLED:
        return answer
    return BUSY_ANSWER if row.status is RowStatus.IN_PROGRESS else replayed(row)


@asynccontextmanager
async def _renewed(job: Job, keys: list[str]) -> AsyncIterator[None]:
    """Keep the leases of these rows while the body runs."""
    ended = asyncio.Event()
    renewing = asyncio.create_task(_renew(job, keys, ended))
    try:
        yield
    finally:
        ended.set()
        await renewing


async def _renew(job: Job, keys: list[str], ended: asyncio.Event) -> None:
    seconds = job.serving.participant.lease.total_seconds() / RENEWALS_PER_LEASE
    while not ended.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await ended.wait()
                return
        await _extend(job, keys, job.serving.participant.lease)


async def _give_up(job: Job, keys: list[str]) -> None:
    """End our leases now, so that the next delivery need not wait for it."""
    await _extend(job, keys, timedelta(seconds=-1))


async def _extend(job: Job, keys: list[str], by: timedelta) -> None:
    """Best effort: a lease that could not be moved ends by itself."""
    try:
        async with job.serving.begin_short() as tx:
            for key in keys:
                await inbox.renew(tx, key, Claim(job.owner, job.now() + by))
    except (Exception, asyncio.CancelledError):
        if cancelled_by_caller():
            raise
        log.warning("a lease was not moved", extra={"keys": keys}, exc_info=True)
