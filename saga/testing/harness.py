"""`play`: a definition run with scripted participants in virtual time, over the real core.

Nothing sleeps: time jumps to whatever happens next. Nothing is random: a seed always tells the same story.
"""

from datetime import timedelta
from typing import Any, Generic, Self, TypeVar

import msgspec

from saga.contract import contract_of
from saga.core import events as e
from saga.core.outstanding import Wait, view, waits
from saga.core.state import Phase, SagaState
from saga.cost import Cost
from saga.define import Definition
from saga.testing.answers import Answers, Sent
from saga.testing.engine import Engine, spell
from saga.testing.laws import broken_laws
from saga.testing.network import CALM, Flights, Network
from saga.testing.people import Operator, Outsiders
from saga.testing.scripts import Scripts
from saga.testing.story import BEGIN, Story, start_of
from saga.testing.world import World

I = TypeVar("I", bound=msgspec.Struct)  # noqa: E741 - input, as in Definition[I, O]
O = TypeVar("O")  # noqa: E741 - output
C = TypeVar("C", bound=msgspec.Struct)

PATIENCE = timedelta(days=60)
"""Virtual time after which `finish` leaves a saga that neither ends nor parks."""


async def play(
    definition: Definition[I, O],
    given: I,
    answers: Answers,
    *,
    until: str | None = None,
    key: str | None = None,
    actor: str | None = None,
    seed: int = 0,
    network: Network = CALM,
) -> "Run[O]":
    """Run a saga to rest: to its end, or to where only others move it (see `Run.finish`).

    With `until`, a step such as `book` or `charge.undo`, it stops when that command is on its way and has not arrived;
    with the name of a wait, when the saga waits there. `key` and `actor` are those of `saga.Client.start`, called by a
    gateway.

    Raises Unscripted for a command that nothing answers, TypeError for an answer that breaks its contract, ValueError
    for a start that the engine refuses, LookupError for a step it does not have or does not reach.
    """
    run: Run[O] = begin(definition, given, answers, key=key, actor=actor, seed=seed, network=network)
    return await (run.finish() if until is None else run.until(until))


def begin(
    definition: Definition[I, O],
    given: I,
    answers: Answers,
    *,
    key: str | None = None,
    actor: str | None = None,
    seed: int = 0,
    network: Network = CALM,
) -> "Run[O]":
    """The same, stopped at its first commit: its first commands are on their way, and no time has passed."""
    story = Story(definition.compiled, definition.hash)
    engine = Engine(story, Scripts(story.plan, answers), World(story.plan), Flights(network, seed))
    engine.apply(start_of(story, given, engine.now, key=key, actor=actor, number=seed))
    return Run(definition.output, engine)


class Run(Outsiders, Generic[O]):
    """A saga at work: time passes, and in between `signal`, `approve` and `reject` say something to it.

    `services` is what the world does to it, `operator` what those who run it do.
    """

    def __init__(self, output: type[O], engine: Engine) -> None:
        """Made by `play` and `begin`."""
        super().__init__(engine)
        self._output = output
        self.services = Services(engine)
        self.operator = Operator(engine)

    @property
    def status(self) -> str:
        """`running`, `compensating`, `parked`, `paused`, `completed`, `compensated` or `abandoned`."""
        state = self._engine.state
        return "paused" if state.paused_at is not None else view(self._engine.story.plan, state).status

    @property
    def because(self) -> str:
        """Why it compensates, or was abandoned; empty otherwise."""
        return self._engine.state.because

    @property
    def output(self) -> O:
        """What the definition returns. Raises LookupError unless the saga has completed."""
        if self._engine.state.phase is not Phase.COMPLETED:
            raise LookupError(f"only a completed saga has an output: {self}")
        return msgspec.json.decode(self._engine.state.output, type=self._output)

    @property
    def events(self) -> tuple[e.AnyEvent, ...]:
        """Everything recorded, in order."""
        return self._engine.story.events

    @property
    def commits(self) -> tuple[tuple[e.AnyEvent, ...], ...]:
        """The same, one tuple a decision: a history that `given` takes."""
        return tuple(self._engine.story.commits)

    @property
    def children(self) -> "dict[str, Run[Any]]":
        """Sub-sagas that are played, by their step; time passes for all of them together."""
        below = self._engine.children.values()
        asked = ((child.state.asked_by, child) for child in below)
        return {asked_by.path: Run(child.output, child) for asked_by, child in asked if asked_by is not None}

    @property
    def state(self) -> SagaState:
        """The fold of the history."""
        return self._engine.state

    @property
    def cost(self) -> Cost:
        """What its answers told that their work cost, by unit; of each child, ask that child."""
        return self._engine.state.cost

    @property
    def waits(self) -> list[Wait]:
        """Why it does not move, the reason that needs a person first."""
        return waits(self._engine.story.plan, self._engine.state)

    @property
    def elapsed(self) -> timedelta:
        """Virtual time since the start."""
        return self._engine.now - BEGIN

    @property
    def sendings(self) -> tuple[Sent, ...]:
        """Every command sent, repeats too, in order."""
        return tuple(self._engine.sent)

    @property
    def commands(self) -> tuple[str, ...]:
        """What was asked, in order, each execution once: `("reserve", "charge", "charge.undo")`."""
        return tuple({sent.message.key: sent.step for sent in self._engine.sent}.values())

    @property
    def undone(self) -> tuple[str, ...]:
        """Steps in the order in which their compensations were acknowledged."""
        return tuple(event.path for event in self.events if isinstance(event, e.CompensationSucceeded))

    @property
    def standing(self) -> tuple[str, ...]:
        """Steps whose effects stand in the world, whatever the saga believes, in the order in which they were done."""
        return self._engine.world.standing

    def broken_laws(self) -> list[str]:
        """What must hold of every run and does not, in words: the undo law, its order, nothing done twice."""
        engine = self._engine
        below = [f"{path}: {law}" for path, child in self.children.items() for law in child.broken_laws()]
        return [*broken_laws(engine.story.plan, engine.state, self.events, engine.world), *below]

    def sent(self, kind: type[C]) -> list[C]:
        """The commands of a class, in the order in which they were asked for, each execution once."""
        wanted = contract_of(kind).type_name
        found: dict[str, C] = {}
        for sent in self._engine.sent:
            if sent.type_name == wanted:
                found.setdefault(sent.message.key, sent.as_a(kind))
        return list(found.values())

    def attempts(self, step: str) -> int:
        """How often a command was sent: `charge`, `charge.undo`, `seats[2]/add`."""
        return sum(sent.step == step for sent in self._engine.sent)

    def __str__(self) -> str:
        why = f" ({self.because})" if self.because else ""
        lines = [f"{self._engine.story.title} is {self.status}{why} after {spell(self.elapsed)}"]
        lines += [f"  waits: {wait.text}" for wait in self.waits]
        lines += [f"  sent:  {sent}" for sent in self._engine.sent[-10:]]
        return "\n".join(lines)

    async def finish(self) -> Self:
        """Let time pass until the saga has ended and nothing is on its way, or until only others move it: people whose
        approval it waits for or before whom it is parked, and senders of signals. Sleeping and retries take no time."""
        limit = self._engine.now + PATIENCE
        while not self._engine.root.at_rest() and self._engine.root.move(limit):
            pass
        return self

    async def advance(self, by: timedelta) -> Self:
        """Let exactly so much time pass."""
        limit = self._engine.now + by
        while self._engine.root.move(limit):
            pass
        self._engine.clock.now = limit
        return self

    async def until(self, step: str) -> Self:
        """Let time pass until this command is on its way, or the saga waits here: `pay`, `seats[2]/add.undo`, `review`.

        Raises LookupError when it comes to rest before.
        """
        limit = self._engine.now + PATIENCE
        while not (self.attempts(step) or self._waits_at(step)):
            if self._engine.root.at_rest() or not self._engine.root.move(limit):
                raise LookupError(f"{step} was never sent: {self}")
        return self

    def _waits_at(self, path: str) -> bool:
        return any(wait.path == path and wait.kind in {"timer", "signal", "approval"} for wait in self.waits)


class Services:
    """What may happen to those who answer, while a saga runs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def answer(self, answers: Answers) -> None:
        """From now on these steps are answered so. Raises LookupError for a step the definition does not have."""
        self._engine.scripts.replace(answers)

    def down(self, service: str) -> None:
        """Nobody takes the service's commands: they wait in its queue."""
        self._engine.flights.down(service)

    def up(self, service: str) -> None:
        """The service is back, and takes first what waited."""
        self._engine.flights.up(service, self._engine.now)

    def remove_queue(self, service: str) -> None:
        """The broker has no queue for the service: its commands are returned."""
        self._engine.missing.add(service)

    def restore_queue(self, service: str) -> None:
        """The queue is there again."""
        self._engine.missing.discard(service)

    def kill_orchestrator(self, after_commits: int) -> None:
        """The orchestrator dies right after that commit of the saga, before it sends anything, and starts again."""
        self._engine.dies_after = after_commits
