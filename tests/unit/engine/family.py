"""A saga that runs another one: small builders for tests of sub-sagas in the engine."""

from datetime import timedelta

from saga.core.children import COMPENSATED, SERVICE
from saga.core.definition import Step
from saga.core.expression import Literal, Object
from saga.ports import Delivery, SagaRow
from tests.builders import INPUT_ID, plan, raw, step, template
from tests.unit.engine.rig import Process, Rig

CHILDREN = "saga.commands.saga"
BODY = Object({"id": INPUT_ID})
DAYS = timedelta(days=9)
INNER = plan(step("reserve"), name="inner", key=INPUT_ID, deadline=DAYS)


def asking(path: str, name: str = "inner", *, running: str = "cancel", version: int = 1) -> Step:
    """A step that is another saga."""
    how = Object({"running": Literal(raw(f'"{running}"'))})
    return step(
        path,
        command=template(SERVICE, name, version=version, body=BODY, failures=(COMPENSATED,)),
        undo=template(SERVICE, name, version=version, body=how, failures=()),
        timeout=timedelta(days=1),
        within=None,
    )


OUTER = plan(asking("access"), step("charge"), name="order", deadline=DAYS)
WAITING = plan(asking("access", running="wait"), name="waiting")


async def started(rig: Rig, process: Process, name: str = "order") -> SagaRow:
    """The outer saga, before its command to the engine is read."""
    await process.hop(await rig.start(name=name))
    return await row(rig, name)


async def row(rig: Rig, name: str) -> SagaRow:
    """The only saga of this name."""
    [found] = [each for each in await rig.rows() if each.name == name]
    return found


async def to_engine(rig: Rig, process: Process, count: int = 1) -> list[Delivery]:
    """The engine takes commands of parents; what it read, so that it can be read again."""
    deliveries = await rig.take(CHILDREN, count)
    await process.hop(*deliveries)
    return deliveries


async def to_parent(rig: Rig, process: Process, count: int = 1) -> None:
    """Parents hear how their children ended."""
    await process.hop(*await rig.take("saga.replies", count))
