"""Every way a function of the user can end is an answer, and what it gave is looked at before it is sent."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from saga.contract import Context, InDoubt, RetryLater
from saga.core.messages import Outcome
from saga.participant.outcome import Answer, read_command, run_handler
from tests.unit.participant.till import Done, Pay

NUMBER: Any = 503


class Mute(Exception):
    """Fails at saying what it is."""

    def __str__(self) -> str:
        raise ValueError("no text")


async def answered(end: Callable[[], Awaitable[Any]], limit: timedelta = timedelta(minutes=15)) -> Answer:
    """What comes of a handler that ends like this."""

    async def handle(_cmd: Pay, _ctx: Context) -> Done:
        done: Done = await end()
        return done

    context = Context(key="k", saga="s", step="pay", attempt=1)
    return await run_handler(Pay.handled_by(handle), Pay(amount=1), context, limit)


def raising(error: Any) -> Callable[[], Awaitable[Any]]:
    """A handler that raises it."""

    async def end() -> None:
        raise error

    return end


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RetryLater("x", after=NUMBER), "RetryLater(after=503). Fix: a timedelta"),
        (RetryLater("x", code=NUMBER), "RetryLater(code=503). Fix: a word"),
        (Mute(), "Mute: its text could not be read, ValueError"),
        (GeneratorExit(), "GeneratorExit"),
        (BaseExceptionGroup("two", [GeneratorExit(), asyncio.CancelledError()]), "BaseExceptionGroup: two"),
    ],
)
async def test_whatever_a_handler_raises_is_its_failure(error: BaseException, said: str) -> None:
    """The saga hears what it was; the process goes on."""
    answer = await answered(raising(error))
    assert (answer.outcome, answer.code) == (Outcome.RETRY, "handler-error")
    assert said in answer.message


async def test_a_doubt_without_words_is_a_doubt() -> None:
    """Its text may be no text."""

    class Wordless(Mute, InDoubt):
        """Cannot say why."""

    answer = await answered(raising(Wordless()))
    assert (answer.outcome, answer.code) == (Outcome.REFUSED, "in-doubt")


@pytest.mark.parametrize(("error", "said"), [(TimeoutError(), "TimeoutError"), (TimeoutError("10 s"), "10 s")])
async def test_a_timeout_inside_a_handler_is_not_its_own(error: TimeoutError, said: str) -> None:
    """Who waits for a provider for a moment did not take fifteen minutes."""
    answer = await answered(raising(error))
    assert (answer.code, said in answer.message) == ("handler-error", True)
    assert "0:15:00" not in answer.message


async def test_a_handler_that_takes_too_long_is_told_so() -> None:
    """The limit is the participant's."""
    answer = await answered(asyncio.Event().wait, timedelta(microseconds=1))
    assert (answer.code, answer.message) == ("handler-timeout", "no answer within 0:00:00.000001")


async def test_a_handler_that_is_cut_answers_nothing() -> None:
    """Whoever cut it wants it to end."""
    started = asyncio.Event()

    async def end() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(answered(end))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("objection", [True, b"no", 7])
def test_an_objection_is_a_text(objection: Any) -> None:
    """A check that returns whether the command is fine has it the wrong way round: nothing is refused for that."""

    async def handle(_cmd: Pay, _ctx: Context) -> Done:
        raise AssertionError

    answer = read_command(Pay.handled_by(handle, check=lambda _cmd: objection), b'{"amount": 1}')
    assert isinstance(answer, Answer)
    assert (answer.outcome, answer.code) == (Outcome.RETRY, "handler-error")
    assert f"the check returned {objection!r}. Fix: " in answer.message
