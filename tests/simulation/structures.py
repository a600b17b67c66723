"""Random definitions of everything that stands around steps: branches, items, turns, waits, signals and approvals."""

from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from random import Random

import msgspec

from saga.contract import Effect
from saga.core.blocks import (
    Approval,
    Await,
    Block,
    Branch,
    CommandTemplate,
    Each,
    Join,
    OnBranchFailed,
    OnLate,
    OnSilence,
    OnUndoFailed,
    Parallel,
    Repeat,
    RetryPolicy,
    Sleep,
    Step,
    StepKind,
    When,
    Within,
)
from saga.core.children import COMPENSATED, REMEMBERS, SERVICE, TIMEOUT
from saga.core.definition import canonical, content_hash, decode
from saga.core.expression import Compare, Expression, Literal, Object, Ref, ScalarType
from saga.core.plan import Plan, plan_of
from tests.simulation.faults import Faults
from tests.simulation.workload import FAILURES, ORDER, PATIENCE, POOL, Author, Patience, Planned, Workload

ITEMS = Ref("input", ("items",), ScalarType.LIST)
ITEMS_MOST = 3
STEPS_MOST = 12
ROLES = ("editor", "clerk")
CHILDREN = 256
"""Different definitions of children, of each level."""
CHILD, GRANDCHILD, LAST = "child", "grandchild", "last"
"""What a sub-saga's name begins with: one that may have children, one that has none, one with a point of no return."""


class ParentAuthor(Author):
    """Writes steps that are sub-sagas."""

    below = CHILD
    """What its sub-sagas are called; empty if it has none."""

    def _child(self) -> Block:
        """A sub-saga, which is undone as one unit, or stays where its parent is undone."""
        random = self._random
        running = Literal(msgspec.Raw(random.choice((b'"cancel"', b'"cancel"', b'"wait"'))))
        detached = random.random() < 0.15
        name = self._child_name(self.below)
        undo = None if detached else to_the_engine(name, Object({"running": running}))
        return self._embedded(StepKind.COMPENSATABLE, name, undo, "goes on by itself" if detached else None)

    def _child_name(self, level: str) -> str:
        return f"{level}-{self._random.randrange(CHILDREN)}"

    def _embedded(
        self, kind: StepKind, name: str, undo: CommandTemplate | None = None, no_undo: str | None = None
    ) -> Step:
        step = self._step(kind)
        child = msgspec.structs.replace(
            step,
            command=to_the_engine(name, Ref("input", (), ScalarType.OBJECT), failures=(COMPENSATED,)),
            undo=undo,
            undo_unknown=None,
            no_undo=no_undo,
            retry=RetryPolicy(),
            timeout=TIMEOUT,
            within=None,
            on_undo_failed=OnUndoFailed.HOLD,
        )
        self._steps[-1] = child
        self._visible.remove(child.path)
        self._reads.pop(f"{child.path}.id", None)
        return child

    def _pivot(self) -> Step:
        if self.below and self._random.random() < 0.15:
            return self._embedded(StepKind.PIVOT, self._child_name(LAST))
        return super()._pivot()


class StructureAuthor(ParentAuthor):
    """Writes definitions of every construct, up to twelve steps."""

    steps_most = STEPS_MOST
    limits: tuple[int, ...] = (2, ITEMS_MOST, ITEMS_MOST, ITEMS_MOST)
    """How many items are allowed where nobody must be patient."""

    def __init__(self, random: Random, patience: Patience) -> None:
        super().__init__(random, patience)
        self._item = ""
        """The `each` block around this place."""

    def _block(self, depth: int) -> list[Block]:
        random = self._random
        if depth >= 3 or random.random() < 0.45:
            return [self._plain()]
        makers: list[Callable[[int], Block]] = [
            self._when,
            self._attempt,
            self._parallel,
            self._within,
            self._repeat,
        ]
        makers += [self._each] * (2 if not self._prefix else 1)
        waits: list[Callable[[], Block]] = [self._sleep, self._await, self._gate]
        if random.random() < 0.3:
            return [random.choice(waits)()]
        if random.random() < 0.15:
            return self._approved()
        if self.below and random.random() < 0.2:
            return [self._child()]
        return [random.choice(makers)(depth)]

    def _name(self, letter: str) -> str:
        self._blocks += 1
        return f"{self._prefix}{letter}{self._blocks}"

    def _parallel(self, depth: int) -> Block:
        random = self._random
        path = self._name("p")
        join = Join.ANY if random.random() < 0.3 else Join.ALL
        before = list(self._visible)
        seen: list[str] = []
        branches = []
        for _ in range(random.choice((2, 2, 3))):
            self._visible = list(before)
            body = self._sequence(random.choice((1, 1, 2)), depth + 1)
            seen += [source for source in self._visible if source not in before]
            branches.append(Branch(path=self._name("b"), body=tuple(body)))
        self._visible = before + (seen if join is Join.ALL else [])
        return Parallel(
            path=path,
            branches=tuple(branches),
            join=join,
            on_failed=random.choice((OnBranchFailed.STOP, OnBranchFailed.STOP, OnBranchFailed.FINISH)),
        )

    def _each(self, depth: int) -> Block:
        random = self._random
        path, around = self._name("e"), self._item
        self._item = path
        body = self._inside(path, random.choice((1, 1, 2)), depth)
        self._item = around
        self._reads[f"{path}.n"] = "int"
        return Each(
            path=path,
            items=ITEMS,
            limit=ITEMS_MOST if self._patient else random.choice(self.limits),
            window=random.choice((1, 2, 3)),
            key=Ref(path, ("n",), ScalarType.INT) if random.random() < 0.5 else None,
            on_failed=random.choice((OnBranchFailed.STOP, OnBranchFailed.FINISH)),
            body=tuple(body),
        )

    def _repeat(self, depth: int) -> Block:
        random = self._random
        path = self._name("r")
        body = self._inside(path, 1, depth)
        until = self._literally_true() if self._patient else self._sometimes(body)
        pause = timedelta(seconds=self._scale * random.choice((5, 100))) if random.random() < 0.3 else None
        return Repeat(path=path, until=until, limit=random.choice((2, 3)), pause=pause, body=tuple(body))

    def _inside(self, path: str, length: int, depth: int) -> list[Block]:
        """A sequence whose names stand under a block's path; nobody outside sees its replies."""
        before, prefix = list(self._visible), self._prefix
        self._prefix = f"{path}/"
        body = self._sequence(length, depth + 1)
        self._prefix, self._visible = prefix, before
        return body

    def _literally_true(self) -> Expression:
        return Compare("eq", ScalarType.INT, Literal(msgspec.Raw(b"1")), Literal(msgspec.Raw(b"1")))

    def _sometimes(self, body: list[Block]) -> Expression:
        """True for about every second reply."""
        last = body[-1]
        if not isinstance(last, Step) or last.command.service == SERVICE:
            return self._literally_true()
        self._reads[f"{last.path}.id"] = "str"
        return Compare("lt", ScalarType.STR, Ref(last.path, ("id",), ScalarType.STR), Literal(msgspec.Raw(b'"8"')))

    def _within(self, depth: int) -> Block:
        path = self._name("t")
        body = self._sequence(self._random.choice((1, 2)), depth + 1)
        time = timedelta(days=900) if self._patient else self._seconds(30, 600, 7_200)
        return Within(path=path, time=time, body=tuple(body))

    def _seconds(self, *choices: int) -> timedelta:
        return timedelta(seconds=self._scale * self._random.choice(choices))

    def _sleep(self) -> Block:
        time = msgspec.json.encode(min(self._seconds(1, 60, 600), timedelta(days=9)))
        return Sleep(path=self._name("z"), time=Literal(msgspec.Raw(time)))

    def _await(self) -> Block:
        random = self._random
        path = self._name("v")
        mine = None
        if self._item:
            number = Ref("signal", ("n",), ScalarType.INT)
            mine = Compare("eq", ScalarType.INT, number, Ref(self._item, ("n",), ScalarType.INT))
        within = None if self._patient or random.random() < 0.4 else self._seconds(60, 600, 7_200)
        return Await(
            path=path,
            signal=random.choice(("paid", "seen")),
            where=mine,
            within=within,
            on_late=random.choice(tuple(OnLate)),
        )

    def _gate(self) -> Block:
        return self._approval(self._name("g"), None)

    def _after_pivot(self) -> Block:
        if self.below and self._random.random() < 0.1:
            return self._embedded(StepKind.RETRYABLE, self._child_name(self.below))
        if self._random.random() < 0.3:
            sent = self._approved(StepKind.RETRYABLE)
            return When(path=self._name("w"), condition=self._literally_true(), then=tuple(sent))
        return super()._after_pivot()

    def _approved(self, kind: StepKind = StepKind.COMPENSATABLE) -> list[Block]:
        """A draft that is approved, and then sent as it was approved."""
        path = self._name("g")
        step = self._step(kind)
        body = Ref(path, ("subject",), ScalarType.OBJECT)
        failures = FAILURES if kind is StepKind.RETRYABLE and not self._patient else step.command.failures
        command = msgspec.structs.replace(step.command, body=body, failures=failures)
        sent = msgspec.structs.replace(step, command=command)
        return [self._approval(path, sent.path), sent]

    def _approval(self, path: str, guards: str | None) -> Approval:
        random = self._random
        expires = None if self._patient or random.random() < 0.4 else self._seconds(300, 3_600, 86_400)
        on_silence = random.choice((OnSilence.REJECT, OnSilence.COMPENSATE, OnSilence.ESCALATE))
        number = Literal(msgspec.Raw(b"%d" % random.randrange(4)))
        condition = Compare("ge", ScalarType.INT, Ref("input", ("n",), ScalarType.INT), number)
        editable = ("text",) if random.random() < 0.3 else ()
        return Approval(
            path=path,
            subject=Object({"order": ORDER, "text": Literal(msgspec.Raw(b'"draft"'))}),
            subject_type="alpha.Do.v1",
            guards=guards,
            roles=(random.choice(ROLES),),
            quorum=random.choice((1, 2, 2) if editable else (1, 1, 2)),
            condition=condition if random.random() < 0.2 else None,
            editable=editable,
            expires=expires,
            on_silence=on_silence if expires is not None else OnSilence.REJECT,
            escalate_to=("head",) if on_silence is OnSilence.ESCALATE else (),
            remind_every=self._seconds(120, 900) if random.random() < 0.2 else None,
        )


def to_the_engine(name: str, body: Expression, failures: tuple[str, ...] = ()) -> CommandTemplate:
    """The command that starts a sub-saga, or undoes it."""
    return CommandTemplate(
        service=SERVICE,
        name=name,
        version=1,
        effect=Effect.INBOX,
        reply="saga.ended.v1",
        failures=failures,
        remembers=REMEMBERS,
        body=body,
    )


@lru_cache(maxsize=4 * POOL)
def structured_plan(number: int, patience: Patience) -> Plan:
    """The pool's definition of this number, of every construct."""
    data = canonical(StructureAuthor(Random(number), patience).definition(number))
    return plan_of(decode(data), content_hash(data))


def draw_structured(random: Random, faults: Faults) -> Workload:
    """One or two sagas of every construct."""
    patience = PATIENCE.get(faults.regime, Patience.NONE)
    return Workload(
        tuple(
            Planned(structured_plan(random.randrange(POOL), patience), _input(number, random))
            for number in range(random.choice((1, 1, 1, 2)))
        )
    )


def _input(number: int, random: Random) -> bytes:
    items = ",".join(f'{{"n":{n}}}' for n in range(random.randrange(ITEMS_MOST + 1)))
    return f'{{"id":"o{number}","n":{random.randrange(4)},"items":[{items}]}}'.encode()
