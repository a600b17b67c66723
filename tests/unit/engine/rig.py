"""An orchestrator on the bench: a store that fails when told to, a broker in memory, a clock that stands still."""

import asyncio
import itertools
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from saga import wire
from saga.adapters.memory import MemoryStore
from saga.adapters.memory.bus import Fate, MemoryBroker, MemoryBus
from saga.core.definition import StepKind, canonical
from saga.core.messages import CancelMessage, CommandMessage, Outcome, ReplyEffect, ResultMessage, StartMessage
from saga.core.plan import Plan
from saga.core.topology import wanted_topology
from saga.engine.backlog import Backlog
from saga.engine.cache import SagaCache
from saga.engine.catalog import Catalog
from saga.engine.dispatch import Dispatches
from saga.engine.draft import Desk
from saga.engine.handle import Handler, Hop
from saga.engine.receive import Work, work_of
from saga.engine.settings import EngineSettings, Trust
from saga.engine.start import Starts
from saga.engine.time import StoreClock
from saga.engine.wake import wake
from saga.ports import (
    Advance,
    Batch,
    Committed,
    Delivery,
    Due,
    Known,
    NewSaga,
    Outgoing,
    ParkedMessage,
    SagaFilter,
    SagaRow,
    StoredDefinition,
    Subscription,
    Tail,
)
from tests.builders import INPUT_ID, NOW, plan, reply, step

CALLER = "shop"
CLIENT = "till"
TWO_STEPS = plan(step("reserve"), step("charge"), key=INPUT_ID)
PIVOTAL = plan(step("reserve"), step("book", StepKind.PIVOT), step("mail", StepKind.RETRYABLE), name="pivotal")
TRUST = Trust(gateways=frozenset({"gateway"}), approvers={"bo": frozenset({"editor"}), "cy": frozenset({"editor"})})
SERVICES = ("reserve-service", "charge-service", "book-service", "mail-service")


class ManualClock:
    """Time passes when a test says so, or where somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        """UTC."""
        return NOW + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """The same, as seconds."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Over at once."""
        self.seconds += seconds
        await asyncio.sleep(0)


class CountingIds:
    """Ids in order."""

    def __init__(self, start: int = 1) -> None:
        self._numbers = itertools.count(start)

    def saga(self) -> str:
        """A UUIDv7 of the first moment."""
        return f"01930000-0000-7000-8000-{next(self._numbers):012x}"

    def message(self) -> str:
        """A number."""
        return f"m-{next(self._numbers)}"


Row = NewSaga | Advance | ParkedMessage


class FlakyStore(MemoryStore):
    """Fails when told to: `fails[method]` holds what its next calls raise, None for one that works."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.fails: dict[str, deque[Exception | None]] = {}
        self.lost_answers: deque[Exception] = deque()
        """What the next commits raise after they took place."""
        self.unstorable: Callable[[Row], bool] = lambda _row: False
        self.calls: Counter[str] = Counter()
        self.before_commit: Callable[[], Awaitable[object]] | None = None
        """What happens just before the next commit: another process is faster."""
        self.missing_migrations: list[str] = []
        self.blind = False
        """`find` does not see yet what others committed."""

    def fail(self, method: str, *errors: Exception | None) -> None:
        """Of the next calls of a method."""
        self.fails.setdefault(method, deque()).extend(errors)

    async def commit(self, batch: Batch) -> Committed:
        """As the port says, or as told."""
        self._called("commit")
        if self.before_commit is not None:
            hook, self.before_commit = self.before_commit, None
            await hook()
        rows: list[Row] = [*batch.starts, *batch.advances, *batch.parked]
        for row in rows:
            if self.unstorable(row):
                raise ValueError(f"unstorable {type(row).__name__}")
        committed = await super().commit(batch)
        if self.lost_answers:
            raise self.lost_answers.popleft()
        return committed

    async def load(self, since: Mapping[str, int]) -> dict[str, Tail]:
        """As the port says, or as told."""
        self._called("load")
        return await super().load(since)

    async def find(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
        """As the port says, or as told."""
        self._called("find")
        return {} if self.blind else await super().find(keys)

    async def rearm(self, wakes: Mapping[str, tuple[int, datetime | None]]) -> None:
        """As the port says, or as told."""
        self._called("rearm")
        await super().rearm(wakes)

    async def claim(self, limit: int, lease_seconds: float) -> Sequence[Due]:
        """As the port says, or as told."""
        self._called("claim")
        return await super().claim(limit, lease_seconds)

    async def dispatched(self, versions: Mapping[str, int]) -> None:
        """As the port says, or as told."""
        self._called("dispatched")
        await super().dispatched(versions)

    async def named(self, name: str | None = None) -> Sequence[StoredDefinition]:
        """As the port says, or as told."""
        self._called("named")
        return await super().named(name)

    async def pending(self) -> Sequence[str]:
        """As told."""
        self._called("pending")
        return self.missing_migrations

    def _called(self, method: str) -> None:
        self.calls[method] += 1
        if (errors := self.fails.get(method)) and (error := errors.popleft()) is not None:
            raise error


class Process:
    """The steps of one orchestrator process, without its loops."""

    def __init__(
        self, rig: "Rig", settings: EngineSettings, *, ids_from: int, machine: ManualClock | None = None
    ) -> None:
        self.settings = settings
        self.catalog = Catalog(rig.store, rig.clock)
        self.cache = SagaCache(rig.store, self.catalog, settings.cache_sagas_max)
        self.clock = StoreClock(machine or rig.clock)
        self.backlog = Backlog(settings)
        self.dispatches = Dispatches(rig.bus, rig.store, rig.clock, settings.dispatched_after_seconds)
        starts = Starts(self.catalog, CountingIds(ids_from), settings)
        desk = Desk(starts, self.dispatches, self.clock, settings)
        self.handler = Handler(rig.store, self.cache, desk, self.dispatches, self.clock)
        self._rig = rig

    async def handle(self, *works: Work | Delivery) -> Hop:
        """Decide one batch; publish nothing."""
        return await self.handler.handle([work_of(each) if isinstance(each, Delivery) else each for each in works])

    async def hop(self, *works: Work | Delivery) -> Hop:
        """Decide, and publish what follows; feedback is decided on at once."""
        hop = await self.handle(*works)
        feedback = await self.dispatches.send(hop.dispatches, hop.answers)
        done, again = await self.dispatches.refuse(hop.turned_away)
        hop.done += done
        feedback += again
        if feedback:
            await self.hop(*feedback)
        return hop

    async def tick(self) -> Hop:
        """Whatever is due."""
        return await self.hop(*await wake(self._rig.store, self.settings, self.clock))


class Rig:
    """A store with two definitions, a broker with their services, and orchestrator processes over them."""

    def __init__(self, *plans: Plan, settings: EngineSettings | None = None) -> None:
        self.clock = ManualClock()
        self.store = FlakyStore(self.clock)
        self.broker = MemoryBroker(wanted_topology(SERVICES))
        self.bus: MemoryBus = self.broker.bus("orchestrator")
        self.settings = settings or EngineSettings(trust=TRUST)
        self._plans = plans or (TWO_STEPS, PIVOTAL)
        self._subscriptions: dict[str, Subscription] = {}
        self._numbers = itertools.count(1)

    async def process(self, machine: ManualClock | None = None) -> Process:
        """One more orchestrator process, on a machine whose clock shows what the store's does unless told otherwise."""
        for each in self._plans:
            await self.publish(each)
        return Process(self, self.settings, ids_from=next(self._numbers) * 1_000, machine=machine)

    async def publish(self, each: Plan) -> None:
        """A definition."""
        definition = each.definition
        await self.store.publish(
            StoredDefinition(each.hash, definition.name, definition.version, canonical(definition))
        )

    def declare(self) -> None:
        """Make every queue that is missing."""
        self.broker.apply(wanted_topology(SERVICES))

    def treat_commands(self, fate: Fate) -> None:
        """What becomes of every command from now on; other messages arrive."""
        self.broker.fate = lambda message: fate if message.exchange == "saga.commands" else Fate()

    async def arrive(self, queue: str, *messages: Outgoing, sender: str) -> list[Delivery]:
        """Messages as an orchestrator reads them."""
        for sent in await self.broker.bus(sender).publish(messages):
            assert sent.outcome == "confirmed", sent
        return await self.take(queue, len(messages))

    async def take(self, queue: str, count: int) -> list[Delivery]:
        """So many messages of a queue, which must be there; they stay unacknowledged."""
        assert self.broker.ready_count(queue) >= count, f"{queue} has only {self.broker.ready_count(queue)}"
        if queue not in self._subscriptions:
            self._subscriptions[queue] = await self.bus.consume(queue, 10_000)
        taken: list[Delivery] = []
        while len(taken) < count:
            taken += await self._subscriptions[queue].receive()
        return taken

    async def start(self, order: str = "o1", **fields: object) -> Delivery:
        """A start of the order saga."""
        start = start_message(order, **fields)
        [delivery] = await self.arrive("saga.start", wire.start_to_wire(start), sender=CALLER)
        return delivery

    async def command(self, service: str = "reserve-service") -> CommandMessage:
        """The one command that waits for a service."""
        queue = f"saga.commands.{service}"
        assert self.broker.ready_count(queue) == 1, self.broker.ready_count(queue)
        [delivery] = await self.take(queue, 1)
        return wire.command_from_wire(delivery)

    async def commands(self, service: str) -> list[CommandMessage]:
        """Every command that waits for a service."""
        queue = f"saga.commands.{service}"
        return [wire.command_from_wire(each) for each in await self.take(queue, self.broker.ready_count(queue))]

    async def reply(self, to: CommandMessage, outcome: Outcome = Outcome.OK, **fields: object) -> Delivery:
        """Its service's answer."""
        given = {"effect": ReplyEffect.APPLIED if outcome is Outcome.OK else ReplyEffect.NONE, **fields}
        if outcome is Outcome.FAILED:
            given = {"code": "Declined", **given}
        message = wire.reply_to_wire(reply(to, outcome, **given))
        [delivery] = await self.arrive("saga.replies", message, sender=to.service)
        return delivery

    async def cancel(self, saga: str | None = None, **fields: object) -> Delivery:
        """A caller's wish to cancel."""
        given: dict[str, object] = {
            "name": None,
            "business_key": None,
            "message_id": "c-1",
            "reason": "changed my mind",
        }
        given |= {"reply_to": f"{CALLER}.{CLIENT}", **fields}
        message = msgspec.convert({"saga": saga, **given}, CancelMessage)
        [delivery] = await self.arrive("saga.control", wire.cancel_to_wire(message), sender=CALLER)
        return delivery

    async def rows(self, **where: object) -> list[SagaRow]:
        """Sagas in the store, oldest first."""
        return list(await self.store.sagas(msgspec.convert({"limit": 1_000, **where}, SagaFilter)))[::-1]

    async def row(self) -> SagaRow:
        """The only saga."""
        [row] = await self.rows()
        return row

    async def parked(self) -> list[ParkedMessage]:
        """Parked messages, oldest first."""
        return [row.message for row in await self.store.parked()][::-1]


def start_message(order: str = "o1", **fields: object) -> StartMessage:
    """A start by message id, answered to the caller."""
    given: dict[str, object] = {
        "name": "order",
        "version": None,
        "start_key": f"m:start-{order}",
        "input": f'{{"id":"{order}"}}'.encode(),
        "message_id": f"start-{order}",
        "reply_to": f"{CALLER}.{CLIENT}",
        **fields,
    }
    return StartMessage(**given)  # type: ignore[arg-type]  # a test's own fields


def heard(hop: Hop) -> list[str]:
    """What callers are told, in short."""
    return [told(answer) for answer in hop.answers]


def told(answer: ResultMessage) -> str:
    """`accepted`, `accepted existing`, `refused too-late`, `ended completed`."""
    more = "existing" if answer.existing else answer.status or answer.code
    return f"{answer.kind} {more}".strip()
