"""Laws of the walk: it goes on where it stands, and records what a walk from the root for each event would record."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from saga.core import events as e
from saga.core import inputs as i
from saga.core.address import TOP
from saga.core.advance import advance, stop_is_due
from saga.core.blocks import (
    Attempt,
    Await,
    Block,
    Branch,
    Each,
    Join,
    OnBranchFailed,
    OnLate,
    OnUndoFailed,
    Parallel,
    Repeat,
    StepKind,
    When,
    Within,
)
from saga.core.compensation import next_undo
from saga.core.evolve import evolve, evolve_commit, next_commit
from saga.core.expression import Compare, Literal, Object, Ref, ScalarType
from saga.core.messages import Outcome, ReplyEffect
from saga.core.operate import objection
from saga.core.outstanding import outstanding
from saga.core.plan import Plan, pivot_undecided
from saga.core.progress import Emit
from saga.core.state import Phase, SagaState
from saga.core.walk import Walker
from tests.builders import Case, plan, raw, reply, step, template

ONE = b'{"id":"o1","items":[[1,2],[],[3]]}'
DEPTH_MAX = 4


def sequence(draw: Random, around: str, depth: int = 0) -> tuple[Block, ...]:
    """A few blocks, one after the other."""
    return tuple(_block(draw, f"{around}b{number}", depth) for number in range(draw.randint(1, 3 - (depth > 1))))


def _block(draw: Random, path: str, depth: int) -> Block:
    leaves: list[Callable[[Random, str], Block]] = [_step, _step, _await]
    if depth >= DEPTH_MAX or draw.random() < 0.3:
        return draw.choice(leaves)(draw, path)
    inside = f"{path}/"
    on_failed = draw.choice(list(OnBranchFailed))
    match draw.choice(["when", "attempt", "parallel", "parallel", "each", "each", "repeat", "within"]):
        case "when":
            arms = sequence(draw, f"{inside}y", depth + 1), sequence(draw, f"{inside}n", depth + 1)
            return When(
                path=path, condition=_truth(draw), then=arms[0], otherwise=arms[1] if draw.random() < 0.5 else ()
            )
        case "attempt":
            arms = sequence(draw, f"{inside}y", depth + 1), sequence(draw, f"{inside}n", depth + 1)
            return Attempt(path=path, on=("Declined", "deadline", "limit"), body=arms[0], otherwise=arms[1])
        case "parallel":
            names = [f"{inside}p{number}" for number in range(draw.randint(2, 3))]
            branches = tuple(Branch(path=name, body=sequence(draw, f"{name}/", depth + 1)) for name in names)
            return Parallel(path=path, branches=branches, join=draw.choice(list(Join)), on_failed=on_failed)
        case "each":
            outer = path.count("/each") == 0
            items = Ref("input", ("items",), ScalarType.LIST) if outer else Literal(raw("[1,2,3]"))
            window = draw.randint(1, 3)
            body = sequence(draw, f"{path}/each", depth + 1)
            return Each(path=path, items=items, limit=9, window=window, on_failed=on_failed, body=body)
        case "repeat":
            return Repeat(
                path=path, until=_truth(draw), limit=draw.randint(1, 3), body=sequence(draw, inside, depth + 1)
            )
        case _:
            return Within(path=path, time=timedelta(minutes=1), body=sequence(draw, inside, depth + 1))


def _step(draw: Random, path: str) -> Block:
    # An undo that cannot be built parks at once, where the others wait for it or pass it over.
    body = Object({"gone": Ref("input", ("gone",), ScalarType.STR)} if draw.random() < 0.3 else {})
    return step(
        path,
        draw.choices([StepKind.COMPENSATABLE, StepKind.READ], [5, 1])[0],
        service="shop",
        command=template("shop", "Do"),
        undo=template("shop", "Undo", body=body),
        on_undo_failed=draw.choice(list(OnUndoFailed)),
    )


def _await(draw: Random, path: str) -> Block:
    late = draw.choice(list(OnLate))
    return Await(path=path, signal=draw.choice("st"), within=timedelta(minutes=2), on_late=late)


def _truth(draw: Random) -> Compare:
    return Compare("eq", ScalarType.INT, Literal(raw("1")), Literal(raw(str(draw.randint(0, 1)))))


def lived(draw: Random) -> Case:
    """A saga of any structure, and what came its way."""
    blocks = sequence(draw, "")
    if draw.random() < 0.3:
        blocks = (*blocks, step("pivot", StepKind.PIVOT), *sequence(draw, "z"))
    case = Case(plan(*blocks), input=ONE)
    for number in range(draw.randint(0, 25)):
        move = _move(draw, case, number)
        if move is not None:
            case.when(move)
    return case


def _move(draw: Random, case: Case, number: int) -> i.Input | None:
    now = case.now
    match draw.choice(["answer"] * 8 + ["signal", "signal", "wait", "cancel", "resolve", "resolve"]):
        case "answer":
            return _answer(draw, case)
        case "signal":
            body = msgspec.json.encode({"n": number})
            return i.SignalGiven(
                now=now, signal=draw.choice("st"), message_id=f"m{number}", body=body, by="shop", actor=None
            )
        case "wait":
            case.pass_time(draw.choice([1, 61, 121, 4_000]))
            return i.Tick(now=case.now, dispatched_version=case.state.version)
        case "cancel" if draw.random() < 0.4:
            return i.Cancel(now=now, request="c", by="shop", actor=None, reason="r")
        case "resolve" if case.state.parked:
            path, verdict = draw.choice(list(case.state.parked)), draw.choice(list(i.Verdict))
            moved = i.Resolve(now=now, path=path, verdict=verdict, actor="olga", reason="r", evidence="books")
            return moved if objection(case.plan, case.state, moved) is None else None
        case _:
            return None


def _answer(draw: Random, case: Case) -> i.Input | None:
    due = outstanding(case.plan, case.state)
    if not due:
        return None
    outcome = draw.choice([Outcome.OK, Outcome.OK, Outcome.FAILED])
    code = "Declined" if outcome is Outcome.FAILED else ""
    effect = ReplyEffect.APPLIED if outcome is Outcome.OK else ReplyEffect.NONE
    message = reply(draw.choice(due).message, outcome, body=b"{}", code=code, effect=effect)
    return i.Reply(now=case.now, message=message)


def _disturbed(draw: Random, case: Case) -> SagaState:
    """The state in the middle of a commit: what followed there has to follow again."""
    last = draw.randrange(len(case.commits))
    state = None
    for commit in case.commits[:last]:
        state = evolve_commit(state, commit)
    return evolve_commit(state, case.commits[last][: draw.randint(1, len(case.commits[last]))])


def at_once(of: Plan, state: SagaState, now: datetime) -> list[e.AnyEvent]:
    """What follows, as it is decided."""
    found: list[e.AnyEvent] = []
    while True:
        more, state = advance(of, state, now)
        if not more:
            return found
        found += more


def one_by_one(of: Plan, state: SagaState, now: datetime) -> list[e.AnyEvent]:
    """What follows, looked for from the root for each event."""
    found: list[e.AnyEvent] = []
    while more := _next(of, state, now):
        for event in more:
            state = evolve(state, event)
        found += more
    return found


def _next(of: Plan, state: SagaState, now: datetime) -> tuple[e.AnyEvent, ...]:
    if state.phase is Phase.COMPENSATING and (undo := next_undo(state, of.definition.blocks, TOP, now)):
        return undo[:1]
    if state.phase is Phase.RUNNING and (not stop_is_due(of, state) or pivot_undecided(of, state)):
        progress = Walker(of, state, now).look(of.definition.blocks, TOP)
        if isinstance(progress, Emit):
            # several undos that go side by side are no other than the first, and then those that are left
            undoing = isinstance(progress.events[0], e.CommandIssued | e.StepParked)
            return progress.events[:1] if undoing else progress.events
    return advance(of, state, now)[0]


@given(st.integers(0, 2**32))
@settings(max_examples=400)
def test_a_walk_that_goes_on_where_it_stands_records_what_one_from_the_root_for_each_event_would(seed: int) -> None:
    """Whatever the structure, and wherever a saga stands in it: the same events in the same order."""
    draw = Random(seed)
    case = lived(draw)
    state = _disturbed(draw, case)
    assert at_once(case.plan, state, case.now) == one_by_one(case.plan, state, case.now)
    if not state.terminal:
        stopped = evolve(next_commit(state), e.CompensationStarted(at=case.now, because="cancelled", message="c"))
        assert at_once(case.plan, stopped, case.now) == one_by_one(case.plan, stopped, case.now)
