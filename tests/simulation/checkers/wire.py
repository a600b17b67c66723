"""S5: what is published stems from a committed event, and every repeat carries the same bytes."""

from typing import TYPE_CHECKING

from saga.core.messages import CommandMessage
from saga.core.plan import Plan
from saga.core.state import SagaState
from tests.simulation.checkers.shadow import Shadow
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World


def on_publish(world: "World", shadow: Shadow | None, plan: Plan, state: SagaState, message: CommandMessage) -> None:
    """The store knows this attempt, with this body, and its sender did not believe the saga at rest."""
    world.plans[message.saga] = plan
    if shadow is None or message.message_id not in shadow.messages:
        world.ghosts.append(message)  # is it committed after all? judged at the end
        return
    if shadow.messages[message.message_id] != message.key:
        raise Violation("S5", f"{message.path}: the attempt id belongs to another key")
    if shadow.bodies[message.key] != message.body:
        raise Violation("S5", f"{message.path}: a repeat carries other bytes")
    if state.version in shadow.quiet_versions:
        raise Violation("S5", f"{message.path} is sent from version {state.version}, which is paused or has ended")
    world.trace(message.message_id.encode())


def at_end(world: "World", shadows: dict[str, Shadow]) -> None:
    """What was sent too early must at least have been committed later."""
    for message in world.ghosts:
        shadow = shadows.get(message.saga)
        if (
            shadow is None
            or shadow.bodies.get(message.key) != message.body
            or message.message_id not in shadow.messages
        ):
            what = f"{message.path} {message.kind} attempt {message.attempt}"
            raise Violation("S5", f"{what} was sent, but no committed event asked for it")
