"""Everything that can go wrong with one command, as scripts."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import msgspec

from saga.core.definition import Step, StepKind
from saga.core.messages import Kind
from saga.core.plan import Plan
from saga.testing.answers import Answer, Answers, One, Sent, failed, lost, mishap_of, ok, retry, silent, split, stuck
from saga.testing.answers import twice as delivered_twice
from saga.testing.places import general

Telling = Callable[[Sent], msgspec.Struct]
AFTERWARDS = timedelta(hours=1)
"""How long after the saga's deadline a stuck command arrives."""


class Trouble(msgspec.Struct, frozen=True):
    """One thing that goes wrong."""

    text: str
    answers: dict[str, One] = {}
    cancel_at: str = ""
    answered_first: bool = False
    """It is paused until that command is answered, and cancelled then: nothing may stand between its reply and an end
    after which nothing is undone."""
    dies_after: int = 0


def troubles_of(plan: Plan, name: str, answers: Answers) -> Iterator[Trouble]:
    """What can go wrong with `charge`, or with `charge.undo`."""
    path, kind = split(name)
    usual = _usual(name, answers)
    if kind is Kind.ACTION:
        yield from _refusals(plan.step(path))
        yield from _doubts(plan.step(path), usual)
        beyond = plan.definition.deadline + AFTERWARDS
        yield _trouble(f"{name} is stuck past the deadline", name, lambda sent: stuck(usual(sent), by=beyond))
        yield _cancel(name)
        if plan.step(path).undo is not None:
            text = f"it is paused while {name} is on its way, and cancelled after the answer"
            yield Trouble(text, {name: usual}, cancel_at=name, answered_first=True)
    else:
        yield _trouble(f"{name} is not possible at first", name, _at_first(lambda _: retry(), usual))
    yield _trouble(f"the reply of {name} is lost", name, _at_first(lambda sent: lost(usual(sent)), usual))
    yield _trouble(f"{name} comes twice", name, lambda sent: delivered_twice(usual(sent)))


def stops_of(plan: Plan, name: str) -> Iterator[Trouble]:
    """What makes a saga compensate at this step, when it got that far."""
    path, kind = split(name)
    if kind is Kind.ACTION:
        yield from _refusals(plan.step(path))
        yield _cancel(name)


def _cancel(name: str) -> Trouble:
    return Trouble(f"it is cancelled while {name} is on its way", cancel_at=name)


def _refusals(step: Step) -> Iterator[Trouble]:
    for code in step.command.failures:
        yield Trouble(f"{step.path} answers {code}", {step.path: failed(code)})


def _doubts(step: Step, usual: Callable[[Sent], Answer]) -> Iterator[Trouble]:
    """What leaves the outcome of a step unknown."""
    name = step.path
    # The pivot and what follows it are repeated until they are done: what lasts for ever would never end.
    endless = step.kind in {StepKind.PIVOT, StepKind.RETRYABLE}

    def unknowing(sent: Sent) -> Answer:
        return retry(done=usual(sent).value)

    yield _trouble(f"{name} is done and does not know it", name, _at_first(unknowing, usual))
    yield _trouble(f"{name} does not answer at first", name, _at_first(lambda _: silent(), usual))
    if not endless:
        yield _trouble(f"{name} is done and never knows it", name, unknowing)
        yield Trouble(f"{name} is never possible", {name: retry()})
        yield Trouble(f"{name} never answers", {name: silent()})
        yield _trouble(f"no reply of {name} arrives", name, lambda sent: lost(usual(sent)))


def _trouble(text: str, name: str, script: Telling) -> Trouble:
    return Trouble(text, {name: script})


def _at_first(
    trouble: Callable[[Sent], msgspec.Struct], usual: Callable[[Sent], Answer]
) -> Callable[[Sent], msgspec.Struct]:
    return lambda sent: trouble(sent) if sent.message.attempt == 1 else usual(sent)


def _usual(name: str, answers: Answers) -> Callable[[Sent], Answer]:
    """The last answer of a script: how it goes when nothing is wrong."""
    script = answers.get(name) or answers.get(general(name), ok())
    last = script[-1] if isinstance(script, Sequence) else script
    return lambda sent: mishap_of(last(sent) if callable(last) else last).answer
