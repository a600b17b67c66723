"""The scripted participants of a run: each answers as its script says and as its inbox demands.

The inbox is the real one: `saga.participant.rules` decides over rows kept in a dictionary. So a lost reply is replayed,
an undo that comes first leaves a tombstone, and an action that comes late finds it.
"""

from datetime import datetime
from typing import assert_never

import msgspec

from saga.contract import Effect
from saga.core.definition import CommandTemplate, Step
from saga.core.messages import CommandMessage, Kind, Outcome, RefusedCode, ReplyEffect, ReplyMessage
from saga.core.plan import Plan
from saga.cost import Cost
from saga.participant import rules
from saga.participant.outcome import BUSY_ANSWER, EMPTY_REPLY, replayed, sendable
from saga.participant.outcome import Answer as Said
from saga.participant.rules import InboxRow, RowStatus
from saga.testing.answers import Answer
from saga.testing.scripts import encoded, encoded_failure, sender_of
from saga.wire import answer as addressed


class Applied(msgspec.Struct, frozen=True):
    """Something that was done in the world."""

    path: str
    key: str
    reply: msgspec.Struct | None


class World:
    """All participants of a saga, and what they did."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rows: dict[str, InboxRow] = {}
        self.effects: dict[str, Applied] = {}
        self._done: dict[str, list[str]] = {}
        """The step's path by key, once for each time it was done."""

    @property
    def standing(self) -> tuple[str, ...]:
        """Steps whose effects stand, in the order in which they were done."""
        return tuple(applied.path for applied in self.effects.values())

    def done_again(self) -> list[tuple[str, int]]:
        """Steps that were done more than once under one key, and how often: what must never be."""
        return [(paths[0], len(paths)) for paths in self._done.values() if len(paths) > 1]

    def handle(self, command: CommandMessage, answer: Answer, now: datetime) -> ReplyMessage | None:
        """One delivery. Raises TypeError for a script that lacks a reply it needs."""
        step = self._plan.step(command.path)
        template = _template(step, command)
        own = self._rows.get(command.key)
        side = self._action if command.kind is Kind.ACTION else self._undo
        said = side(step, command, answer, own, now)
        if said is None or answer.outcome is None:
            return None
        return _reply(command, said, template)

    # ---------------------------------------------------------------------------------------------------- actions

    def _action(
        self, step: Step, command: CommandMessage, answer: Answer, row: InboxRow | None, now: datetime
    ) -> Said | None:
        admission = rules.admit(command, step.command.effect, row, now)
        match admission:
            case rules.Run():
                return self._run(step, command, answer)
            case rules.Probe(expired=expired):
                found = self.effects.get(command.key)
                if found is not None:
                    return self._settle(step, command, found.reply)
                if expired:
                    return _refused(RefusedCode.EXPIRED, "it expired, and its probe says that it did not happen")
                return self._run(step, command, answer)
            case rules.Replay() | rules.Refuse() | rules.Busy():
                return _plain(admission)
            case _:
                assert_never(admission)

    def _run(self, step: Step, command: CommandMessage, answer: Answer) -> Said | None:
        match answer.outcome:
            case Outcome.OK:
                return self._settle(step, command, answer.value, answer.cost)
            case Outcome.FAILED:
                return self._keep(step, command, _failed(answer, *encoded_failure(step, answer)))
            case _:
                self._leave_open(step, command, answer.done)
                return _unsettled(answer)

    def _settle(
        self, step: Step, command: CommandMessage, reply: msgspec.Struct | None, cost: Cost | None = None
    ) -> Said:
        type_name, body = encoded(step, reply)
        said = Said(outcome=Outcome.OK, effect=ReplyEffect.APPLIED, type=type_name, body=body, cost=cost)
        return self._keep(step, command, said, reply)

    def _do(self, step: Step, command: CommandMessage, reply: msgspec.Struct | None) -> None:
        """A repeat under the same key changes nothing: the effect of the command promises that."""
        if step.command.effect is not Effect.READ_ONLY and command.key not in self.effects:
            self.effects[command.key] = Applied(step.path, command.key, reply)
            self._done.setdefault(command.key, []).append(step.path)

    def _leave_open(self, step: Step, command: CommandMessage, done: msgspec.Struct | None) -> None:
        """The handler ended without a definite answer: what its effect leaves behind."""
        if step.command.effect is Effect.INBOX:
            if done is not None:  # it was committed, and the database's answer was lost
                self._settle(step, command, done)
            return  # else its transaction was rolled back
        if done is not None:
            self._do(step, command, done)
        if step.command.effect is not Effect.READ_ONLY:
            self._rows[command.key] = _row(command, RowStatus.IN_PROGRESS)

    def _keep(self, step: Step, command: CommandMessage, said: Said, done: msgspec.Struct | None = None) -> Said:
        """Remember a definite answer with what was done, unless the wire does not take it: then nothing is settled."""
        told = sendable(step.command.type_name, said)
        if not told.settles:
            self._leave_open(step, command, None if step.command.effect is Effect.INBOX else done)
            return told
        if said.outcome is Outcome.OK:
            self._do(step, command, done)
        if step.command.effect is not Effect.READ_ONLY:
            self._rows[command.key] = _row(command, RowStatus(said.outcome.value), said)
        return said

    # ------------------------------------------------------------------------------------------------------ undos

    def _undo(
        self, step: Step, command: CommandMessage, answer: Answer, row: InboxRow | None, now: datetime
    ) -> Said | None:
        template = _template(step, command)
        undone = self._rows.get(command.undoes or "")
        effect = step.command.effect
        admission = rules.admit_undo(command, template.effect, row, (undone, effect), now)
        if isinstance(admission, rules.Probe):  # its own earlier run: scripted ones never stop half way
            admission = rules.admit_undone(command, undone, effect, now)
        match admission:
            case rules.ProbeAction(action):
                found = self.effects.get(action.key)
                status = RowStatus.CANCELLED if found is None else RowStatus.OK
                self._rows[action.key] = msgspec.structs.replace(action, status=status)
                return self._undo(step, command, answer, row, now)
            case rules.UndoWithStored() | rules.UndoFromPayload():
                return self._carry_out(command, template, answer)
            case rules.Tombstone() | rules.NothingToUndo():
                if undone is None:
                    self._rows[command.undoes or ""] = InboxRow(key=command.undoes or "", status=RowStatus.CANCELLED)
                return self._answered(command, template, ReplyEffect.NONE)
            case rules.Replay() | rules.Refuse() | rules.Busy():
                return _plain(admission)
            case _:
                assert_never(admission)

    def _carry_out(self, command: CommandMessage, template: CommandTemplate, answer: Answer) -> Said | None:
        match answer.outcome:
            case Outcome.OK:
                self._take_back(command)
                return self._answered(command, template, ReplyEffect.APPLIED, answer.cost)
            case Outcome.FAILED:
                said = _failed(answer, f"{template.service}.{answer.code}.v{template.version}", b"{}")
                self._rows[command.key] = _row(command, RowStatus.FAILED, said)
                return said
            case _:
                if answer.done is not None:
                    self._take_back(command)
                    self._answered(command, template, ReplyEffect.APPLIED)
                return _unsettled(answer)

    def _take_back(self, command: CommandMessage) -> None:
        undone = command.undoes or ""
        self.effects.pop(undone, None)
        row = self._rows.get(undone)
        if row is not None and row.status is RowStatus.IN_PROGRESS:
            self._rows[undone] = msgspec.structs.replace(row, status=RowStatus.CANCELLED)

    def _answered(
        self, command: CommandMessage, template: CommandTemplate, effect: ReplyEffect, cost: Cost | None = None
    ) -> Said:
        said = Said(outcome=Outcome.OK, effect=effect, type=template.reply, body=EMPTY_REPLY, cost=cost)
        self._rows[command.key] = _row(command, RowStatus.OK, said)
        return said


def _reply(command: CommandMessage, said: Said, template: CommandTemplate) -> ReplyMessage:
    reply = addressed(command, said.outcome, said.code, said.message, effect=said.effect)
    return msgspec.structs.replace(
        reply,
        type=said.type,
        body=said.body,
        retry_after=said.retry_after,
        cost=said.cost,
        sender=sender_of(template),
    )


def _template(step: Step, command: CommandMessage) -> CommandTemplate:
    if command.kind is Kind.ACTION:
        return step.command
    unknown = step.undo_unknown if command.undoes_outcome == "unknown" else None
    template = unknown or step.undo
    assert template is not None, f"{step.path} has no undo"
    return template


def _row(command: CommandMessage, status: RowStatus, said: Said | None = None) -> InboxRow:
    answer = said or Said(outcome=Outcome.OK)
    return InboxRow(
        key=command.key,
        status=status,
        command_type=command.type_name,
        command_hash=rules.payload_hash(command.body),
        command=command.body,
        reply_type=answer.type,
        reply=answer.body,
        code=answer.code,
        effect=answer.effect,
        cost=answer.cost,
    )


def _plain(admission: rules.Replay | rules.Refuse | rules.Busy) -> Said:
    match admission:
        case rules.Replay(row):
            return replayed(row)
        case rules.Refuse(code, message):
            return _refused(code, message)
        case rules.Busy():
            return BUSY_ANSWER
        case _:
            assert_never(admission)


def _refused(code: RefusedCode, message: str) -> Said:
    return Said(outcome=Outcome.REFUSED, code=code.value, message=message)


def _failed(answer: Answer, type_name: str, body: bytes) -> Said:
    said = Said(outcome=Outcome.FAILED, code=answer.code, message=answer.message, type=type_name, body=body)
    return msgspec.structs.replace(said, cost=answer.cost)


def _unsettled(answer: Answer) -> Said | None:
    if answer.outcome is None:
        return None
    said = Said(outcome=answer.outcome, code=answer.code, message=answer.message, retry_after=answer.after)
    return msgspec.structs.replace(said, cost=answer.cost)
