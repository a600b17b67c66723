"""What must hold of every run, whatever goes wrong: the undo law, and that nothing is done twice."""

from collections.abc import Iterator

from saga.core import events as e
from saga.core.definition import Step, StepKind
from saga.core.messages import Kind
from saga.core.plan import Plan
from saga.core.state import Phase, SagaState
from saga.testing.world import World


def broken_laws(plan: Plan, state: SagaState, events: tuple[e.AnyEvent, ...], world: World) -> list[str]:
    """Every law that this run breaks, in words."""
    return [
        *_effects(plan, state, world),
        *_once(world),
        *_order(plan, events),
        *_point_of_no_return(plan, events),
        *([] if state.terminal or state.parked else ["it neither ended nor stands in front of a person"]),
    ]


def _effects(plan: Plan, state: SagaState, world: World) -> Iterator[str]:
    standing = set(world.standing)
    for path, current in state.steps.items():
        step = plan.steps[path]
        if state.phase is Phase.COMPENSATED and path in standing and (_can_be_undone(step) or path in plan.pivots):
            yield f"compensated, and the effect of {path} stands"
        done = current.action.outcome == "ok" and not current.undone and step.kind is not StepKind.READ
        if state.phase is Phase.COMPLETED and done and path not in standing:
            yield f"completed, and the effect of {path} does not stand"


def _once(world: World) -> Iterator[str]:
    for path, count in world.done_again():
        yield f"{path} was done {count} times under one key"


def _order(plan: Plan, events: tuple[e.AnyEvent, ...]) -> Iterator[str]:
    """Unfinished ones first, newest issue first; then in reverse order of completion; the next after the one before."""
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
        self._issued: dict[str, int] = {}
        self._settled: dict[str, int] = {}
        self._under_way = ""

    def undo(self, path: str) -> Iterator[str]:
        """What is wrong with undoing this step now."""
        if self._under_way:
            yield f"{path} is undone while the undo of {self._under_way} is under way"
        targets = [each for each in self._issued if _can_be_undone(self._plan.steps[each])]
        first = max(targets, key=self._rank, default=path)
        if self._rank(first) > self._rank(path):
            yield f"{path} is undone before {first}"
        self._under_way = path

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
                self._under_way = ""
            case _:
                return

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
