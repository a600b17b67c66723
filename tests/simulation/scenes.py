"""Blocks for the scenarios written by hand: branches, items, sub-sagas, approvals and timers, alone and all at once."""

from datetime import timedelta
from typing import Any

import msgspec

from saga.contract import Effect
from saga.core.blocks import (
    Approval,
    Await,
    Block,
    Branch,
    Each,
    Join,
    OnBranchFailed,
    Parallel,
    RetryPolicy,
    Sleep,
    Step,
    StepKind,
    Within,
)
from saga.core.children import COMPENSATED, TIMEOUT
from saga.core.expression import Literal, Object, Ref, ScalarType
from saga.core.plan import Plan
from tests import builders as b
from tests.simulation.structures import to_the_engine
from tests.simulation.workload import VERY_LONG

WHOLE = Ref("input", (), ScalarType.OBJECT)
READS = {"input.id": "str", "input.n": "int"}


def step(path: str, kind: StepKind = StepKind.COMPENSATABLE, effect: Effect = Effect.INBOX, **changes: Any) -> Step:
    """A step that waits for its answer however long it takes."""
    service = {"r": "alpha", "c": "beta", "b": "gamma"}.get(path.rpartition("/")[2][0], "alpha")
    patience: dict[str, Any] = {"timeout": timedelta(days=300), "within": None}
    return b.step(path, kind, service=service, effect=effect, **{**patience, **changes})


def sure(path: str) -> Step:
    """A step that is never declined."""
    made = step(path)
    return msgspec.structs.replace(made, command=msgspec.structs.replace(made.command, failures=()))


def child(path: str, of: Plan, running: str = "cancel") -> Step:
    """A sub-saga; its undo cancels one that runs, or waits for its end first."""
    name, how = of.definition.name, Literal(msgspec.Raw(msgspec.json.encode(running)))
    return step(
        path,
        command=to_the_engine(name, WHOLE, failures=(COMPENSATED,)),
        undo=to_the_engine(name, Object({"running": how})),
        retry=RetryPolicy(),
        timeout=TIMEOUT,
    )


def below(name: str, *blocks: Block) -> Plan:
    """The definition of a sub-saga."""
    return b.plan(*blocks, name=name, reads=READS, deadline=VERY_LONG)


def branches(*bodies: tuple[Block, ...], join: Join = Join.ALL, finish: bool = False) -> Parallel:
    """Side by side."""
    return Parallel(
        path="p",
        branches=tuple(Branch(path=f"p{number}", body=body) for number, body in enumerate(bodies)),
        join=join,
        on_failed=OnBranchFailed.FINISH if finish else OnBranchFailed.STOP,
    )


def items(*body: Block) -> Each:
    """For every item of the input."""
    listed = Ref("input", ("items",), ScalarType.LIST)
    return Each(path="e", items=listed, limit=3, window=2, body=body)


def sleep(path: str, seconds: int) -> Sleep:
    """A durable timer."""
    return Sleep(path=path, time=Literal(msgspec.Raw(msgspec.json.encode(timedelta(seconds=seconds)))))


def paid(path: str) -> Await:
    """A signal that comes, sooner or later."""
    return Await(path=path, signal="paid")


def approved(path: str, sent: Step) -> tuple[Block, ...]:
    """A draft that two people approve, and that is sent as they approved it."""
    subject = Object({"order": b.INPUT_ID, "text": Literal(msgspec.Raw(b'"draft"'))})
    asked = Approval(
        path=path, subject=subject, subject_type="alpha.Do.v1", guards=sent.path, roles=("editor",), quorum=2
    )
    body = Ref(path, ("subject",), ScalarType.OBJECT)
    return (asked, msgspec.structs.replace(sent, command=msgspec.structs.replace(sent.command, body=body)))


def in_time(path: str, *body: Block) -> Within:
    """With a deadline that is far away."""
    return Within(path=path, time=timedelta(days=60), body=body)
