"""What must hold of every run, whatever goes wrong: the undo law, and that nothing is done twice."""

from collections.abc import Iterator

from saga.core import events as e
from saga.core.definition import Step, StepKind
from saga.core.messages import Kind
from saga.core.outstanding import waits
from saga.core.plan import Plan
from saga.core.state import Phase, SagaState
from saga.testing.places import SideBySide
from saga.testing.world import World


def broken_laws(plan: Plan, state: SagaState, events: tuple[e.AnyEvent, ...], world: World) -> list[str]:
    """Every law that this run breaks, in words."""
    return [
        *_effects(plan, state, world),
        *_once(world),
        *_order(plan, events),
        *_point_of_no_return(plan, events),
        *_rest(plan, state),
    ]


def _rest(plan: Plan, state: SagaState) -> Iterator[str]:
    others = any(wait.kind in {"approval", "signal", "child"} for wait in waits(plan, state))
    if not (state.terminal or state.parked or others):
        yield "it neither ended nor stands in front of a person"


def _effects(plan: Plan, state: SagaState, world: World) -> Iterator[str]:
    standing = set(world.standing)
    for path, current in state.steps.items():
        step = plan.step(path)
        if state.phase is Phase.COMPENSATED and path in standing and (_can_be_undone(step) or path in plan.pivots):
            yield f"compensated, and the effect of {path} stands"
        done = current.action.outcome == "ok" and not current.undone and step.kind is not StepKind.READ
        if state.phase is Phase.COMPLETED and done and path not in standing:
            yield f"completed, and the effect of {path} does not stand"


def _once(world: World) -> Iterator[str]:
    for path, count in world.done_again():
        yield f"{path} was done {count} times under one key"


def _order(plan: Plan, events: tuple[e.AnyEvent, ...]) -> Iterator[str]:
    """Unfinished ones first; then in reverse order of completion; the next after the one before. Branches and items
    have no order among each other, and what is unfinished may be undone at once."""
    steps = _Steps(plan)
    for at, event in enumerate(events):
        if isinstance(event, e.CommandIssued) and event.kind is Kind.COMPENSATION:
            yield from steps.undo(event.path)
        else:
            steps.note(at, event)


class _Steps:
    """What was issued and what was completed, when, and what is being undone."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._side_by_side = SideBySide(plan)
        self._issued: dict[str, int] = {}
        self._settled: dict[str, int] = {}
        self._under_way: set[str] = set()
        self._all = False
        """The whole saga is undone, not only a block of it."""

    def undo(self, path: str) -> Iterator[str]:
        """What is wrong with undoing this step now."""
        for other in sorted(self._under_way - {path}):
            if self._before(other, path):
                yield f"{path} is undone while the undo of {other} is under way"
        targets = [each for each in self._issued if each not in self._under_way and self._can_be_undone(each)]
        earlier = [each for each in targets if each != path and self._before(each, path)]
        if earlier:
            yield f"{path} is undone before {max(earlier, key=self._rank)}"
        self._under_way.add(path)

    def note(self, at: int, event: e.AnyEvent) -> None:
        """Anything but the issue of a compensation."""
        match event:
            case e.CommandIssued(path=path):
                self._issued[path] = at
                self._settled.pop(path, None)
            case e.StepSucceeded(path=path):
                self._settled.setdefault(path, at)
            case e.StepFailed(path=path):
                self._issued.pop(path, None)
            case e.CompensationSucceeded(path=path) | e.StepParked(path=path, kind=Kind.COMPENSATION):
                self._issued.pop(path, None)
                self._under_way.discard(path)
            case e.CompensationStarted():
                self._all = True
            case _:
                return

    def _before(self, one: str, other: str) -> bool:
        """The undo of one has to be over before that of the other begins."""
        unfinished = one not in self._settled
        if unfinished and self._all:
            return other in self._settled
        return self._rank(one) > self._rank(other) and not self._side_by_side(one, other)

    def _can_be_undone(self, path: str) -> bool:
        return _can_be_undone(self._plan.step(path))

    def _rank(self, path: str) -> tuple[bool, int]:
        return (path not in self._settled, self._settled.get(path, self._issued.get(path, -1)))


def _point_of_no_return(plan: Plan, events: tuple[e.AnyEvent, ...]) -> Iterator[str]:
    passed = ""
    for event in events:
        if isinstance(event, e.StepSucceeded) and event.path in plan.pivots:
            passed = event.path
        elif passed and isinstance(event, e.CommandIssued) and event.kind is Kind.COMPENSATION:
            yield f"{event.path} is undone after the pivot {passed}"


def _can_be_undone(step: Step) -> bool:
    return step.kind is StepKind.COMPENSATABLE and step.undo is not None
