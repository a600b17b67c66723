"""`compensation_coverage`: everything that can go wrong with each step, tried, and what it led to.

Each step is tried where it was first reached: it fails in each declared way, is exhausted, is done without knowing it,
its reply is lost, it comes twice, it hangs past the saga's deadline, the saga is cancelled while it is on its way; each
compensation is retried, repeated and loses its reply; the orchestrator dies after each commit.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from saga.core import events as e
from saga.core.messages import Kind
from saga.core.plan import plan_of
from saga.define import Definition
from saga.testing.answers import Answers, address
from saga.testing.harness import Run, begin
from saga.testing.troubles import Trouble, stops_of, troubles_of

I = TypeVar("I", bound=msgspec.Struct)  # noqa: E741 - input, as in Definition[I, O]

STORIES_MAX = 5_000


class Ending(msgspec.Struct, frozen=True):
    """What a story came to."""

    troubles: tuple[str, ...]
    status: str
    undone: tuple[str, ...]
    standing: tuple[str, ...]
    needs: tuple[str, ...]
    """Why a person has to look, if one has to."""
    broken: tuple[str, ...]
    """Laws that did not hold."""

    def __str__(self) -> str:
        why = f": {'; '.join(self.needs)}" if self.needs else ""
        return f"{', and '.join(self.troubles) or 'nothing goes wrong'} -> {self.status}{why}"


class Coverage(msgspec.Struct, frozen=True):
    """Which compensations were exercised, and every ending."""

    title: str
    known: Mapping[str, int]
    """How often each compensation was sent for a step that had answered ok: `charge.undo`."""
    unknown: Mapping[str, int]
    """How often for a step whose outcome was not known."""
    endings: tuple[Ending, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Compensations never sent after an ok, or never after an unknown outcome."""
        return (
            *(f"{step} after ok" for step, count in self.known.items() if not count),
            *(f"{step} after an unknown outcome" for step, count in self.unknown.items() if not count),
        )

    @property
    def parked(self) -> tuple[Ending, ...]:
        """Endings in front of a person."""
        return tuple(ending for ending in self.endings if ending.status == "parked")

    @property
    def kept(self) -> tuple[str, ...]:
        """Steps whose effects stand after a compensation: they declare `no_undo`."""
        return tuple(
            dict.fromkeys(step for ending in self.endings if ending.status == "compensated" for step in ending.standing)
        )

    @property
    def broken(self) -> tuple[Ending, ...]:
        """Endings that break a law."""
        return tuple(ending for ending in self.endings if ending.broken)

    def check(self) -> None:
        """Raises AssertionError when a law was broken or a compensation was never sent."""
        problems = [f"{ending}: {'; '.join(ending.broken)}" for ending in self.broken]
        problems += [f"never sent: {missing}. Fix: add an input that leads there" for missing in self.missing]
        if problems:
            raise AssertionError("\n  ".join([f"{self.title}: {len(problems)} problems", *problems]))

    def __str__(self) -> str:
        width = max((len(step) for step in self.known), default=0)
        lines = [f"{self.title}: {len(self.endings)} stories", f"  {'sent':{width}}  after ok  after unknown"]
        lines += [f"  {step:{width}}  {self.known[step]:8}  {self.unknown[step]:13}" for step in self.known]
        lines += [f"  never undone: {', '.join(self.kept)}"] if self.kept else []
        lines += ["  in front of a person:", *(f"    {ending}" for ending in self.parked)] if self.parked else []
        lines += [f"  broken: {ending}: {'; '.join(ending.broken)}" for ending in self.broken]
        return "\n".join(lines)


async def compensation_coverage(definition: Definition[I, Any], inputs: I | Sequence[I], answers: Answers) -> Coverage:
    """Try everything that can go wrong with each step, from each input; see the module.

    `answers` are those of a day on which nothing goes wrong, for every step that any story reaches.

    Raises Unscripted for a step that a story reaches and nothing answers.
    """
    explorer = _Explorer(definition, answers)
    for given in [inputs] if isinstance(inputs, msgspec.Struct) else inputs:
        await explorer.explore(given)
    return explorer.coverage()


class _Explorer:
    def __init__(self, definition: Definition[Any, Any], answers: Answers) -> None:
        self._definition = definition
        self._plan = plan_of(definition.compiled, definition.hash)
        self._answers = answers
        self._endings: list[Ending] = []
        self._reached: set[str] = set()
        self._counts: dict[str, dict[str, int]] = {"ok": {}, "unknown": {}}

    async def explore(self, given: msgspec.Struct) -> None:
        """Every story of one input."""
        stories: list[tuple[Trouble, ...]] = [()]
        while stories:
            troubles = stories.pop(0)
            run = await self._tell(given, troubles)
            if len(self._endings) > STORIES_MAX:
                raise RuntimeError(f"{self._definition.name}: more than {STORIES_MAX} stories. Fix: fewer inputs")
            if not troubles:
                stories += [(_death(commit),) for commit in range(1, len(run.commits) + 1)]
            stories += [(*troubles, trouble) for trouble in self._next(run.commands)]

    def _next(self, commands: tuple[str, ...]) -> Iterator[Trouble]:
        """Everything about what is reached for the first time; and what stops the saga later, where it was before."""
        new = [step for step in commands if step not in self._reached]
        self._reached.update(new)
        for step in new:
            yield from troubles_of(self._plan, step, self._answers)
        if new:
            for step in commands[commands.index(new[0]) + 1 :]:
                if step not in new:
                    yield from stops_of(self._plan, step)

    def coverage(self) -> Coverage:
        """What came of it."""
        steps = self._plan.steps.values()
        undos = [address(step.path, Kind.COMPENSATION) for step in steps if step.undo is not None]
        known, unknown = ({undo: self._counts[outcome].get(undo, 0) for undo in undos} for outcome in ("ok", "unknown"))
        title = f"{self._definition.name} v{self._definition.version}"
        return Coverage(title, known, unknown, tuple(self._endings))

    async def _tell(self, given: msgspec.Struct, troubles: tuple[Trouble, ...]) -> Run[Any]:
        answers = dict(self._answers)
        for trouble in troubles:
            answers.update(trouble.answers)
        run: Run[Any] = begin(self._definition, given, answers)
        for trouble in troubles:
            if trouble.dies_after:
                run.services.kill_orchestrator(trouble.dies_after)
            if trouble.cancel_at:
                await run.until(trouble.cancel_at)
                run.operator.cancel()
        await run.finish()
        for event in run.events:
            if isinstance(event, e.CommandIssued) and event.undoes_outcome is not None:
                counts, step = self._counts[event.undoes_outcome], address(event.path, event.kind)
                counts[step] = counts.get(step, 0) + 1
        needs = tuple(wait.text for wait in run.waits if wait.kind == "parked")
        texts = tuple(trouble.text for trouble in troubles)
        self._endings.append(Ending(texts, run.status, run.undone, run.standing, needs, tuple(run.broken_laws())))
        return run


def _death(commit: int) -> Trouble:
    return Trouble(f"the orchestrator dies after commit {commit}", dies_after=commit)
