"""A participant at work in one process, and one delivery on its way to an answer."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import datetime, timedelta

from saga.contract import Context, Effect, Handler
from saga.core.errors import SagaError
from saga.core.messages import CommandMessage, Outcome
from saga.core.metrics.catalogue import RUNNING
from saga.core.metrics.tally import NONE, Tallies
from saga.participant.declaration import Participant
from saga.participant.inbox import Claim, Settlement
from saga.participant.located import handling
from saga.participant.measures import Counts
from saga.participant.outcome import Answer
from saga.participant.rules import RowStatus
from saga.ports import Answered, Clock, Database, Reserving, Tracing, Transaction


class NoDatabase(SagaError, TypeError):
    """The commands of a participant are remembered in a database, and it was given none."""

    code = "SAGA-4014"


class Serving:
    """A participant at work in one process: its database, its clock, and what it is running now."""

    def __init__(
        self,
        participant: Participant,
        database: Database | None,
        clock: Clock,
        process: str,
        *,
        tracing: Tracing | None = None,
        tallies: Tallies | None = None,
    ) -> None:
        """`process` tells people whose rows are in progress. It counts into `tallies`, if there are any.

        Raises NoDatabase.
        """
        self.participant = participant
        self.clock = clock
        self.process = process
        self.running: dict[str, Context] = {}
        self.counts = Counts(participant, tallies)
        if tallies is not None:
            tallies.show(RUNNING, lambda: {NONE: float(len(self.running))})
        self._tracing = tracing
        self._database = participant.database or database
        if self._database is None and participant.needs_database():
            raise NoDatabase(
                f"{participant.service} has no database, but its commands are remembered in one. Fix: pass "
                "--database postgres://... or sqlite:///file, or Participant(..., database=...)"
            )

    @property
    def database(self) -> Database:
        """The service's database. Only asked for where a row is needed."""
        assert self._database is not None
        return self._database

    def begin_short(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction for the inbox alone. Where the database offers that, it waits for none of a handler's."""
        database = self.database
        return database.begin_short() if isinstance(database, Reserving) else database.begin()

    @contextmanager
    def around(self, command: CommandMessage) -> Iterator[Answered]:
        """What is put around the handling of one command; to be told the answer at its end."""
        with handling(command, self._tracing):
            if self._tracing is None:
                with self.participant.around(command):
                    yield _nobody_listens
                return
            queue = self.participant.queue
            with self._tracing.processing(command, queue) as answered, self.participant.around(command):
                yield answered

    def has_database(self) -> bool:
        """Whether there is one."""
        return self._database is not None


def _nobody_listens(_outcome: Outcome, _code: str) -> None:
    """Without tracing."""


class Job:
    """One delivery of a command on its way to an answer."""

    __slots__ = ("_now", "_now_at", "command", "context", "handler", "not_happened", "owner", "ran", "serving")

    def __init__(self, serving: Serving, handler: Handler, command: CommandMessage) -> None:
        self.serving = serving
        self.handler = handler
        self.command = command
        self.owner = serving.process
        """Who answers for a row: told apart by what `admit` adds."""
        self.context = Context(key=command.key, saga=command.saga, step=command.path, attempt=command.attempt)
        self.ran = False
        """Whether the handler was begun: from then on a failure of the database says nothing about the effect."""
        self.not_happened = False
        """Whether the probe denied the interrupted run."""
        self._now = serving.clock.now()
        self._now_at = serving.clock.monotonic()

    @property
    def effect(self) -> Effect:
        return self.handler.contract.effect

    @property
    def remembers(self) -> timedelta:
        return self.handler.contract.remembers

    def admit(self, token: str, now: datetime) -> None:
        """A transaction looked at the key: its own name as owner, and the database's time, just read."""
        self.owner = f"{self.serving.process} {token}"
        self._now = now
        self._now_at = self.serving.clock.monotonic()

    def now(self) -> datetime:
        """The database's time, estimated."""
        return self._now + timedelta(seconds=self.serving.clock.monotonic() - self._now_at)

    def claim(self) -> Claim:
        """Ours for a lease from now on."""
        return Claim(self.owner, self.now() + self.serving.participant.lease)

    def settlement(self, answer: Answer) -> Settlement:
        """What the key is remembered for."""
        status = RowStatus.OK if answer.outcome is Outcome.OK else RowStatus.FAILED
        return Settlement(
            status=status,
            reply_type=answer.type,
            reply=answer.body,
            code=answer.code,
            effect=answer.effect,
            cost=answer.cost,
            now=self.now(),
            remembers=self.remembers,
        )
