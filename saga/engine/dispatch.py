"""The step that sends: what must be on the wire goes there, and what became of it comes back as work."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from saga.core.about import of_command, of_reply
from saga.core.children import answer_version
from saga.core.inputs import Delivered, Undelivered
from saga.core.messages import CommandMessage, ReplyMessage, ResultMessage
from saga.core.outstanding import asked_again, outstanding
from saga.core.plan import Plan
from saga.core.state import SagaState, Waiting
from saga.engine.children import reply_of
from saga.engine.receive import Work
from saga.ports import Bus, Clock, Delivery, Outgoing, Sent, Wakes
from saga.wire import command_to_wire, reply_to_wire, result_to_wire

log = logging.getLogger("saga.engine")

REMEMBERED_MAX = 50_000
SETTLE_BATCH_MAX = 1_000
SOME_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""Placeholder of feedback's `now`: the handler puts store time in its place."""


class Dispatch(msgspec.Struct, frozen=True):
    """The commands of one saga that must be on the wire."""

    saga: str
    version: int
    """When all are confirmed, everything up to this commit is dispatched; 0: earlier ones are still in doubt."""
    commands: tuple[tuple[CommandMessage, bool], ...]
    """Each with whether its clock stands still because it was not delivered before."""
    answer: ReplyMessage | None = None
    """Of a child that has ended, to its parent."""


class Wanted(msgspec.Struct, frozen=True):
    """What a state asks to be sent now."""

    dispatch: Dispatch | None
    proven: bool
    """Nothing that was sent before this and still counts is in doubt."""


def wanted(
    plan: Plan, state: SagaState, after_version: int, known_version: int, *, undelivered: bool = False
) -> Wanted:
    """What was sent by a commit after `after_version`, and, if asked for, what never reached a queue.

    Everything up to `known_version` is known to be on the broker.
    """
    if state.terminal:
        return Wanted(answering(state) if answer_version(state) > after_version else None, proven=True)
    due = outstanding(plan, state, min(after_version, known_version))
    if not due:
        return Wanted(None, proven=state.paused_at is None)  # what is in doubt is not due in a pause, but after it
    delayed = {
        (path, execution.kind)
        for path, step in state.steps.items()
        for execution in (step.action, step.undo)
        if execution is not None and execution.waiting is Waiting.DELIVERY
    }
    flagged = [(each, (each.message.path, each.message.kind) in delayed) for each in due]
    proven = all(late or each.version > after_version for each, late in flagged)
    commands = tuple(
        (each.message, late) for each, late in flagged if each.version > after_version or (undelivered and late)
    )
    if not commands:
        return Wanted(None, proven)
    return Wanted(Dispatch(state.saga, max(each.version for each in due) if proven else 0, commands), proven)


def dispatch_of(plan: Plan, state: SagaState, after_version: int) -> Dispatch | None:
    """Everything a state asks to be on the wire, but for what a commit up to `after_version` brought there."""
    return wanted(plan, state, after_version, after_version, undelivered=True).dispatch


def asking_again(plan: Plan, state: SagaState, now: datetime) -> Dispatch | None:
    """Commands to sub-sagas that are waited for since long."""
    commands = tuple((command, False) for command in asked_again(plan, state, now))
    return Dispatch(state.saga, 0, commands) if commands else None


def answering(state: SagaState) -> Dispatch | None:
    """What the parent of a child that has ended is told."""
    reply = reply_of(state)
    return None if reply is None else Dispatch(state.saga, state.version, (), reply)


def _nobody_asks(_sent: Sequence[Sent]) -> None:
    """What became of commands is not counted."""


class Dispatches:
    """What this process has sent: publishes, remembers what was confirmed, and writes it down for those who wait."""

    def __init__(self, bus: Bus, wakes: Wakes, clock: Clock, settle_after_seconds: float) -> None:
        self._bus = bus
        self._wakes = wakes
        self._clock = clock
        self._settle_after_seconds = settle_after_seconds
        self._confirmed: OrderedDict[str, int] = OrderedDict()
        self._unsettled: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._told: dict[str, int] = {}
        """Children whose parent was told: they need no alarm any more."""
        self.unroutable: dict[str, str] = {}
        """Services whose queue took nothing when last tried, and what the broker said."""

    @property
    def user(self) -> str:
        """Under which broker user this process sends."""
        return self._bus.user

    def confirmed_version(self, saga: str) -> int:
        """The last commit of the saga that this process knows to be on the broker."""
        return self._confirmed.get(saga, 0)

    async def send(
        self,
        dispatches: Sequence[Dispatch],
        answers: Sequence[ResultMessage],
        heard: Callable[[Sequence[Sent]], None] = _nobody_asks,
    ) -> list[Work]:
        """Publish, and say what the sagas must know of it: attempts that reached no queue, or at last did.

        `heard` is told what became of each command.
        """
        flat = [(dispatch, command, delayed) for dispatch in dispatches for command, delayed in dispatch.commands]
        ended = [(dispatch, dispatch.answer) for dispatch in dispatches if dispatch.answer is not None]
        messages: list[Outgoing] = [reply_to_wire(reply) for _, reply in ended]
        messages += [command_to_wire(command) for _, command, _ in flat]
        messages += [result_to_wire(answer) for answer in answers]
        results = await self._bus.publish(messages)
        heard(results[len(ended) : len(ended) + len(flat)])
        feedback: list[Work] = []
        for (dispatch, reply), sent in zip(ended, results, strict=False):
            if sent.outcome == "confirmed":
                self._told[dispatch.saga] = dispatch.version
            else:
                log.warning("an answer to a parent is sent again later", extra=of_reply(reply))
        in_doubt: set[str] = set()
        for (dispatch, command, delayed), sent in zip(
            flat, results[len(ended) :], strict=False
        ):  # answers need no result
            if sent.outcome != "confirmed":
                in_doubt.add(dispatch.saga)
            self._note(command.service, sent)
            found = _feedback(command, sent, delayed=delayed)
            if found is not None:
                feedback.append(Work(found, dispatch.saga))
        for dispatch in dispatches:
            if dispatch.commands and dispatch.saga not in in_doubt:
                self._confirm(dispatch)
        return feedback

    async def refuse(self, refused: Sequence[tuple[ReplyMessage, Work]]) -> tuple[list[Delivery], list[Work]]:
        """Answer commands that cannot be carried out now: those to acknowledge, and those to be tried again."""
        if not refused:
            return [], []
        results = await self._bus.publish([reply_to_wire(reply) for reply, _ in refused])
        done, again = list[Delivery](), list[Work]()
        for (_, work), sent in zip(refused, results, strict=True):
            if sent.outcome != "confirmed":
                again.append(work)
            elif work.delivery is not None:
                done.append(work.delivery)
        return done, again

    def answered(self, saga: str, version: int) -> None:
        """A reply proves that everything up to this commit was dispatched: nothing is to be written down."""
        self._unsettled.pop(saga, None)
        self._remember(saga, version)

    def _note(self, service: str, sent: Sent) -> None:
        if sent.outcome == "confirmed":
            self.unroutable.pop(service, None)
        elif sent.outcome != "unknown":
            self.unroutable[service] = sent.detail

    def _confirm(self, dispatch: Dispatch) -> None:
        if self._confirmed.get(dispatch.saga, 0) >= dispatch.version:
            return  # its reply was faster than the confirms of its batch
        self._remember(dispatch.saga, dispatch.version)
        self._unsettled[dispatch.saga] = (dispatch.version, self._clock.monotonic())
        self._unsettled.move_to_end(dispatch.saga)

    def _remember(self, saga: str, version: int) -> None:
        self._confirmed[saga] = max(version, self._confirmed.get(saga, 0))
        self._confirmed.move_to_end(saga)
        while len(self._confirmed) > REMEMBERED_MAX:
            self._confirmed.popitem(last=False)

    async def settle(self) -> int:
        """Write `dispatched_version` of sagas that still wait; returns how many. Raises Unavailable.

        Of children whose parent was told the alarm is taken away.
        """
        if self._told:
            told, self._told = self._told, {}
            await self._wakes.rearm({saga: (version, None) for saga, version in told.items()})
        before = self._clock.monotonic() - self._settle_after_seconds
        count = 0
        while due := self._to_settle(before):  # all of them: what is not written down in time is sent again by others
            await self._wakes.dispatched(due)
            for saga, version in due.items():
                known = self._unsettled.get(saga)
                if known is not None and known[0] == version:  # else it went on meanwhile
                    self._unsettled.pop(saga)
            count += len(due)
        return count

    def _to_settle(self, before: float) -> dict[str, int]:
        """A batch of those confirmed before this moment, the longest first."""
        due: dict[str, int] = {}
        for saga, (version, confirmed_at) in self._unsettled.items():
            if confirmed_at > before or len(due) >= SETTLE_BATCH_MAX:
                break
            due[saga] = version
        return due


def _feedback(command: CommandMessage, sent: Sent, *, delayed: bool) -> Undelivered | Delivered | None:
    if sent.outcome == "unknown":
        return None  # it may have arrived; the alarm sends it again
    if sent.outcome == "confirmed":
        if not delayed:
            return None
        return Delivered(
            now=SOME_TIME,
            path=command.path,
            kind=command.kind,
            execution=command.execution,
            attempt=command.attempt,
        )
    detail = f"no queue for {command.service}; saga topology apply makes it" if sent.outcome == "returned" else ""
    detail = detail or sent.detail[:200]
    about = of_command(command) | {"command": command.type_name, "reason": detail}
    log.warning("a command reached no queue", extra=about)
    return Undelivered(
        now=SOME_TIME,
        path=command.path,
        kind=command.kind,
        execution=command.execution,
        attempt=command.attempt,
        detail=detail,
    )
