"""`compensation_coverage`: everything that can go wrong with each step, tried, and what it led to.

Each step is tried where it was first reached: it fails in each declared way, is exhausted, is done without knowing it,
its reply is lost, it comes twice, it hangs past the saga's deadline, the saga is cancelled while it is on its way, and
right after its answer; each compensation is retried, repeated and loses its reply; the orchestrator dies after each
commit. Items and turns are tried one by one. What is not tried, `Coverage.not_varied` says.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from saga.core import events as e
from saga.core.blocks import Approval, Await, Block, Each, Parallel, Repeat, Sleep, Step, Within
from saga.core.children import SERVICE
from saga.core.messages import Kind
from saga.core.outstanding import Wait
from saga.core.plan import Plan, plan_of
from saga.define import Definition
from saga.testing.answers import Answers, address
from saga.testing.harness import Run, begin
from saga.testing.places import general
from saga.testing.scripts import Unscripted
from saga.testing.troubles import Trouble, stops_of, troubles_of

I = TypeVar("I", bound=msgspec.Struct)  # noqa: E741 - input, as in Definition[I, O]

STORIES_MAX = 5_000
OTHERS = frozenset({"approval", "signal"})
NEEDS = OTHERS | {"parked"}
ORDERS = "other orders of answers. Fix: play(..., network=ROUGH, seed=n) for many n"
NOT_VARIED: dict[type[Block], str] = {
    Parallel: ORDERS,
    Each: ORDERS,
    Repeat: "other numbers of turns than the answers make",
    Within: "that its time passes while nothing is stuck",
    Sleep: "a cancel while it sleeps",
    Await: "that the signal is late or never comes, and a cancel before it comes",
    Approval: "refusals, edits, silence, and a cancel before the decision",
}
Meanwhile = Callable[[Run[Any]], Awaitable[object]]


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
    not_varied: tuple[str, ...] = ()
    """What no story tries, with the block it is about."""
    unanswered: tuple[str, ...] = ()
    """Approvals and signals at which a story ended, because nobody decided and nothing came: `review`, `ok of hire`."""

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
            dict.fromkeys(
                general(step) for ending in self.endings if ending.status == "compensated" for step in ending.standing
            )
        )

    @property
    def broken(self) -> tuple[Ending, ...]:
        """Endings that break a law."""
        return tuple(ending for ending in self.endings if ending.broken)

    def check(self) -> None:
        """Raises AssertionError when a law was broken, a compensation was never sent, or a wait was never answered."""
        problems = [f"{ending}: {'; '.join(ending.broken)}" for ending in self.broken]
        problems += [f"no way past {path}: nobody answers. Fix: meanwhile=..." for path in self.unanswered]
        problems += [f"never sent: {missing}. Fix: add an input that leads there" for missing in self.missing]
        if problems:
            raise AssertionError("\n  ".join([f"{self.title}: {len(problems)} problems", *problems]))

    def __str__(self) -> str:
        width = max((len(step) for step in self.known), default=0)
        lines = [f"{self.title}: {len(self.endings)} stories", f"  {'sent':{width}}  after ok  after unknown"]
        lines += [f"  {step:{width}}  {self.known[step]:8}  {self.unknown[step]:13}" for step in self.known]
        lines += [f"  never undone: {', '.join(self.kept)}"] if self.kept else []
        lines += ["  in front of a person:", *(f"    {ending}" for ending in self.parked)] if self.parked else []
        lines += [f"  no way past {path}" for path in self.unanswered]
        lines += ["  not tried:", *(f"    {text}" for text in self.not_varied)] if self.not_varied else []
        lines += [f"  broken: {ending}: {'; '.join(ending.broken)}" for ending in self.broken]
        return "\n".join(lines)


async def compensation_coverage(
    definition: Definition[I, Any],
    inputs: I | Sequence[I],
    answers: Answers,
    *,
    meanwhile: Meanwhile | None = None,
    actor: str | None = None,
) -> Coverage:
    """Try everything that can go wrong with each step, from each input; see the module.

    `answers` are those of a day on which nothing goes wrong, for every step that any story reaches. `meanwhile` is
    what others do on such a day: it is called whenever a run waits for a signal or an approval and for nothing else,
    itself or in a sub-saga that is played (`run.children`). `actor` is that of `play`.

    Raises Unscripted for a step that a story reaches and nothing answers.
    """
    explorer = _Explorer(definition, answers, meanwhile, actor)
    for given in [inputs] if isinstance(inputs, msgspec.Struct) else inputs:
        await explorer.explore(given)
    return explorer.coverage()


class _Explorer:
    def __init__(
        self, definition: Definition[Any, Any], answers: Answers, meanwhile: Meanwhile | None, actor: str | None
    ) -> None:
        self._definition = definition
        self._plan = plan_of(definition.compiled, definition.hash)
        self._answers = answers
        self._meanwhile = meanwhile
        self._actor = actor
        self._unanswered: dict[str, None] = {}
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
        not_varied = tuple(not_varied_in(self._plan))
        return Coverage(title, known, unknown, tuple(self._endings), not_varied, tuple(self._unanswered))

    async def _tell(self, given: msgspec.Struct, troubles: tuple[Trouble, ...]) -> Run[Any]:
        answers = dict(self._answers)
        for trouble in troubles:
            answers.update(trouble.answers)
        run: Run[Any] = begin(self._definition, given, answers, actor=self._actor)
        for trouble in troubles:
            if trouble.dies_after:
                run.services.kill_orchestrator(trouble.dies_after)
            if trouble.cancel_at:
                await self._until(run, trouble.cancel_at)
                await self._cancel(run, trouble)
        await run.finish()
        while await self._others_act(run):
            await run.finish()
        waiting = list(_waiting(run))
        asked = (" of ".join((wait.path, *within)) for within, wait in waiting if wait.kind in OTHERS)
        self._unanswered.update(dict.fromkeys(asked))
        for event in run.events:
            if isinstance(event, e.CommandIssued) and event.undoes_outcome is not None:
                counts, step = self._counts[event.undoes_outcome], general(address(event.path, event.kind))
                counts[step] = counts.get(step, 0) + 1
        needs = tuple(": ".join((*within[::-1], wait.text)) for within, wait in waiting if wait.kind in NEEDS)
        texts = tuple(trouble.text for trouble in troubles)
        self._endings.append(Ending(texts, run.status, run.undone, run.standing, needs, tuple(run.broken_laws())))
        return run

    async def _cancel(self, run: Run[Any], trouble: Trouble) -> None:
        if trouble.answered_first:
            await self._pause_until_answered(run, trouble.cancel_at)
        if run.state.terminal:
            return
        run.operator.cancel()
        if run.status == "paused":
            run.operator.resume()

    async def _pause_until_answered(self, run: Run[Any], step: str) -> None:
        """Others act between two pauses: a paused saga consumes nothing, and would be told the same for ever."""
        others_acted = True
        while others_acted and not run.state.terminal:
            run.operator.pause()
            await run.finish()
            if run.state.steps[step].action.outcome is not None:
                return
            run.operator.resume()
            others_acted = await self._others_act(run)

    async def _until(self, run: Run[Any], step: str) -> None:
        while not run.attempts(step):
            try:
                await run.until(step)
            except Unscripted:
                raise
            except LookupError:
                if not await self._others_act(run):
                    raise

    async def _others_act(self, run: Run[Any]) -> bool:
        """Whether those the saga and its sub-sagas wait for did something."""
        if self._meanwhile is None or not any(wait.kind in OTHERS for _, wait in _waiting(run)):
            return False
        versions = list(_versions(run))
        await self._meanwhile(run)
        return list(_versions(run)) != versions


def _waiting(run: Run[Any], within: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Wait]]:
    """Why the saga and the sub-sagas played in it do not move, each with the steps it is within, innermost first."""
    for wait in run.waits:
        yield within, wait
    for path, child in run.children.items():
        yield from _waiting(child, (path, *within))


def _versions(run: Run[Any]) -> Iterator[int]:
    yield run.state.version
    for child in run.children.values():
        yield from _versions(child)


def not_varied_in(plan: Plan) -> Iterator[str]:
    """What no story tries, for each block that is more than a step."""
    for path, block in plan.blocks.items():
        if type(block) in NOT_VARIED:
            yield f"{path}: {NOT_VARIED[type(block)]}"
        elif isinstance(block, Step) and block.command.service == SERVICE:
            yield f"{path}: what goes wrong inside the sub-saga. Fix: cover {block.command.name} by itself"


def _death(commit: int) -> Trouble:
    return Trouble(f"the orchestrator dies after commit {commit}", dies_after=commit)
