"""The inbox of a service as a dictionary: what every process of the service shares, and what survives a crash."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from saga.core.definition import CommandTemplate
from saga.core.messages import CommandMessage, Outcome, ReplyEffect
from saga.cost import Cost
from saga.participant import rules
from saga.participant.rules import InboxRow, RowStatus

if TYPE_CHECKING:
    from tests.simulation.world import World

LEASE_SECONDS = 8.0


class Answer(msgspec.Struct, frozen=True):
    """What a delivery is answered, without the addresses."""

    outcome: Outcome
    effect: ReplyEffect = ReplyEffect.NONE
    code: str = ""
    body: bytes = b"{}"
    cost: Cost | None = None

    @property
    def settles(self) -> bool:
        return self.outcome is Outcome.OK or self.outcome is Outcome.FAILED


class Job:
    """One delivery that is being worked on."""

    __slots__ = ("command", "effect", "remembers", "template", "unsettled")

    def __init__(self, command: CommandMessage, template: CommandTemplate) -> None:
        self.command = command
        self.template = template
        self.effect = template.effect
        self.remembers = template.remembers
        self.unsettled: str | None = None
        """Key of an action of unknown outcome that this undo tombstones."""


class Inbox:
    """Rows by key, each with the moment when it may be forgotten."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._rows: dict[str, tuple[InboxRow, datetime]] = {}

    def row(self, key: str) -> InboxRow | None:
        """What is known of a key now."""
        found = self._rows.get(key)
        if found is None:
            return None
        row, forget_at = found
        if forget_at <= self._world.moment():
            self._world.marks["forgotten"] += 1
            del self._rows[key]
            return None
        return row

    def claim(self, job: Job, stale: InboxRow | None) -> None:
        """`in_progress`, committed before the handler runs; an interrupted run is taken over."""
        world, command = self._world, job.command
        until = world.moment() + timedelta(seconds=LEASE_SECONDS)
        if "no-inbox" in world.broken:
            return
        if stale is not None:
            world.marks["took over an interrupted run"] += 1
            row, forget_at = self._rows[command.key]
            self._rows[command.key] = (msgspec.structs.replace(row, lease_until=until), forget_at)
            return
        row = InboxRow(
            key=command.key,
            status=RowStatus.IN_PROGRESS,
            command_type=command.type_name,
            command_hash=rules.payload_hash(command.body),
            command=command.body,
            owner=command.message_id,
            lease_until=until,
        )
        self._rows[command.key] = (row, self._forget_at(job))

    def hold(self, key: str, seconds: float) -> None:
        """The lease of a row is renewed while its handler runs, and ends some time after that died. An action whose
        undo runs is held likewise: it must not begin again meanwhile."""
        found = self._rows.get(key)
        if found is not None:
            until = self._world.moment() + timedelta(seconds=seconds + LEASE_SECONDS)
            self._rows[key] = (msgspec.structs.replace(found[0], lease_until=until), found[1])

    def give_up(self, key: str) -> None:
        """End our lease: the next delivery need not wait for it."""
        found = self._rows.get(key)
        if found is not None and found[0].status is RowStatus.IN_PROGRESS:
            self._rows[key] = (msgspec.structs.replace(found[0], lease_until=self._world.moment()), found[1])

    def remember(self, job: Job, answer: Answer) -> None:
        """Store what settles, beside the effect."""
        if answer.outcome is Outcome.FAILED and "failed-not-stored" in self._world.broken:
            self._rows.pop(job.command.key, None)
            return
        status = RowStatus.OK if answer.outcome is Outcome.OK else RowStatus.FAILED
        self.settle(
            job, job.command.key, status, effect=answer.effect, body=answer.body, code=answer.code, cost=answer.cost
        )
        if job.unsettled is None:
            return
        if answer.outcome is Outcome.OK:
            self.settle(job, job.unsettled, RowStatus.CANCELLED)
        else:
            self.give_up(job.unsettled)

    def settle(
        self,
        job: Job,
        key: str,
        status: RowStatus,
        *,
        effect: ReplyEffect = ReplyEffect.APPLIED,
        body: bytes = b"",
        code: str = "",
        cost: Cost | None = None,
    ) -> None:
        """The last row of a key, whoever asked."""
        if "no-inbox" in self._world.broken and status is RowStatus.OK:
            return
        if cost is None:
            self._world.ledger.free.add(key)
        before, command = self.row(key), job.command
        own = key == command.key
        row = InboxRow(
            key=key,
            status=status,
            command_type=command.type_name if own else (before.command_type if before else None),
            command_hash=rules.payload_hash(command.body) if own else (before.command_hash if before else None),
            command=command.body if own else (before.command if before else None),
            reply=body,
            code=code,
            effect=effect,
            cost=None if "cost-not-stored" in self._world.broken else cost,
        )
        self._rows[key] = (row, self._forget_at(job))

    def _forget_at(self, job: Job) -> datetime:
        remembers = timedelta(seconds=20) if "forgets-early" in self._world.broken else job.remembers
        return self._world.moment() + remembers
