"""A service: the real participant rules over an inbox in a dictionary, every effect mode, and every way to die.

It does what `saga.participant` does around those rules, one transaction at a time, so that a crash fits between any
two. Effects go to the ledger, never to the engine.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from saga.contract import Effect
from saga.core.definition import CommandTemplate
from saga.core.messages import (
    BUSY,
    CommandMessage,
    Kind,
    Outcome,
    RefusedCode,
    ReplyEffect,
    ReplyMessage,
)
from saga.participant import rules
from saga.participant.rules import RowStatus
from tests.simulation.faults import Regime
from tests.simulation.inbox import Answer, Inbox, Job

if TYPE_CHECKING:
    from tests.simulation.world import World

RESTART_SECONDS = 3.0


OLD_SECONDS_MAX = 6 * 3_600.0
"""Of a release that does not know a command: it is asked every minute, and a world has a bound."""
BUSY_ANSWER = Answer(Outcome.RETRY, code=BUSY)


class Participant:
    """All processes of one service: they share the inbox, and they die one delivery at a time."""

    def __init__(self, world: "World", service: str) -> None:
        self._world = world
        self.service = service
        self.inbox = Inbox(world)
        self.running: set[str] = set()
        self.away_until = 0.0
        self.old_until = 0.0
        self.dead = False

    def begin(self) -> None:
        """Plan when the service is away, or a release behind."""
        world, faults = self._world, self._world.faults
        if world.drawn.regime is Regime.DEAD_SERVICE and self.service == "beta":
            self.dead = True
        if world.chance(faults.service_away):
            self.away_until = world.random.random() * faults.heal_after_seconds
        if world.chance(faults.old_service):
            self.old_until = world.random.random() * min(faults.heal_after_seconds, OLD_SECONDS_MAX)

    def heal(self) -> None:
        """Consumers are back, on the current release."""
        self.away_until = self.old_until = 0.0

    def knows(self, key: str) -> bool:
        """Whether the inbox has a row of this key now."""
        return self.inbox.row(key) is not None

    # -------------------------------------------------------------------------------------------------- arriving

    def receive(self, command: CommandMessage) -> None:
        """A delivery from the service's queue."""
        world = self._world
        if self.dead:
            return
        if (wait_seconds := max(self.away_until - world.now, world.pauses.silent_seconds(command))) > 0.0:
            world.broker.command_again(command, wait_seconds + 0.01)
            return
        world.trace(command.message_id.encode())
        if self.old_until > world.now:
            world.marks["unknown command"] += 1
            self._reply(command, Answer(Outcome.REFUSED, code=RefusedCode.UNKNOWN_COMMAND))
            return
        if command.key in self.running or (command.undoes or "") in self.running:
            world.marks["busy"] += 1
            self._reply(command, BUSY_ANSWER)
            return
        job = Job(command, self._template(command))
        if job.effect is Effect.READ_ONLY:
            self._start(job, self._finish_reading)
        elif command.kind is Kind.ACTION:
            self._admit_action(job)
        else:
            self._admit_undo(job)

    def _template(self, command: CommandMessage) -> CommandTemplate:
        plan = self._world.plans[command.saga]
        step = plan.step(command.path)
        template = step.command if command.kind is Kind.ACTION else step.undo
        assert template is not None
        return template

    def _admit_action(self, job: Job) -> None:
        command, row = job.command, self.inbox.row(job.command.key)
        admission = rules.admit(command, job.effect, row, self._world.moment())
        match admission:
            case rules.Run():
                self._run(job)
            case rules.Probe():
                if self._cannot_tell(command):
                    return
                if self._world.ledger.applied(command.key):
                    self.inbox.settle(job, command.key, RowStatus.OK, body=_body(command.key))
                    self._reply(command, Answer(Outcome.OK, ReplyEffect.REPLAYED, body=_body(command.key)))
                elif admission.expired:
                    self._reply(command, Answer(Outcome.REFUSED, code=RefusedCode.EXPIRED))
                else:
                    self._run(job)
            case _:
                self._plain(command, admission)

    def _admit_undo(self, job: Job) -> None:
        command, row = job.command, self.inbox.row(job.command.key)
        action = self.inbox.row(command.undoes or "")
        effect = self._world.plans[command.saga].step(command.path).command.effect
        now = self._world.moment()
        admission = rules.admit_undo(command, job.effect, row, (action, effect), now)
        if isinstance(admission, rules.Probe):
            if self._cannot_tell(command):
                return
            if command.key in self._world.ledger.undo_keys:
                self.inbox.settle(job, command.key, RowStatus.OK, body=b"{}")
                self._reply(command, Answer(Outcome.OK, ReplyEffect.REPLAYED))
                return
            admission = rules.admit_undone(command, action, effect, now)
        self._carry_out(job, admission)

    def _carry_out(self, job: Job, admission: rules.UndoneAdmission | rules.Replay) -> None:
        command, world = job.command, self._world
        match admission:
            case rules.UndoWithStored(action, unsettled):
                job.unsettled = action.key if unsettled else None
                self._run(job)
            case rules.UndoFromPayload():
                world.marks["undone from the payload alone"] += 1
                self._run(job)
            case rules.ProbeAction(action):
                if self._cannot_tell(command):
                    return
                happened = world.ledger.applied(action.key)
                status = RowStatus.OK if happened else RowStatus.CANCELLED
                self.inbox.settle(job, action.key, status, body=_body(action.key))
                self._admit_undo(job)
            case rules.Tombstone():
                world.marks["compensation before action"] += 1
                if "no-tombstone" not in world.broken:
                    self.inbox.settle(job, command.undoes or "", RowStatus.CANCELLED)
                self._nothing_to_undo(job)
            case rules.NothingToUndo():
                self._nothing_to_undo(job)
            case _:
                self._plain(command, admission)

    def _nothing_to_undo(self, job: Job) -> None:
        self.inbox.settle(job, job.command.key, RowStatus.OK, effect=ReplyEffect.NONE, body=b"{}")
        self._answer_or_die(job, Answer(Outcome.OK, ReplyEffect.NONE))

    def _plain(self, command: CommandMessage, admission: rules.Replay | rules.Refuse | rules.Busy) -> None:
        match admission:
            case rules.Replay(row):
                self._world.marks["replayed"] += 1
                done = row.status is RowStatus.OK
                effect = ReplyEffect.NONE if done and row.effect is ReplyEffect.NONE else ReplyEffect.REPLAYED
                outcome = Outcome.OK if done else Outcome.FAILED
                self._reply(command, Answer(outcome, effect, row.code, row.reply, row.cost))
            case rules.Refuse(code, _):
                self._world.marks[f"refused {code}"] += 1
                self._reply(command, Answer(Outcome.REFUSED, code=code))
            case rules.Busy():
                self._reply(command, BUSY_ANSWER)

    def _cannot_tell(self, command: CommandMessage) -> bool:
        if not self._world.chance(self._world.faults.cannot_tell):
            return False
        self._world.marks["the probe cannot tell"] += 1
        self._reply(command, Answer(Outcome.REFUSED, code=RefusedCode.IN_DOUBT))
        return True

    # --------------------------------------------------------------------------------------------------- running

    def _run(self, job: Job) -> None:
        if job.effect is Effect.INBOX:
            seconds = self._start(job, self._finish_in_transaction)
        else:
            self.inbox.claim(job, self.inbox.row(job.command.key))
            seconds = self._start(job, self._take_effect)
            self.inbox.hold(job.command.key, seconds)
        if job.unsettled is not None:
            self.inbox.hold(job.unsettled, seconds)

    def _start(self, job: Job, finish: Callable[[Job], None]) -> float:
        """Run the handler; how long it will take."""
        world = self._world
        self.running.add(job.command.key)
        slow = world.chance(world.faults.slow_handler)
        seconds = world.random.random() * (world.random.choice((10.0, 200.0)) if slow else 0.05)
        world.after(seconds, finish, job)
        return seconds

    def _finish_reading(self, job: Job) -> None:
        self.running.discard(job.command.key)
        self._answer_or_die(job, _decision(self._world, job))

    def _finish_in_transaction(self, job: Job) -> None:
        """Effect and row in one transaction."""
        self.running.discard(job.command.key)
        if self._dies(job.command, "before its transaction"):
            return
        answer = _decision(self._world, job)
        if answer.settles:
            if answer.outcome is Outcome.OK:
                self._effect(job)
            self.inbox.remember(job, answer)
        self._answer_or_die(job, answer)

    def _take_effect(self, job: Job) -> None:
        """`in_progress` is committed; now the provider is called."""
        if self._dies(job.command, "before the effect"):
            return
        answer = _decision(self._world, job)
        if answer.outcome is Outcome.OK:
            self._effect(job)
            if self._dies(job.command, "after the effect, in progress"):
                return
            if self._world.chance(self._world.faults.transient):
                self._world.marks["applied, then the connection dropped"] += 1
                answer = Answer(Outcome.RETRY, code="unavailable", cost=answer.cost)
        self.running.discard(job.command.key)
        if answer.settles:
            self.inbox.remember(job, answer)
        else:
            self.inbox.give_up(job.command.key)
            if job.unsettled is not None:
                self.inbox.give_up(job.unsettled)
        self._answer_or_die(job, answer)

    def _effect(self, job: Job) -> None:
        command, ledger = job.command, self._world.ledger
        if job.effect is Effect.READ_ONLY:
            return
        if command.kind is Kind.ACTION:
            if job.effect is not Effect.PROVIDER_KEY or not ledger.applied(command.key):
                ledger.apply(command)
            return
        if job.effect is Effect.PROVIDER_KEY and command.key in ledger.undo_keys:
            return
        if job.unsettled is not None and ledger.net(job.unsettled) == 0:
            return  # the provider is told to take back what it never did: it does nothing
        ledger.undo(command)

    def _dies(self, command: CommandMessage, place: str) -> bool:
        world = self._world
        if not world.chance(world.faults.participant_crash):
            return False
        world.marks[f"participant dies {place}"] += 1
        self.running.discard(command.key)
        world.broker.command_again(command, RESTART_SECONDS)
        return True

    # ----------------------------------------------------------------------------------------------------- reply

    def _answer_or_die(self, job: Job, answer: Answer) -> None:
        if not self._dies(job.command, "before its reply"):
            self._reply(job.command, answer)

    def _reply(self, command: CommandMessage, answer: Answer) -> None:
        reply = ReplyMessage(
            saga=command.saga,
            path=command.path,
            kind=command.kind,
            execution=command.execution,
            attempt=command.attempt,
            key=command.key,
            in_reply_to=command.message_id,
            service=self.service,
            outcome=answer.outcome,
            effect=answer.effect,
            type=f"{self.service}.Done.v1",
            body=answer.body if answer.settles else b"",
            code="" if answer.outcome is Outcome.OK else answer.code,
            cost=answer.cost,
            sender=self.service,
        )
        self._publish(command, reply)

    def _publish(self, command: CommandMessage, reply: ReplyMessage) -> None:
        """Until the broker has it; only then the command is acknowledged."""

        def result(what: str) -> None:
            if what == "confirmed":
                self._world.broker.command_done(command)
            elif self._world.random.random() < 0.5:
                self._world.broker.publish_reply(reply, result)
            else:
                self._world.broker.command_again(command, RESTART_SECONDS)

        self._world.broker.publish_reply(reply, result)


def _body(key: str) -> bytes:
    return b'{"id":"%s"}' % key[:8].encode()


def _decision(world: "World", job: Job) -> Answer:
    """What the business says this time, and what it cost to find out: an invoice of its own."""
    return msgspec.structs.replace(_business(world, job), cost=world.ledger.invoice(job.command.key))


def _business(world: "World", job: Job) -> Answer:
    """What the business says this time."""
    faults = world.faults
    command = job.command
    if world.chance(faults.transient):
        return Answer(Outcome.RETRY, code="unavailable")
    if command.kind is Kind.COMPENSATION:
        if command.key not in world.ledger.undo_keys and world.chance(faults.undo_refuse):
            return Answer(Outcome.FAILED, code="WindowClosed")
        return Answer(Outcome.OK, ReplyEffect.APPLIED)
    applied_before = job.effect is not Effect.INBOX and world.ledger.applied(command.key)
    if job.template.failures and not applied_before and world.chance(faults.refuse):
        return Answer(Outcome.FAILED, code=world.random.choice(job.template.failures))
    body = b'{"wrong":1}' if world.chance(faults.bad_reply) else _body(command.key)
    return Answer(Outcome.OK, ReplyEffect.APPLIED, body=body)
