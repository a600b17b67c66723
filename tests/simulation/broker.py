"""The broker: it loses, repeats, delays and reorders, gives back, forgets everything, and swallows confirms."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from saga.core.children import SERVICE
from saga.core.messages import CommandMessage, Kind, Outcome, ReplyMessage
from tests.simulation.faults import Regime

if TYPE_CHECKING:
    from tests.simulation.callers import Ask
    from tests.simulation.world import World

CONFIRM_TIMEOUT_SECONDS = 5.0
DAY_SECONDS = 86_400.0
WEEK_SECONDS = 7 * DAY_SECONDS
"""How long a compensation lives in the broker. The engine's margin for what a participant forgets counts on it: actions
carry an expiry of their own."""

Result = Callable[[str], None]
"""Told `confirmed`, `returned` or `unknown`."""


class Delivery:
    """A message handed to a consumer and not yet settled."""

    __slots__ = ("message", "open")

    def __init__(self, message: "CommandMessage | ReplyMessage | Ask") -> None:
        self.message = message
        self.open = True


class Broker:
    """Three kinds of queues: one a service, one for replies, one for what callers ask."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._epoch = 0
        """Rises with every wipe: what was under way before is gone."""
        self.under_way: Counter[str] = Counter()
        """Copies of commands somewhere between publisher and acknowledgement, by idempotency key."""
        self._sent_at: dict[str, float] = {}
        self.accepted: set[str] = set()
        """Commands that were ever in a queue."""
        self.missing_until: dict[str, float] = {}
        self.forged: list[ReplyMessage] = []
        self.seen: list[ReplyMessage] = []

    def begin(self) -> None:
        """Plan what happens to the broker itself."""
        world, faults = self._world, self._world.faults
        for service in world.participants:
            if world.chance(faults.queue_missing):
                self.missing_until[service] = world.random.random() * faults.heal_after_seconds
        if world.chance(faults.wipe):
            world.after(world.random.random() * faults.heal_after_seconds, self._wipe)
        if world.chance(faults.forge):
            for _ in range(world.random.randint(1, 6)):
                world.after(world.random.random() * min(60.0, faults.heal_after_seconds), self._forge)

    def heal(self) -> None:
        """Every queue is there."""
        self.missing_until.clear()

    # ------------------------------------------------------------------------------------------------- publish

    def publish_command(self, message: CommandMessage, result: Result) -> None:
        """From an orchestrator to a service's queue."""
        world, faults = self._world, self._world.faults
        if world.pauses.loses(message) or world.chance(faults.publish_lost):
            world.marks["command lost before the broker"] += 1
            world.after(CONFIRM_TIMEOUT_SECONDS, result, "unknown")
            return
        if self.missing_until.get(message.service, 0.0) > world.now:
            world.marks["unroutable"] += 1
            world.after(0.01, result, "returned")
            return
        self._sent_at[message.message_id] = world.now
        self.accepted.add(message.message_id)
        for _ in range(self._copies()):
            self._send_command(message)
        if world.chance(faults.confirm_lost):
            world.marks["confirm lost"] += 1
            world.after(CONFIRM_TIMEOUT_SECONDS, result, "unknown")
        else:
            late = world.chance(faults.confirm_late)
            world.after(world.random.random() * 60.0 if late else 0.005, result, "confirmed")
        if message.kind is Kind.ACTION and world.chance(faults.other_bytes):
            world.after(self._delay(), self._corrupt, message)

    def publish_reply(self, message: ReplyMessage, result: Result) -> None:
        """From a service to the queue of replies."""
        world, faults = self._world, self._world.faults
        if world.chance(faults.publish_lost):
            world.marks["reply lost before the broker"] += 1
            world.after(CONFIRM_TIMEOUT_SECONDS, result, "unknown")
            return
        if faults.forge:
            self.seen.append(message)
        for _ in range(self._copies()):
            self._deliver_later(message)
        if world.chance(faults.confirm_lost):
            world.after(CONFIRM_TIMEOUT_SECONDS, result, "unknown")
        else:
            result("confirmed")

    def publish_ask(self, message: "Ask") -> None:
        """From a caller to the engine."""
        if self._world.chance(self._world.faults.publish_lost):
            return
        for _ in range(self._copies()):
            self._deliver_later(message)

    # ------------------------------------------------------------------------------------------------- deliver

    def give_back(self, delivery: Delivery) -> None:
        """The consumer died or let go: the message comes again, to anybody."""
        if delivery.open:
            delivery.open = False
            self._world.marks["redelivered"] += 1
            self._deliver_later(delivery.message)

    def ack(self, delivery: Delivery) -> None:
        """Settled; of a lost channel it means nothing, and sometimes the broker never hears it."""
        if not delivery.open:
            return
        if self._world.chance(self._world.faults.redeliver):
            self._world.marks["ack lost"] += 1
            self.give_back(delivery)
        delivery.open = False

    def _deliver_later(self, message: "CommandMessage | ReplyMessage | Ask") -> None:
        self._world.after(self._delay(), self._deliver, message, self._epoch)

    def _deliver(self, message: "CommandMessage | ReplyMessage | Ask", epoch: int) -> None:
        if epoch != self._epoch:
            return
        alive = self._world.alive()
        if not alive:
            self._world.hold(self._deliver, message, epoch)
            return
        self._world.random.choice(alive).receive(Delivery(message))

    def _send_command(self, message: CommandMessage) -> None:
        self.under_way[message.key] += 1
        delay = self._delay()
        if delay > DAY_SECONDS and message.kind is Kind.ACTION:
            delay *= 2.0  # an action may outlive its expiry on the way; compensations carry none, and arrive in a week
        self._world.after(delay, self._deliver_command, message, self._epoch)

    def _deliver_command(self, message: CommandMessage, epoch: int) -> None:
        outlived = (
            message.kind is Kind.COMPENSATION and self._world.now - self._sent_at[message.message_id] > WEEK_SECONDS
        )
        if epoch != self._epoch or outlived:
            self.under_way[message.key] -= 1
            return
        if message.service == SERVICE:
            self.under_way[message.key] -= 1
            self._deliver(message, epoch)
            return
        self._world.participants[message.service].receive(message)

    def command_done(self, message: CommandMessage) -> None:
        """A participant acknowledged a command."""
        self.under_way[message.key] -= 1
        if self._world.chance(self._world.faults.redeliver):
            self._send_command(message)

    def command_again(self, message: CommandMessage, seconds: float) -> None:
        """A participant died or cannot take it now: it comes again."""
        self._world.after(seconds + self._delay(), self._deliver_command, message, self._epoch)

    # -------------------------------------------------------------------------------------------------- chance

    def _copies(self) -> int:
        world = self._world
        if not world.chance(world.faults.duplicate):
            return 1
        world.marks["duplicated"] += 1
        most = 4 if world.drawn.regime is Regime.DUPLICATE_STORM else 2
        return 1 + world.random.randint(1, most)

    def _delay(self) -> float:
        world = self._world
        if world.chance(world.faults.long_delay):
            world.marks["delayed for hours"] += 1
            return world.random.random() * world.random.choice((600.0, 20_000.0, 500_000.0))
        return world.random.random() * world.faults.delay_seconds

    def _wipe(self) -> None:
        self._world.marks["broker wiped"] += 1
        self._epoch += 1
        for orchestrator in self._world.orchestrators:
            orchestrator.reconcile_soon()

    def _corrupt(self, message: CommandMessage) -> None:
        """The same key with other bytes, after the original was taken."""
        participant = self._world.participants.get(message.service)
        if participant is not None and participant.knows(message.key):
            self._world.marks["other bytes under the same key"] += 1
            self._send_command(msgspec.structs.replace(message, body=message.body + b" "))

    def _forge(self) -> None:
        """An answer nobody may give: a stranger speaks for the service, or ids are made up."""
        if not self.seen:
            return
        random = self._world.random
        true = random.choice(self.seen)
        lie = Outcome.FAILED if true.outcome is Outcome.OK else Outcome.OK
        lies: list[dict[str, object]] = [
            {"sender": "mallory", "outcome": lie, "body": b'{"id":"forged"}', "code": "Forged"},
            {"service": "mallory", "sender": "mallory", "outcome": lie, "body": b'{"id":"forged"}'},
            {"sender": None, "outcome": Outcome.OK, "body": b'{"id":"forged"}'},
            {"execution": true.execution + 7},
            {"attempt": true.attempt + 90},
            {"key": "0" * 32},
            {"in_reply_to": "0" * 32},
            {"path": "nowhere"},
        ]
        forged = msgspec.structs.replace(true, **random.choice(lies))
        self.forged.append(forged)
        self._world.marks["forged"] += 1
        self._deliver_later(forged)
