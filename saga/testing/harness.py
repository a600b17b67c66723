"""`play`: a definition run with scripted participants in virtual time, over the real core.

Nothing sleeps: time jumps to whatever happens next. Nothing is random: a seed always tells the same story.
"""

from datetime import datetime, timedelta
from typing import Generic, Self, TypeVar

import msgspec

from saga.contract import contract_of
from saga.core import events as e
from saga.core import inputs as i
from saga.core.inputs import Verdict
from saga.core.operate import objection
from saga.core.outstanding import Wait, view, waits
from saga.core.state import Phase, SagaState
from saga.define import Definition
from saga.engine.operate import NotPossible
from saga.testing.answers import Answers, Sent
from saga.testing.engine import Engine, spell
from saga.testing.laws import broken_laws
from saga.testing.network import CALM, Flights, Network
from saga.testing.scripts import Scripts
from saga.testing.story import BEGIN, Story, start_of
from saga.testing.world import World

I = TypeVar("I", bound=msgspec.Struct)  # noqa: E741 - input, as in Definition[I, O]
O = TypeVar("O")  # noqa: E741 - output
C = TypeVar("C", bound=msgspec.Struct)

PATIENCE = timedelta(days=60)
"""Virtual time after which `finish` leaves a saga that neither ends nor parks."""
ACTOR = "test"
REASON = "a test said so"


async def play(
    definition: Definition[I, O],
    given: I,
    answers: Answers,
    *,
    until: str | None = None,
    key: str | None = None,
    seed: int = 0,
    network: Network = CALM,
) -> "Run[O]":
    """Run a saga to rest: to its end, or to where only a person moves it.

    With `until`, a step such as `book` or `charge.undo`, it stops when that command is on its way and has not arrived.

    Raises Unscripted for a command that nothing answers, TypeError for an answer that breaks its contract, ValueError
    for an input the definition cannot run on, LookupError for a step it does not have or does not reach.
    """
    run: Run[O] = begin(definition, given, answers, key=key, seed=seed, network=network)
    return await (run.finish() if until is None else run.until(until))


def begin(
    definition: Definition[I, O],
    given: I,
    answers: Answers,
    *,
    key: str | None = None,
    seed: int = 0,
    network: Network = CALM,
) -> "Run[O]":
    """The same, stopped at its first commit: its first commands are on their way, and no time has passed."""
    story = Story(definition.compiled, definition.hash)
    engine = Engine(story, Scripts(story.plan, answers), World(story.plan), Flights(network, seed))
    engine.apply(start_of(story, given, engine.now, key=key, number=seed))
    return Run(definition.output, engine)


class Run(Generic[O]):
    """A saga at work. `services` is what the world does to it, `operator` what people do; time passes in between."""

    def __init__(self, output: type[O], engine: Engine) -> None:
        """Made by `play` and `begin`."""
        self._output = output
        self._engine = engine
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
    def state(self) -> SagaState:
        """The fold of the history."""
        return self._engine.state

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
        return broken_laws(engine.story.plan, engine.state, self.events, engine.world)

    def sent(self, kind: type[C]) -> list[C]:
        """The commands of a class, in the order in which they were asked for, each execution once."""
        wanted = contract_of(kind).type_name
        found: dict[str, C] = {}
        for sent in self._engine.sent:
            if sent.type_name == wanted:
                found.setdefault(sent.message.key, sent.as_a(kind))
        return list(found.values())

    def attempts(self, step: str) -> int:
        """How often a command was sent: `charge`, `charge.undo`."""
        return sum(sent.step == step for sent in self._engine.sent)

    def __str__(self) -> str:
        why = f" ({self.because})" if self.because else ""
        lines = [f"{self._engine.story.title} is {self.status}{why} after {spell(self.elapsed)}"]
        lines += [f"  waits: {wait.text}" for wait in self.waits]
        lines += [f"  sent:  {sent}" for sent in self._engine.sent[-10:]]
        return "\n".join(lines)

    async def finish(self) -> Self:
        """Let time pass until the saga has ended and nothing is on its way, or until only a person moves it."""
        limit = self._engine.now + PATIENCE
        while not self._engine.at_rest() and self._engine.move(limit):
            pass
        return self

    async def advance(self, by: timedelta) -> Self:
        """Let exactly so much time pass."""
        limit = self._engine.now + by
        while self._engine.move(limit):
            pass
        self._engine.now = limit
        return self

    async def until(self, step: str) -> Self:
        """Let time pass until this command is on its way. Raises LookupError when the saga comes to rest before."""
        limit = self._engine.now + PATIENCE
        while not self.attempts(step):
            if self._engine.at_rest() or not self._engine.move(limit):
                raise LookupError(f"{step} was never sent: {self}")
        return self


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


class Operator:
    """What people may do to a saga. Each raises NotPossible, in an operator's words, when it does not fit."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def cancel(self, reason: str = REASON) -> str:
        """Ask for compensation; returns when it takes effect: `now`, `if-pivot-fails` or `too-late`."""
        now = self._now()
        request = f"cancel-{self._engine.state.version}"
        asked = self._engine.apply(i.Cancel(now=now, request=request, by="operator", actor=ACTOR, reason=reason))
        return next((event.takes_effect for event in asked if isinstance(event, e.CancelRequested)), "now")

    def abandon(self, reason: str = REASON) -> tuple[str, ...]:
        """Close without undoing; returns the steps whose effects stand or may stand."""
        closed = self._engine.apply(i.Abandon(now=self._now(), actor=ACTOR, reason=reason))
        return next((event.unresolved for event in closed if isinstance(event, e.SagaAbandoned)), ())

    def pause(self, reason: str = REASON) -> None:
        """Issue nothing and stop every deadline."""
        self._engine.apply(i.Pause(now=self._now(), actor=ACTOR, reason=reason))

    def resume(self, reason: str = REASON) -> None:
        """End a pause: open deadlines move by its length."""
        self._engine.apply(i.Resume(now=self._now(), actor=ACTOR, reason=reason))
        self._engine.tick()

    def resolve(
        self,
        path: str,
        verdict: Verdict,
        *,
        evidence: str = "",
        reply: msgspec.Struct | None = None,
        reason: str = REASON,
    ) -> None:
        """Move a parked step."""
        given = i.Resolve(
            now=self._now(),
            path=path,
            verdict=verdict,
            actor=ACTOR,
            reason=reason,
            evidence=evidence,
            reply=None if reply is None else msgspec.json.encode(reply),
        )
        refusal = objection(self._engine.story.plan, self._engine.state, given)
        if refusal is not None:
            raise NotPossible(refusal)
        self._engine.apply(given)

    def _now(self) -> datetime:
        if self._engine.state.terminal:
            raise NotPossible(f"the saga has ended: {self._engine.state.phase}")
        return self._engine.now
