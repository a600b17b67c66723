"""Callers: they start sagas, repeat a start until it is accepted, and sometimes ask for something else with its key."""

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from tests.simulation.world import World

PATIENCE_SECONDS = 20.0


class Ask(msgspec.Struct, frozen=True):
    """A start or a cancel on its way to the engine."""

    verb: str
    key: str
    input: bytes
    plan_index: int
    request: str


class Callers:
    """One caller a saga."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.accepted: dict[str, str] = {}
        """Start key: saga id, as the engine said."""
        self.told: list[tuple[Ask, str]] = []
        """Every start that was accepted, and the saga it was told."""
        self.refused: set[str] = set()

    def begin(self) -> None:
        """Plan every start, and the cancels of callers."""
        world = self._world
        for number, planned in enumerate(world.workload.sagas):
            ask = Ask("start", f"k:{number}", planned.input, number, f"start-{number}")
            at = world.random.random() * 2.0
            world.after(at, self._start, ask)
            if world.chance(world.faults.start_again):
                later = at + world.random.choice((0.0, 0.01, 5.0, 500.0))
                other = msgspec.structs.replace(
                    ask, input=b'{"id":"other","n":1,"items":[{"n":2}]}', request=f"other-{number}"
                )
                world.after(later, world.broker.publish_ask, ask)
                world.after(later + 1.0, world.broker.publish_ask, other)
            if world.chance(world.faults.cancel):
                self._plan_cancel(ask, at)

    def answer(self, ask: Ask, verdict: str, saga: str) -> None:
        """What comes back on the caller's own queue; it may get lost like everything."""
        world = self._world
        if world.chance(world.faults.publish_lost):
            return
        world.marks[f"caller: {verdict}"] += 1
        if verdict == "refused":
            self.refused.add(ask.request)
        elif ask.verb == "start":
            self.accepted[ask.key] = saga
            self.told.append((ask, saga))

    def _start(self, ask: Ask, patience_seconds: float = PATIENCE_SECONDS) -> None:
        if ask.key not in self.accepted and ask.request not in self.refused:
            self._world.broker.publish_ask(ask)
            self._world.after(patience_seconds, self._start, ask, min(2 * patience_seconds, 3_600.0))

    def _plan_cancel(self, ask: Ask, at: float) -> None:
        world = self._world
        when = at + world.random.choice((0.1, 1.0, 5.0, 30.0, 200.0, 4000.0)) * world.random.random()
        cancel = msgspec.structs.replace(ask, verb="cancel", request=f"cancel-{ask.key}")
        world.after(when, world.broker.publish_ask, cancel)
        if world.random.random() < 0.5:
            world.after(when + world.random.random() * 10.0, world.broker.publish_ask, cancel)
