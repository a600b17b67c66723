"""What the sagas of a run do: random definitions of every construct, drawn from a pool so that a plan is built once."""

from datetime import timedelta
from enum import Enum
from functools import lru_cache
from random import Random

import msgspec

from saga.contract import Effect
from saga.core.definition import (
    Attempt,
    Block,
    CommandTemplate,
    Definition,
    OnExhausted,
    OnUndoFailed,
    RetryPolicy,
    Step,
    StepKind,
    When,
    canonical,
    content_hash,
    decode,
)
from saga.core.expression import Coalesce, Compare, Expression, Literal, Object, Ref, ScalarType
from saga.core.plan import Plan, plan_of
from tests.simulation.faults import Faults, Regime

SERVICES = ("alpha", "beta", "gamma")
POOL = 2_048
"""Different definitions; more of them find little and cost their building."""
STEPS_MOST = 8
FAILURES = ("Declined", "Limit")
ORDER = Ref("input", ("id",), ScalarType.STR)
NUMBER = Ref("input", ("n",), ScalarType.INT)
EFFECTS = (Effect.INBOX, Effect.INBOX, Effect.PROVIDER_KEY, Effect.PROBE, Effect.AT_MOST_ONCE)
UNDO_EFFECTS = (Effect.INBOX, Effect.INBOX, Effect.PROVIDER_KEY, Effect.PROBE)
VERY_LONG = timedelta(days=3_000)


class Patience(Enum):
    """What a definition gives up for the sake of time."""

    NONE = 0
    """Everything it may."""
    ATTEMPTS = 1
    """Single attempts, never a step."""
    ENDLESS = 2
    """Nothing, ever."""
    DAYS = 3
    """Everything it may, but slowly."""


PATIENCE = {
    Regime.NO_DEADLINE: Patience.ENDLESS,
    Regime.FAULT_FREE: Patience.ENDLESS,
    Regime.WITHIN_BUDGET: Patience.ATTEMPTS,
    Regime.AGES: Patience.DAYS,
}


class Planned(msgspec.Struct, frozen=True):
    """One saga of a run."""

    plan: Plan
    input: bytes


class Workload(msgspec.Struct, frozen=True):
    """All sagas of a run."""

    sagas: tuple[Planned, ...]
    children: dict[str, Plan] = {}
    """Sub-sagas written by hand, by name; the others are drawn."""
    structured: bool = False
    """Whether people and others outside are asked for anything."""

    @staticmethod
    def draw(random: Random, faults: Faults) -> "Workload":
        """One to three sagas."""
        patience = PATIENCE.get(faults.regime, Patience.NONE)
        count = random.choice((1, 1, 1, 1, 1, 2, 2, 3))
        return Workload(
            tuple(
                Planned(
                    plan_number(random.randrange(POOL), patience), b'{"id":"o%d","n":%d}' % (n, random.randrange(4))
                )
                for n in range(count)
            )
        )


@lru_cache(maxsize=4 * POOL)
def plan_number(number: int, patience: Patience) -> Plan:
    """The pool's definition of this number."""
    data = canonical(Author(Random(number), patience).definition(number))
    return plan_of(decode(data), content_hash(data))


class Author:
    """Writes one definition that the build would accept."""

    steps_most = STEPS_MOST

    def __init__(self, random: Random, patience: Patience) -> None:
        self._random = random
        self._patient = patience in (Patience.ATTEMPTS, Patience.ENDLESS)
        self._scale = 10_000 if patience is Patience.DAYS else 1
        self._no_timeouts = patience is Patience.ENDLESS
        self._steps: list[Step] = []
        self._visible: list[str] = []
        """Steps whose reply is there for certain at this place."""
        self._reads = {"input.id": "str", "input.n": "int"}
        self._blocks = 0
        self._prefix = ""
        """Of the names in an item or a turn."""

    def definition(self, number: int) -> Definition:
        random = self._random
        blocks = self._sequence(random.choice((1, 2, 2, 3, 4)), depth=0)
        if random.random() < 0.5:
            blocks.append(self._pivot())
            blocks += [self._after_pivot() for _ in range(random.choice((0, 1, 1, 2)))]
        return Definition(
            name=f"pool-{number}",
            version=1,
            deadline=VERY_LONG
            if self._patient
            else timedelta(seconds=self._scale * random.choice((600, 7_200, 86_400, 2_592_000))),
            input_type="Input",
            output_type="Output",
            reads=self._reads,
            blocks=tuple(blocks),
            output=Object({"order": ORDER, **self._maybe_reply()}),
        )

    def _sequence(self, length: int, depth: int) -> list[Block]:
        found: list[Block] = []
        for _ in range(length):
            if len(self._steps) < self.steps_most:
                found += self._block(depth)
        return found or [self._plain()]

    def _block(self, depth: int) -> list[Block]:
        kind = self._random.random()
        if depth >= 2 or kind < 0.72:
            return [self._plain()]
        return [self._when(depth) if kind < 0.84 else self._attempt(depth)]

    def _name(self, letter: str) -> str:
        self._blocks += 1
        return f"{self._prefix}{letter}{self._blocks}"

    def _pivot(self) -> Step:
        return self._step(StepKind.PIVOT)

    def _plain(self) -> Step:
        return self._step(StepKind.READ if self._random.random() < 0.15 else StepKind.COMPENSATABLE)

    def _after_pivot(self) -> Block:
        if self._random.random() < 0.15:
            return When(path=self._name("w"), condition=self._condition(), then=(self._hidden(StepKind.RETRYABLE),))
        return self._step(self._random.choice((StepKind.RETRYABLE, StepKind.RETRYABLE, StepKind.READ)))

    def _hidden(self, kind: StepKind) -> Step:
        visible = list(self._visible)
        step = self._step(kind)
        self._visible = visible
        return step

    def _when(self, depth: int) -> When:
        path = self._name("w")
        condition = self._condition()
        visible = list(self._visible)
        then = self._sequence(self._random.choice((1, 1, 2)), depth + 1)
        self._visible = list(visible)
        otherwise = self._sequence(1, depth + 1) if self._random.random() < 0.4 else []
        self._visible = visible
        return When(path=path, condition=condition, then=tuple(then), otherwise=tuple(otherwise))

    def _attempt(self, depth: int) -> Attempt:
        path = self._name("a")
        visible = list(self._visible)
        body = self._sequence(self._random.choice((1, 2, 2, 3)), depth + 1)
        self._visible = list(visible)
        otherwise = self._sequence(1, depth + 1)
        self._visible = visible
        on = self._random.choice((("Declined",), ("Declined", "Limit", "exhausted"), ("exhausted",)))
        return Attempt(path=path, on=on, body=tuple(body), otherwise=tuple(otherwise))

    def _condition(self) -> Expression:
        literal = Literal(msgspec.Raw(b"%d" % self._random.randrange(4)))
        return Compare("ge", ScalarType.INT, NUMBER, literal)

    def _maybe_reply(self) -> dict[str, Expression]:
        if not self._visible or self._random.random() < 0.5:
            return {}
        source = self._random.choice(self._visible)
        self._reads[f"{source}.id"] = "str"
        return {"from": Ref(source, ("id",), ScalarType.STR)}

    def _step(self, kind: StepKind) -> Step:
        random = self._random
        path = f"{self._prefix}s{len(self._steps)}"
        service = random.choice(SERVICES)
        effect = Effect.READ_ONLY if kind is StepKind.READ else random.choice(EFFECTS)
        forward = kind in (StepKind.PIVOT, StepKind.RETRYABLE)
        failures = () if kind is StepKind.RETRYABLE and random.random() < 0.8 else FAILURES
        remembers = timedelta(days=random.choice((8, 30)))
        body: dict[str, Expression] = {"order": ORDER, **self._maybe_reply()}
        command = _command(service, f"Do{len(self._steps)}", effect, remembers, failures=failures, body=body)
        undoable = kind is StepKind.COMPENSATABLE and random.random() < 0.92
        undo, undo_unknown = self._undo(path, service, remembers) if undoable else (None, None)
        step = Step(
            path=path,
            kind=kind,
            command=command,
            undo=undo,
            undo_unknown=undo_unknown,
            no_undo="is kept" if kind is StepKind.COMPENSATABLE and not undoable else None,
            retry=self._retry(forward=forward),
            timeout=VERY_LONG if self._no_timeouts else timedelta(seconds=self._scale * random.choice((5, 30))),
            within=None
            if forward or self._patient
            else timedelta(seconds=self._scale * random.choice((60, 600, 3_600))),
            on_exhausted=OnExhausted.PARK if forward or random.random() < 0.5 else OnExhausted.COMPENSATE,
            undo_retry=RetryPolicy(attempts=random.choice((3, 30)), cap=timedelta(seconds=self._scale * 60)),
            on_undo_failed=random.choice((OnUndoFailed.HOLD, OnUndoFailed.CONTINUE)),
        )
        self._steps.append(step)
        self._visible.append(path)
        return step

    def _undo(self, path: str, service: str, remembers: timedelta) -> tuple[CommandTemplate, CommandTemplate | None]:
        effect = self._random.choice(UNDO_EFFECTS)
        body: dict[str, Expression] = {"order": ORDER}
        own = Ref(path, ("id",), ScalarType.STR)
        way = self._random.random()
        if way < 0.3:
            self._reads[f"{path}.id"] = "str"
            unknown = _command(
                service, f"Undo{len(self._steps)}", effect, remembers, body={**body, "id": Literal(_NULL)}
            )
            return _command(service, f"Undo{len(self._steps)}", effect, remembers, body={**body, "id": own}), unknown
        if way < 0.5:
            body["id"] = Coalesce((own, Literal(msgspec.Raw(b'"none"'))))
        elif way < 0.7:
            body |= self._maybe_reply()
        return _command(service, f"Undo{len(self._steps)}", effect, remembers, body=body), None

    def _retry(self, *, forward: bool) -> RetryPolicy:
        attempts = None if forward or self._patient else self._random.choice((None, 2, 3, 5))
        return RetryPolicy(
            attempts=attempts,
            first=timedelta(seconds=self._scale * self._random.choice((0, 1, 5))),
            cap=timedelta(seconds=self._scale * self._random.choice((10, 300))),
        )


_NULL = msgspec.Raw(b"null")


def _command(
    service: str,
    name: str,
    effect: Effect,
    remembers: timedelta,
    *,
    body: dict[str, Expression],
    failures: tuple[str, ...] = (),
) -> CommandTemplate:
    return CommandTemplate(
        service=service,
        name=name,
        version=1,
        effect=effect,
        reply=f"{service}.Done.v1",
        failures=failures,
        remembers=remembers,
        body=Object(body),
    )
