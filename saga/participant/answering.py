"""One command in, one reply out: the step a participant's loop takes for each delivery."""

import logging
from datetime import timedelta

import msgspec

from saga.contract import Effect
from saga.core.messages import CommandMessage, Outcome, RefusedCode, ReplyEffect, ReplyMessage
from saga.core.spans.data import word
from saga.participant.handling import Claimed, Doubt, admit, answer_read_only
from saga.participant.job import Job, Serving
from saga.participant.leased import run_claimed, settle_doubt
from saga.participant.outcome import BUSY_ANSWER, Answer, refused, told
from saga.wire import answer as addressed

log = logging.getLogger("saga.participant")

DOUBTS_MAX = 4
"""Doubts settled for one delivery: its own key's, the undone key's, and once more each after a race."""


async def answer_command(serving: Serving, command: CommandMessage) -> ReplyMessage:
    """Do what the contract says and return the reply. Raises Unavailable when the database is away and nothing was
    begun: the delivery is to be given back."""
    began = serving.clock.monotonic()
    with serving.around(command) as answered:
        result = await _answer(serving, command)
        answered(result.outcome, result.code)
        if result.outcome is Outcome.REFUSED:
            about = {"command": command.type_name, "code": word(result.code), "text": result.message}
            log.warning("a command is refused", extra=about)
    return addressed_reply(command, result, timedelta(seconds=serving.clock.monotonic() - began))


def addressed_reply(command: CommandMessage, answer: Answer, handler_time: timedelta) -> ReplyMessage:
    """The reply that carries an answer to whoever asked."""
    return msgspec.structs.replace(
        addressed(command, answer.outcome, answer.code, answer.message, effect=answer.effect),
        type=answer.type,
        body=answer.body,
        retry_after=answer.retry_after,
        handler_time=handler_time,
        cost=answer.cost,
    )


def unreadable(command: CommandMessage, detail: str) -> ReplyMessage:
    """The reply to a command whose headers could be read, but not its body."""
    return addressed(command, Outcome.REFUSED, RefusedCode.INVALID_PAYLOAD.value, detail, effect=ReplyEffect.NONE)


def unhandled(command: CommandMessage, error: Exception) -> ReplyMessage:
    """The reply when not the handler failed, but what is put around it. Nothing is claimed about the effect."""
    return addressed(command, Outcome.RETRY, "handler-error", told(error), effect=ReplyEffect.NONE)


async def _answer(serving: Serving, command: CommandMessage) -> Answer:
    handler = serving.participant.handlers.get(command.type_name)
    if handler is None:
        known = ", ".join(sorted(serving.participant.handlers))
        return refused(
            RefusedCode.UNKNOWN_COMMAND,
            f"this {serving.participant.service} has no handler for {command.type_name}, only for {known}",
        )
    undone = serving.running.get(command.undoes or "")
    if undone is not None:
        undone.cancelled = True  # the handler may look; the compensation comes again
        return BUSY_ANSWER
    if command.key in serving.running:
        return BUSY_ANSWER
    job = Job(serving, handler, command)
    serving.running[command.key] = job.context
    try:
        if job.effect is Effect.READ_ONLY:
            return await answer_read_only(job)
        return await _settled(job)
    finally:
        del serving.running[command.key]


async def _settled(job: Job) -> Answer:
    """Decide, and decide again after each doubt that was settled."""
    for _ in range(DOUBTS_MAX):
        decided = await admit(job)
        match decided:
            case Answer():
                return decided
            case Claimed():
                return await run_claimed(job, decided)
            case Doubt():
                answer = await settle_doubt(job, decided)
                if answer is not None:
                    return answer
    return BUSY_ANSWER
