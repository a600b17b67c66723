"""Laws of the core, for any history that inputs in any order can lead to."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from saga.core import events as e
from saga.core import inputs as i
from saga.core.decide import decide
from saga.core.evolve import fold
from saga.core.messages import BUSY, CommandMessage, Outcome, RefusedCode, ReplyEffect
from saga.core.outstanding import next_wake, outstanding, view, waits
from saga.core.plan import Plan
from saga.core.replies import screen
from saga.core.state import Phase
from saga.cost import Cost, added
from tests.builders import Case, reply
from tests.simulation.workload import Patience, plan_number

PLANS = st.integers(0, 600).map(lambda number: plan_number(number, Patience.NONE))
CODES = [BUSY, "unavailable", *RefusedCode]
MOVES = st.one_of(
    st.tuples(st.just("ok"), st.integers(0, 5)),
    st.tuples(st.just("failed"), st.integers(0, 5)),
    st.tuples(st.just("retry"), st.integers(0, 5), st.sampled_from(CODES)),
    st.tuples(st.just("refused"), st.integers(0, 5), st.sampled_from(CODES)),
    st.tuples(st.just("wait"), st.sampled_from([0, 1, 6, 31, 400, 4_000, 90_000, 3_000_000]), st.booleans()),
    st.tuples(st.sampled_from(["undelivered", "delivered"]), st.integers(0, 5)),
    st.tuples(st.sampled_from(["cancel", "pause", "resume", "abandon"]), st.integers(0, 30)),
    st.tuples(st.just("resolve"), st.integers(0, 3), st.sampled_from(list(i.Verdict))),
)
TOLD: list[Cost | None] = [None, {"USD": Decimal("0.01")}, {}, {"USD": Decimal("0.02"), "tokens": Decimal(7)}]
"""Costs of answers: none, some, unreadable."""
SCRIPTS = st.lists(MOVES, max_size=40)
RELAXED = settings(max_examples=150)


class Played(Case):
    """A saga that lives through a script; remembers every command that was ever on the wire."""

    def __init__(self, of: Plan) -> None:
        super().__init__(of, input=b'{"id":"o1","n":2}')
        self.commands: list[CommandMessage] = []
        self.look()

    def look(self) -> None:
        """Note what is on the wire now."""
        for due in outstanding(self.plan, self.state):
            if due.message not in self.commands:
                self.commands.append(due.message)

    def play(self, move: tuple[Any, ...]) -> i.Input | None:
        """One move; the input it was, or None when there was nothing to move."""
        made = self.input_of(move)
        if made is not None:
            self.when(made)
            self.look()
        return made

    def input_of(self, move: tuple[Any, ...]) -> i.Input | None:
        """A move as an input; None when it does not apply now."""
        verb, number = move[0], move[1]
        texts = {"actor": "olga", "reason": "r"}
        match verb:
            case "wait":
                self.pass_time(number)
                version = self.state.version if move[2] else 0
                return i.Tick(now=self.now, dispatched_version=version)
            case "ok" | "failed" | "retry" | "refused":
                return self._answer(Outcome(verb), number, move[2] if len(move) > 2 else "Declined")
            case "undelivered" | "delivered":
                return self._returned(verb, number)
            case "cancel":
                return i.Cancel(now=self.now, request=f"c{number}", by="shop", actor=None, reason="r")
            case "pause":
                return i.Pause(now=self.now, **texts)
            case "resume":
                return i.Resume(now=self.now, **texts)
            case "abandon":
                return i.Abandon(now=self.now, **texts) if number == 0 else None
            case _:
                return self._resolve(number, move[2])

    def _answer(self, outcome: Outcome, number: int, code: str) -> i.Input | None:
        command = self.commands[-1 - number % len(self.commands)] if self.commands else None
        if command is None:
            return None
        effect = ReplyEffect.APPLIED if outcome is Outcome.OK else ReplyEffect.NONE
        answer = reply(
            command,
            outcome,
            body=b'{"id":"x"}' if outcome is Outcome.OK else b"{}",
            code="" if outcome is Outcome.OK else code,
            effect=effect,
            cost=TOLD[number % len(TOLD)],
        )
        return None if screen(self.plan, self.state, answer) is not None else i.Reply(now=self.now, message=answer)

    def _returned(self, verb: str, number: int) -> i.Input | None:
        if not self.commands:
            return None
        c = self.commands[-1 - number % len(self.commands)]
        if verb == "delivered":
            return i.Delivered(now=self.now, path=c.path, kind=c.kind, execution=c.execution, attempt=c.attempt)
        return i.Undelivered(
            now=self.now, path=c.path, kind=c.kind, execution=c.execution, attempt=c.attempt, detail="no queue"
        )

    def _resolve(self, number: int, verdict: i.Verdict) -> i.Input | None:
        parked = list(self.state.parked)
        if not parked:
            return None
        return i.Resolve(
            now=self.now,
            path=parked[number % len(parked)],
            verdict=verdict,
            actor="olga",
            reason="r",
            evidence="books",
            reply=b'{"id":"x"}',
        )


def played(of: Plan, script: list[tuple[Any, ...]]) -> Played:
    case = Played(of)
    for move in script:
        case.play(move)
    return case


@given(PLANS, SCRIPTS)
@RELAXED
def test_the_fold_of_any_history_is_the_decided_state(of: Plan, script: list[tuple[Any, ...]]) -> None:
    """Reading a history never raises, and means what was decided; every event survives its bytes."""
    case = played(of, script)
    read = [e.decode(e.encode(commit)) for commit in case.commits]
    assert read == case.commits
    assert fold(read) == case.state


@given(PLANS, SCRIPTS)
@RELAXED
def test_deciding_again_decides_the_same(of: Plan, script: list[tuple[Any, ...]]) -> None:
    """`decide` is a function: recorded inputs give the recorded bytes."""
    case = played(of, script)
    state = None
    for given_input, commit in zip(case.inputs(), case.commits, strict=True):
        decision = decide(of, state, given_input)
        assert e.encode(decision.events) == e.encode(commit)
        state = decision.state


@given(PLANS, SCRIPTS, MOVES)
@RELAXED
def test_a_duplicated_input_changes_nothing(of: Plan, script: list[tuple[Any, ...]], move: tuple[Any, ...]) -> None:
    """Whatever arrives twice at one moment counts once. A verdict on what was parked again meanwhile is a new one."""
    case = played(of, script)
    made = case.play(move)
    if made is None or isinstance(made, i.Resolve):
        return
    once = case.state
    if isinstance(made, i.Tick):  # a back-off of no length is over at once: time itself is the second input
        made = i.Tick(now=made.now - timedelta(microseconds=1), dispatched_version=made.dispatched_version)
    assert decide(of, once, made).events == ()


@given(PLANS, SCRIPTS)
@RELAXED
def test_nothing_is_sent_from_where_nothing_may_be(of: Plan, script: list[tuple[Any, ...]]) -> None:
    """Ended or paused: nothing on the wire, no alarm. Otherwise: a reason, and somebody or something to move it."""
    case = played(of, script)
    state = case.state
    if state.terminal or state.paused_at is not None:
        assert outstanding(of, state) == []
        assert next_wake(of, state, case.now, 0) is None
    assert state.terminal == (waits(of, state) == [])
    assert state.terminal or view(of, state).wait_text
    moved_by_a_person = bool(state.parked) or state.paused_at is not None
    assert state.terminal or moved_by_a_person or next_wake(of, state, case.now, 0) is not None


@given(PLANS, SCRIPTS, SCRIPTS)
@RELAXED
def test_terminal_phases_absorb(of: Plan, script: list[tuple[Any, ...]], more: list[tuple[Any, ...]]) -> None:
    """After the end only inert facts are recorded."""
    case = played(of, script)
    if not case.state.terminal:
        case.when(i.Abandon(now=case.now, actor="olga", reason="r"))
    ended, commits = case.state.phase, len(case.commits)
    for move in more:
        case.play(move)
    assert case.state.phase is ended
    late = [event for commit in case.commits[commits:] for event in commit]
    assert all(isinstance(event, e.LateReply | e.ContradictoryReply) for event in late)


@given(PLANS, SCRIPTS)
@RELAXED
def test_an_answer_that_is_recorded_costs_once(of: Plan, script: list[tuple[Any, ...]]) -> None:
    """What a history cost is what the answers told that led to a commit, and of the definite ones to one execution the
    first that told any; the state has its sum."""
    case = played(of, script)
    answers = [given.message for given in case.inputs() if isinstance(given, i.Reply)]
    definite = {Outcome.OK, Outcome.FAILED}
    told: dict[object, Cost] = {}
    for number, answer in enumerate(answers):
        if answer.cost is not None:
            told.setdefault(answer.key if answer.outcome in definite else number, answer.cost)
    recorded = [event.cost for commit in case.commits for event in commit if isinstance(event, e.Costly)]
    assert [cost for cost in recorded if cost is not None] == list(told.values())
    assert case.state.cost == added(told.values())
    assert case.state.costs_unreadable == list(told.values()).count({})


@given(PLANS, SCRIPTS)
@RELAXED
def test_one_end_at_most(of: Plan, script: list[tuple[Any, ...]]) -> None:
    """A history has at most one terminal event, and its phase says which."""
    case = played(of, script)
    ends = {e.SagaCompleted: Phase.COMPLETED, e.SagaCompensated: Phase.COMPENSATED, e.SagaAbandoned: Phase.ABANDONED}
    found = [ends[type(event)] for commit in case.commits for event in commit if type(event) in ends]
    assert found == ([case.state.phase] if case.state.terminal else [])
