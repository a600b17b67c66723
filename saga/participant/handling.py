"""From a command to its answer: the first transaction decides, and the declared effect says what may follow it.

inbox                                   one transaction: look, run the handler, remember, commit
provider_key, probe, at_most_once       look and claim, commit; run under a lease; remember (see `leased`)
read_only                               no row at all
"""

import logging
from datetime import timedelta
from typing import Any, assert_never

import msgspec

from saga.contract import Effect, Undone
from saga.core.errors import StoreAway, Unavailable
from saga.core.messages import Kind, Outcome, RefusedCode, ReplyEffect
from saga.participant import inbox, rules
from saga.participant.inbox import Claim, Looked, Settlement
from saga.participant.job import Job
from saga.participant.outcome import (
    BUSY_ANSWER,
    Answer,
    nothing_undone,
    read_command,
    refused,
    replayed,
    retry,
    run_handler,
)
from saga.participant.rules import InboxRow, RowStatus
from saga.ports import Transaction

log = logging.getLogger("saga.participant")


class Claimed(msgspec.Struct, frozen=True):
    """The first transaction committed `in_progress`: now the handler may run."""

    value: Any
    undone: Undone | None
    unsettled: InboxRow | None = None
    """The action's row, taken over too, to be tombstoned with the undo."""


class Doubt(msgspec.Struct, frozen=True):
    """An interrupted row, taken over: its probe has to be asked."""

    row: InboxRow
    own: bool


class _RolledBack(Exception):
    """Leaves the transaction without its effects, with an answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.code)
        self.answer = answer


async def answer_read_only(job: Job) -> Answer:
    """Run without a row: nothing changes, so a repeat harms nobody."""
    if job.command.kind is Kind.COMPENSATION:
        name = job.command.type_name
        return refused(RefusedCode.INVALID_PAYLOAD, f"{name} is declared read_only and cannot undo anything")
    admission = rules.admit(job.command, Effect.READ_ONLY, None, job.now())
    if isinstance(admission, rules.Refuse):
        return refused(admission.code, admission.message)
    if job.serving.has_database():
        job.context.database = job.serving.database
    return await _run(job, read_command(job.handler, job.command.body), None, None)


async def admit(job: Job) -> Answer | Claimed | Doubt:
    """The first transaction, and the only one for effect `inbox`. Raises Unavailable when nothing was begun."""
    serving = job.serving
    try:
        async with serving.database.begin() if job.effect is Effect.INBOX else serving.begin_short() as tx:
            looked = await inbox.look(tx, serving.database.dialect, job.command.key)
            job.admit(looked.token, looked.now)
            if not looked.locked:
                return BUSY_ANSWER
            if job.command.kind is Kind.ACTION:
                return await _admit_action(job, tx, looked.row)
            return await _admit_undo(job, tx, looked.row)
    except _RolledBack as rolled_back:
        return rolled_back.answer
    except Unavailable as away:
        if job.ran:
            return retry("database-error", str(away))
        raise
    except Exception as error:
        if not job.ran:
            raise StoreAway(f"the inbox of {serving.participant.service}: {error}") from error
        log.exception("an answer could not be remembered", extra={"key": job.command.key})
        return retry("database-error", f"{type(error).__name__}: {error}")


async def _admit_action(job: Job, tx: Transaction, row: InboxRow | None) -> Answer | Claimed | Doubt:
    admission = rules.admit(job.command, job.effect, row, job.now())
    match admission:
        case rules.Run():
            return await _begin(job, tx, row, None)
        case rules.Probe():
            return await _doubt_own(job, tx, admission) or await _begin(job, tx, row, None)
        case rules.Replay() | rules.Refuse() | rules.Busy():
            return _plain(admission)
        case _:
            assert_never(admission)


async def _admit_undo(job: Job, tx: Transaction, row: InboxRow | None) -> Answer | Claimed | Doubt:
    undone = await _look_undone(job, tx)
    if not undone.locked:
        return BUSY_ANSWER
    effect = None
    if undone.row is not None and undone.row.command_type is not None:
        known = job.serving.participant.handlers.get(undone.row.command_type)
        effect = None if known is None else known.contract.effect
    admission = rules.admit_undo(job.command, job.effect, row, (undone.row, effect), job.now())
    if isinstance(admission, rules.Probe):
        doubt = await _doubt_own(job, tx, admission)
        if doubt is not None:
            return doubt
        admission = rules.admit_undone(job.command, undone.row, effect, job.now())
    return await _carry_out(job, tx, row, admission)


async def _carry_out(
    job: Job, tx: Transaction, row: InboxRow | None, admission: rules.UndoneAdmission | rules.Replay
) -> Answer | Claimed | Doubt:
    key = job.command.undoes or ""
    match admission:
        case rules.UndoWithStored():
            return await _begin(job, tx, row, admission)
        case rules.UndoFromPayload():
            return await _begin(job, tx, row, admission)
        case rules.ProbeAction(action):
            _wanted(await inbox.take_over(tx, action, job.claim()))
            return Doubt(action, own=False)
        case rules.Tombstone():
            _wanted(await inbox.tombstone(tx, key, now=job.now(), remembers=job.remembers))
            return await _remember(job, tx, row, nothing_undone(job.handler.contract))
        case rules.NothingToUndo():
            return await _remember(job, tx, row, nothing_undone(job.handler.contract))
        case rules.Replay() | rules.Refuse() | rules.Busy():
            return _plain(admission)
        case _:
            assert_never(admission)


async def _begin(
    job: Job,
    tx: Transaction,
    row: InboxRow | None,
    undo: rules.UndoWithStored | rules.UndoFromPayload | None,
) -> Answer | Claimed:
    """Run inside this transaction, or claim and let it commit first."""
    value = read_command(job.handler, job.command.body)
    if isinstance(value, Answer):
        return value
    unsettled = undo.action if isinstance(undo, rules.UndoWithStored) and undo.unsettled else None
    if unsettled is not None:
        _wanted(await inbox.take_over(tx, unsettled, job.claim()))
    if job.effect is Effect.INBOX:
        answer = await _run(job, value, _undone(job, undo), tx)
        if not answer.settles:
            raise _RolledBack(answer)
        if unsettled is not None:
            await _cancel_action(job, tx, unsettled, answer)
        return await _remember(job, tx, row, answer)
    if row is None:
        _wanted(await inbox.claim(tx, job.command, job.claim(), now=job.now(), remembers=job.remembers))
    else:
        _wanted(await inbox.take_over(tx, row, job.claim()))
    return Claimed(value, _undone(job, undo), unsettled)


async def _run(job: Job, value: Any, undone: Undone | None, tx: Transaction | None) -> Answer:
    if isinstance(value, Answer):
        return value
    job.ran = True
    job.context.tx = None if tx is None else tx.handle
    job.context.undone = undone
    return await run_handler(job.handler, value, job.context, job.serving.participant.handler_timeout)


async def _remember(job: Job, tx: Transaction, row: InboxRow | None, answer: Answer) -> Answer:
    """Write the key's last row beside the effect; the transaction fails if somebody was faster."""
    settlement = job.settlement(answer)
    if row is None:
        _wanted(await inbox.record(tx, job.command, settlement))
    else:
        _wanted(await inbox.take_over(tx, row, job.claim()))
        _wanted(await inbox.settle(tx, row.key, job.owner, settlement))
    return answer


async def _cancel_action(job: Job, tx: Transaction, action: InboxRow, answer: Answer) -> None:
    """Tombstone an action of unknown outcome once it is undone; otherwise let go of it."""
    if answer.outcome is Outcome.OK:
        await inbox.settle(tx, action.key, job.owner, cancelled(job))
    else:
        await inbox.renew(tx, action.key, Claim(job.owner, job.now() - timedelta(seconds=1)))


def cancelled(job: Job) -> Settlement:
    """A tombstone on a key that was begun."""
    return Settlement(status=RowStatus.CANCELLED, effect=ReplyEffect.NONE, now=job.now(), remembers=job.remembers)


async def _doubt_own(job: Job, tx: Transaction, probe: rules.Probe) -> Answer | Doubt | None:
    """What an interrupted run of this very key calls for; None once its probe has denied it."""
    if not job.not_happened:
        _wanted(await inbox.take_over(tx, probe.stale, job.claim()))
        return Doubt(probe.stale, own=True)
    if probe.expired:
        return refused(RefusedCode.EXPIRED, "it expired, and its probe says that it did not happen")
    return None


async def _look_undone(job: Job, tx: Transaction) -> Looked:
    return await inbox.look(tx, job.serving.database.dialect, job.command.undoes or "")


def _undone(job: Job, undo: rules.UndoWithStored | rules.UndoFromPayload | None) -> Undone | None:
    key = job.command.undoes or ""
    match undo:
        case None:
            return None
        case rules.UndoFromPayload():
            return Undone(key=key)
        case rules.UndoWithStored(action, unsettled):
            return Undone(command=action.command, reply=None if unsettled else action.reply, key=key)
        case _:
            assert_never(undo)


def _plain(admission: rules.Replay | rules.Refuse | rules.Busy) -> Answer:
    match admission:
        case rules.Replay(row):
            return replayed(row)
        case rules.Refuse(code, message):
            return refused(code, message)
        case rules.Busy():
            return BUSY_ANSWER
        case _:
            assert_never(admission)


def _wanted(written: bool) -> None:  # noqa: FBT001 - the database's one-word answer
    """Leave the transaction if a conditional write found the row changed: somebody else is at it."""
    if not written:
        raise _RolledBack(BUSY_ANSWER)
