"""What a participant counts: its answers, once nothing can change them any more, by names of its own contracts."""

from collections.abc import Container
from typing import Final

from saga.core.messages import BUSY, Outcome, ReplyEffect, ReplyMessage
from saga.core.metrics import catalogue as m
from saga.core.metrics.fold import REFUSED_CODES, RETRY_CODES
from saga.core.metrics.shape import OTHER
from saga.core.metrics.tally import Tallies
from saga.core.spans.messaging import MESSAGING_SYSTEM, processed_from
from saga.participant.declaration import Participant

OURS: Final = RETRY_CODES | {BUSY}


class Counts:
    """Counts answers into the tallies; without tallies it counts nothing."""

    def __init__(self, participant: Participant, tallies: Tallies | None) -> None:
        self._tallies = tallies
        self._queue = participant.queue
        self._failures = {
            name: {failure.__name__ for failure in handler.contract.failures}
            for name, handler in participant.handlers.items()
        }

    def answered(self, type_name: str, reply: ReplyMessage) -> None:
        """A command of this type has its answer."""
        tallies = self._tallies
        if tallies is None:
            return
        command = type_name if type_name in self._failures else OTHER
        kind, outcome = reply.kind.value, reply.outcome.value
        code = self._code(command, reply)
        tallies.add(m.HANDLED, (command, kind, outcome, code))
        if reply.effect is ReplyEffect.REPLAYED:
            tallies.add(m.ABSORBED, (command, kind))
        if reply.handler_time is not None:
            seconds = reply.handler_time.total_seconds()
            tallies.observe(m.WORKED, (command, kind, outcome), seconds)
            error = "" if reply.outcome is Outcome.OK else code
            destination = processed_from(command, self._queue)
            tallies.observe(m.PROCESSED, (MESSAGING_SYSTEM, "process", destination, error), seconds)

    def unreadable(self, reason: str) -> None:
        """A message was parked; the reason is one of the wire's words."""
        if self._tallies is not None:
            self._tallies.add(m.UNREADABLE, (reason,))

    def given_back(self) -> None:
        """A command is to be delivered again."""
        if self._tallies is not None:
            self._tallies.add(m.GIVEN_BACK)

    def _code(self, command: str, reply: ReplyMessage) -> str:
        """Why it is not `ok`, if that is one of a closed list: a handler may give any word to `retry`."""
        known: Container[str] = ("",)
        match reply.outcome:
            case Outcome.FAILED:
                known = self._failures.get(command, ())
            case Outcome.REFUSED:
                known = REFUSED_CODES
            case Outcome.RETRY:
                known = OURS
            case Outcome.OK:
                pass
        return reply.code if reply.code in known else OTHER
