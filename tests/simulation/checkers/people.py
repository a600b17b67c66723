"""S16: what people and others outside said counts once, in time, and for what they saw."""

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from saga.core import events as e
from saga.core.address import template
from saga.core.blocks import Approval
from saga.core.messages import Kind
from tests.simulation.checkers.elapsed import paused
from tests.simulation.checkers.shadow import Shadow
from tests.simulation.store import Commit, Row
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

TOLERANCE = timedelta(milliseconds=1)


class Asked(msgspec.Struct):
    """One request for approval, as the history tells it."""

    number: int
    at: datetime
    digest: str
    roles: set[str]
    quorum: int
    expires_at: datetime | None
    remind_at: datetime | None = None
    reminded: datetime | None = None
    people: list[str] = []
    closed: str = ""
    used: bool = False


class People:
    """Of one saga."""

    def __init__(self) -> None:
        self.asked: dict[str, Asked] = {}
        self.signals: dict[str, str] = {}
        self.consumed: set[str] = set()
        self.waits: dict[str, tuple[datetime, datetime | None]] = {}
        self.done: set[str] = set()
        self.permits: dict[tuple[str, int], str] = {}

    def on_commit(self, world: "World", row: Row, commit: Commit, shadow: Shadow) -> None:
        """Each event of this commit."""
        for event in commit.events:
            self._approval(world, row, event)
            self._wait(world, row, event)
            if isinstance(event, e.CommandIssued) and event.kind is Kind.ACTION:
                self._sent(event, shadow)

    # --------------------------------------------------------------------------------------------------- approvals

    def _approval(self, world: "World", row: Row, event: e.AnyEvent) -> None:
        match event:
            case e.ApprovalRequested():
                digest = hashlib.sha256(bytes(event.subject)).hexdigest()
                self.asked[event.path] = Asked(
                    event.number, event.at, digest, set(event.roles), event.quorum, event.expires_at, event.remind_at
                )
            case e.ApprovalDecided():
                self._decided(world, row, event)
            case e.ApprovalEscalated():
                asked = self.asked[event.path]
                self._due(world, row, (asked.at, asked.expires_at, event.at), f"{event.path} is escalated")
                asked.at, asked.roles, asked.expires_at = event.at, set(event.roles), event.expires_at
            case e.ApprovalReminded():
                asked = self.asked[event.path]
                since = asked.at if asked.reminded is None else asked.reminded
                self._due(world, row, (since, asked.remind_at, event.at), f"{event.path} is reminded of")
                asked.reminded, asked.remind_at = event.at, event.next_at
            case e.ApprovalClosed():
                self._closed(world, row, event)
            case e.PermitUsed():
                asked = self.asked[event.path]
                if asked.closed != "approved" or asked.used or asked.number != event.number:
                    raise Violation(
                        "S16", f"{event.step} uses a permit of {event.path} that is {asked.closed or 'open'}"
                    )
                asked.used = True
                self.permits[event.step, event.execution] = asked.digest
            case _:
                pass

    def _decided(self, world: "World", row: Row, event: e.ApprovalDecided) -> None:
        asked = self.asked[event.path]
        self._meant(row, event, asked)
        if asked.closed:
            raise Violation("S16", f"{event.approver} decided on {event.path}, which was {asked.closed}")
        if event.approver in asked.people:
            raise Violation("S16", f"{event.approver} decided on {event.path} twice")
        if event.digest != asked.digest:
            raise Violation("S16", f"{event.approver} decided on {event.path} without having seen it as it was")
        if not set(event.roles) & asked.roles:
            raise Violation("S16", f"{event.approver} decided on {event.path} without the right")
        if asked.expires_at is not None and not world.drawn.skew_seconds:
            slept = paused(row, asked.at, event.at)
            if event.at - slept > asked.expires_at + TOLERANCE:
                raise Violation("S16", f"{event.approver} decided on {event.path} after its time")
        asked.people.append(event.approver)
        if bytes(event.edited) != b"null":
            asked.digest = hashlib.sha256(bytes(event.edited)).hexdigest()

    def _meant(self, row: Row, event: e.ApprovalDecided, asked: Asked) -> None:
        meant = getattr(row.commits[-1].given, "number", None)
        if meant not in (None, asked.number):
            raise Violation("S16", f"{event.approver} decided on request {meant} of {event.path}, not {asked.number}")

    def _closed(self, world: "World", row: Row, event: e.ApprovalClosed) -> None:
        asked = self.asked[event.path]
        if asked.closed:
            raise Violation("S16", f"{event.path} is {event.how}, and was {asked.closed}")
        if event.how == "approved" and len(asked.people) < asked.quorum:
            raise Violation("S16", f"{event.path} is approved by {len(asked.people)} of {asked.quorum}")
        if event.how == "expired":
            self._due(world, row, (asked.at, asked.expires_at, event.at), f"{event.path} expired")
        asked.closed = str(event.how)

    def _sent(self, event: e.CommandIssued, shadow: Shadow) -> None:
        """A guarded command is what was approved."""
        block = shadow.plan.guards.get(template(event.path))
        if block is None or block.condition is not None:
            return
        digest = hashlib.sha256(bytes(event.body)).hexdigest()
        if self.permits.get((event.path, event.execution)) != digest:
            raise Violation("S16", f"{event.path} execution {event.execution} is sent without a permit for its bytes")
        assert isinstance(block, Approval)

    # ------------------------------------------------------------------------------------------------------- waits

    def _wait(self, world: "World", row: Row, event: e.AnyEvent) -> None:
        match event:
            case e.WaitStarted():
                self.waits[event.path] = (event.at, event.until)
            case e.WaitEnded(how=e.WaitEnd.ELAPSED):
                since, until = self.waits.get(event.path, (event.at, event.at))
                self._due(world, row, (since, until, event.at), f"the wait {event.path} ended")
            case e.SignalReceived():
                if event.message_id in self.signals:
                    raise Violation("S16", f"the signal {event.message_id} was recorded twice")
                self.signals[event.message_id] = event.signal
            case e.SignalConsumed():
                if event.message_id not in self.signals or event.message_id in self.consumed:
                    raise Violation("S16", f"{event.path} consumes {event.message_id}, which is not there")
                if event.path in self.done:
                    raise Violation("S16", f"{event.path} consumes a second signal")
                self.consumed.add(event.message_id)
                self.done.add(event.path)
            case _:
                pass

    def _due(self, world: "World", row: Row, clock: tuple[datetime, datetime | None, datetime], what: str) -> None:
        since, until, now = clock
        if until is None:
            raise Violation("S17", f"{what}, but it had no end")
        if world.drawn.skew_seconds:
            return
        if now - paused(row, since, now) + TOLERANCE < until:
            raise Violation("S17", f"{what} at {now}, before {until}")
