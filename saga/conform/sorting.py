"""What was sent, and which of it a message that came back is about."""

import asyncio

from saga.conform.sight import violations
from saga.ports import Delivery, Outgoing
from saga.wire import names


class Box:
    """What came back about one attempt. A redelivered command may be answered twice, also much later."""

    def __init__(self) -> None:
        self.replies: asyncio.Queue[Delivery] = asyncio.Queue()
        self.parked: asyncio.Queue[Delivery] = asyncio.Queue()


class Sorting:
    """Puts each message into the box of the attempt it is about, and looks at every reply."""

    def __init__(self, service: str) -> None:
        self.violations: dict[str, tuple[str, Delivery]] = {}
        """By rule, of those that every reply is looked at for: the first one found."""
        self.replies_count = 0
        self.strangers_count = 0
        """Of messages that name nothing we sent."""
        self._service = service
        self._boxes: dict[str, Box] = {}
        self._sent: dict[str, Outgoing] = {}
        self._answered: set[str] = set()

    def expect(self, message: Outgoing) -> None:
        """Know a message that is about to be sent, again or for the first time."""
        self._sent[message.message_id] = message
        self._boxes.setdefault(message.message_id, Box())

    def box(self, message_id: str) -> Box:
        """Of one attempt."""
        return self._boxes[message_id]

    def take(self, delivery: Delivery) -> bool:
        """Sort one message; whether it is ours."""
        command = self._command_of(delivery)
        if command is None:
            self.strangers_count += 1
            return False
        box = self._boxes[command.message_id]
        if delivery.queue == names.QUEUE_PARKING:
            box.parked.put_nowait(delivery)
            return True
        self.replies_count += 1
        self._answered.add(command.message_id)
        for rule, reason in violations(delivery, command, self._service):
            self.violations.setdefault(rule, (reason, delivery))
        box.replies.put_nowait(delivery)
        return True

    def _command_of(self, delivery: Delivery) -> Outgoing | None:
        """What a message is about, also when it does not echo all it should: then what fits best of its saga."""
        for message_id in (delivery.headers.get(names.IN_REPLY_TO, ""), delivery.message_id):
            if message_id in self._sent:
                return self._sent[message_id]
        key = delivery.headers.get(names.IDEMPOTENCY_KEY)
        about = [
            command
            for command in self._sent.values()
            if command.correlation_id == delivery.correlation_id or command.headers.get(names.IDEMPOTENCY_KEY) == key
        ]
        return max(about, key=lambda command: self._fit(command, delivery), default=None)

    def _fit(self, command: Outgoing, delivery: Delivery) -> tuple[int, bool]:
        """How well a command fits: by the addresses that are echoed, and by having no answer yet."""
        echoed = (names.IDEMPOTENCY_KEY, names.ATTEMPT, names.KIND)
        same = sum(command.headers.get(name) == delivery.headers.get(name) for name in echoed)
        return same, command.message_id not in self._answered
