"""Running a handler or a probe, and what comes of it: an answer, whatever the function did."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec

from saga.contract import NAME_CHARACTERS_MAX, Context, Contract, Failure, Handler, InDoubt, RetryLater
from saga.core.errors import ProtocolViolation, Unavailable
from saga.core.messages import BUSY, Outcome, RefusedCode, ReplyEffect
from saga.core.spans.data import word
from saga.cost import Cost
from saga.participant.rules import InboxRow, RowStatus
from saga.wire import Poison, check_json, cut_text

log = logging.getLogger("saga.participant")

EMPTY_REPLY = b"{}"
"""Body of an `ok` that did nothing: a compensation that found nothing to undo has no reply to give."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery is answered, without the addresses."""

    outcome: Outcome
    effect: ReplyEffect = ReplyEffect.NONE
    code: str = ""
    message: str = ""
    type: str = ""
    body: bytes = b""
    retry_after: timedelta | None = None
    cost: Cost | None = None

    @property
    def settles(self) -> bool:
        """Whether it is remembered with the effect."""
        return self.outcome is Outcome.OK or self.outcome is Outcome.FAILED


BUSY_ANSWER = Answer(outcome=Outcome.RETRY, code=BUSY, message="the same key is being worked on elsewhere")


def refused(code: RefusedCode, message: str) -> Answer:
    """This delivery settles nothing."""
    return Answer(outcome=Outcome.REFUSED, code=code.value, message=cut_text(message))


def retry(code: str, message: str, after: timedelta | None = None) -> Answer:
    """Try again; nothing is claimed about the effect."""
    word = cut_text(code, NAME_CHARACTERS_MAX) or "unavailable"
    return Answer(outcome=Outcome.RETRY, code=word, message=cut_text(message), retry_after=after)


def nothing_undone(contract: Contract) -> Answer:
    """There was nothing to undo."""
    return Answer(outcome=Outcome.OK, effect=ReplyEffect.NONE, type=contract.reply_type_name, body=EMPTY_REPLY)


def replayed(row: InboxRow) -> Answer:
    """The stored answer. An undo that found nothing says so the second time too: the engine looks for just that."""
    done = row.status is RowStatus.OK
    return Answer(
        outcome=Outcome.OK if done else Outcome.FAILED,
        effect=ReplyEffect.NONE if done and row.effect is ReplyEffect.NONE else ReplyEffect.REPLAYED,
        code=row.code,
        type=row.reply_type,
        body=row.reply,
        cost=row.cost,
    )


def read_command(handler: Handler, body: bytes) -> Any | Answer:
    """The command as its class, or why not."""
    try:
        value = msgspec.json.decode(body, type=handler.command)
        objection: Any = handler.check(value) if handler.check is not None else None
    except msgspec.MsgspecError as error:
        return refused(RefusedCode.INVALID_PAYLOAD, f"{handler.contract.type_name}: {error}")
    except Exception as error:
        log.exception("a check failed", extra={"command": handler.contract.type_name})
        return retry("handler-error", told(error))
    if objection is None:
        return value
    if not isinstance(objection, str):
        return _mistaken(handler.contract, f"the check returned {objection!r}. Fix: a text that objects, or None")
    return refused(RefusedCode.INVALID_PAYLOAD, objection)


async def run_handler(handler: Handler, value: Any, context: Context, limit: timedelta) -> Answer:
    """What the handler answers. Never raises for the handler's sake."""
    answer = await _guarded(handler, lambda: handler.run(value, context), context, limit) or retry(
        "handler-error", f"the handler of {handler.contract.type_name} returned None instead of its reply"
    )
    if answer.outcome is Outcome.RETRY:
        about = {"command": handler.contract.type_name, "code": word(answer.code), "text": answer.message}
        log.warning("a command is to be tried again", extra=about)
    return _with_cost(answer, context)


async def ask_probe(handler: Handler, value: Any, context: Context, limit: timedelta) -> Answer | None:
    """What the interrupted run would have answered; None if it certainly did not happen."""
    probe = handler.probe
    if probe is None:
        return refused(RefusedCode.IN_DOUBT, f"{handler.contract.type_name} has no probe to ask")
    answer = await _guarded(handler, lambda: probe(value, context), context, limit)
    return None if answer is None else _with_cost(answer, context)


def _with_cost(answer: Answer, context: Context) -> Answer:
    """Whatever the answer is: what was spent was spent."""
    return answer if context.cost is None else msgspec.structs.replace(answer, cost=context.cost)


async def _guarded(
    handler: Handler, call: Callable[[], Awaitable[Any]], context: Context, limit: timedelta
) -> Answer | None:
    """Every way a function of the user can end, as an answer; None as None."""
    about = {"command": handler.contract.type_name, "key": context.key}
    task = asyncio.current_task()
    patience = asyncio.timeout(limit.total_seconds())
    try:
        async with patience:
            value = await call()
        return None if value is None else _written(handler.contract, value)
    except RetryLater as later:
        return _later(handler.contract, later)
    except InDoubt as doubt:
        return refused(RefusedCode.IN_DOUBT, _text(doubt))
    except Unavailable as away:
        return retry("unavailable", str(away))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and (cancelled_by_caller() or asyncio.current_task() is not task):
            raise  # the handler is cut, or thrown away with its loop
        if isinstance(error, TimeoutError) and patience.expired():
            log.warning("a handler took too long", extra=about)
            return retry("handler-timeout", f"no answer within {limit}")
        log.exception("a handler failed", extra=about)
        stray = ": nobody cancelled the handler, but something it waited for"
        return retry("handler-error", told(error) + (stray if isinstance(error, asyncio.CancelledError) else ""))


def _later(contract: Contract, later: RetryLater) -> Answer:
    """What RetryLater says. Nobody checks types in front of a handler: what is none would stop the reply."""
    code: Any = later.code
    after: Any = later.after
    if not isinstance(code, str):
        return _mistaken(contract, f"RetryLater(code={code!r}). Fix: a word in quotes")
    if not (after is None or isinstance(after, timedelta)):
        return _mistaken(contract, f"RetryLater(after={after!r}). Fix: a timedelta, or None")
    return retry(code, _text(later), after)


def _mistaken(contract: Contract, mistake: str) -> Answer:
    """A function of the user gave what cannot be sent on."""
    message = f"{contract.type_name}: {mistake}"
    log.error("a handler failed", extra={"command": contract.type_name, "text": message})
    return retry("handler-error", message)


def cancelled_by_caller() -> bool:
    """Client libraries cancel their own waiters when a connection dies; only a cancel of our task is meant for us."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _written(contract: Contract, value: object) -> Answer:
    """The handler's value as bytes, checked before anything is committed."""
    kind = type(value)
    if isinstance(value, contract.reply):
        outcome, effect, code = Outcome.OK, ReplyEffect.APPLIED, ""
    elif isinstance(value, Failure) and kind in contract.failures:
        outcome, effect, code = Outcome.FAILED, ReplyEffect.NONE, kind.__name__
    else:
        declared = ", ".join(k.__name__ for k in (contract.reply, *contract.failures))
        return retry("handler-error", f"{contract.type_name} answered with {kind.__name__}, declared are: {declared}")
    type_name = f"{contract.service}.{kind.__name__}.v{contract.version}"
    answer = Answer(outcome=outcome, effect=effect, code=code, type=type_name, body=msgspec.json.encode(value))
    return sendable(contract.type_name, answer)


def sendable(command: str, answer: Answer) -> Answer:
    """The answer, or what is said instead of one whose body the wire does not take; that settles nothing."""
    try:
        check_json(answer.body)
    except ProtocolViolation as violation:
        if violation.code == Poison.TOO_LARGE:
            return refused(RefusedCode.TOO_LARGE, f"the reply to {command}: {violation.detail}")
        return retry("bad-reply", f"the reply to {command}: {violation.detail}")
    return answer


def told(error: BaseException) -> str:
    """An error as an operator reads it in the history of the saga."""
    text = _text(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _text(error: BaseException) -> str:
    """What the error says. Its class is the user's, and may fail at saying it."""
    try:
        return str(error)
    except Exception as failed:  # noqa: BLE001 - the error that matters is the first one
        return f"its text could not be read, {type(failed).__name__}"
