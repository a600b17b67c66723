"""Starts: a new saga drafted from a message, or the reason why it starts nothing."""

import hashlib
from collections.abc import Iterable
from datetime import datetime

import msgspec

from saga.core import events
from saga.core.blocks import Approval
from saga.core.decide import Decision, business_key, decide
from saga.core.errors import ProtocolViolation
from saga.core.inputs import Refusal, Start
from saga.core.messages import CommandMessage, RefusedCode, StartMessage
from saga.core.outstanding import next_wake, view
from saga.core.plan import Plan
from saga.core.reads import check_reads
from saga.engine import children
from saga.engine.cache import Live
from saga.engine.catalog import Catalog, Wanted
from saga.engine.children import Asked
from saga.engine.receive import ENGINE_DEFECT, Work
from saga.engine.settings import EngineSettings
from saga.ports import Ids, NewSaga
from saga.wire import Poison
from saga.wire.callers import BY_KEY, BY_MESSAGE
from saga.wire.screen import KEY_CHARACTERS_MAX


class Opening(msgspec.Struct, frozen=True, eq=False):
    """A new saga, on its way into the commit."""

    work: Work
    asks: StartMessage | CommandMessage
    new: NewSaga
    live: Live
    events: tuple[events.AnyEvent, ...]


class Starts:
    """Makes sagas from messages. Whether one of them existed before is for the commit to say."""

    def __init__(self, catalog: Catalog, ids: Ids, settings: EngineSettings) -> None:
        self._catalog = catalog
        self._ids = ids
        self._gateways = settings.trust.gateways
        self._sampling = settings.sampling

    async def plans(self, wanted: Iterable[Wanted]) -> dict[Wanted, Plan | str]:
        """What each of a batch's starts runs on, read once for all. Raises Unavailable."""
        return await self._catalog.resolve(wanted)

    def open(self, work: Work, asks: StartMessage, plan: Plan | str | None, now: datetime) -> Opening:
        """The first commit of a new saga. Raises ProtocolViolation with the reason why there is none."""
        if plan is None:
            raise self._unknown(asks)
        if isinstance(plan, str):
            raise ProtocolViolation(ENGINE_DEFECT, f"the definition of {asks.name} cannot be run: {plan}")
        given = self._given(asks, plan, now)
        return _opening(work, asks, plan, given, f"start {asks.message_id}")

    def open_child(
        self, work: Work, asked: Asked, plan: Plan | str | None, below_root: int, now: datetime
    ) -> Opening | Refusal:
        """The first commit of a sub-saga, or why there is none."""
        command = asked.command
        refusal = children.objection(asked, below_root)
        if refusal is not None:
            return refusal
        if not isinstance(plan, Plan):
            text = plan or f"{command.command} v{command.command_version} is not published"
            return Refusal(RefusedCode.UNKNOWN_COMMAND, text)
        given = children.start(asked, plan.hash, self._ids.saga(), now)
        parent = asked.parent.state
        cause = f"{'undo' if given.tombstone else 'start'} by {parent.name} {parent.saga} {command.path}"
        try:
            return _opening(work, command, plan, given, cause)
        except ProtocolViolation as violation:
            return turned_away(violation)

    def _given(self, asks: StartMessage, plan: Plan, now: datetime) -> Start:
        given = given_by(asks, plan, self._ids.saga(), self._gateways, now)
        return given if self._sampling.traces(given.name, given.saga) else msgspec.structs.replace(given, untraced=True)

    def _unknown(self, asks: StartMessage) -> ProtocolViolation:
        known = self._catalog.known()
        if asks.name in known:
            versions = ", ".join(map(str, known[asks.name]))
            text = f"{asks.name} has no version {asks.version}; published: {versions}. Fix: saga definitions publish"
            return ProtocolViolation(Poison.UNKNOWN_VERSION, text)
        names = ", ".join(known) or "nothing"
        text = f"no definition {asks.name!r} is published; published: {names}. Fix: saga definitions publish MODULE"
        return ProtocolViolation(Poison.UNKNOWN_DEFINITION, text)


def given_by(asks: StartMessage, plan: Plan, saga: str, gateways: frozenset[str], now: datetime) -> Start:
    """What a caller's message gives the core; only gateways vouch for people. Raises ProtocolViolation for its key."""
    return Start(
        now=now,
        saga=saga,
        name=asks.name,
        start_key=start_key(asks, plan),
        definition=plan.hash,
        input=asks.input,
        message_id=asks.message_id,
        reply_to=asks.reply_to,
        by=asks.sender,
        actor=asks.actor if asks.sender in gateways else None,
        traceparent=asks.traceparent,
    )


def first_decision(plan: Plan, given: Start) -> Decision:
    """How a new saga begins. Raises ProtocolViolation with the reason why it does not."""
    mismatch = None if given.tombstone else check_reads(plan.definition.reads, "input", given.input)
    if mismatch is not None:
        raise ProtocolViolation(Poison.READS_MISMATCH, f"the saga cannot run on this input: {mismatch}")
    decision = decide(plan, None, given)
    if (
        decision.state.requester is None
        and not given.tombstone
        and (excluding := _excludes_requester(plan)) is not None
    ):
        text = (
            f"{excluding} of {given.name} excludes whoever asks for the saga, and the start names nobody. "
            "Fix: start it through a gateway that sets saga-actor, or name the requester in the definition"
        )
        raise ProtocolViolation(Poison.NO_REQUESTER, text)
    return decision


def turned_away(violation: ProtocolViolation) -> Refusal:
    """The same reason, as a parent hears it of its child."""
    return Refusal(RefusedCode.INVALID_PAYLOAD, f"{violation.code}: {violation.detail}")


def _opening(work: Work, asks: StartMessage | CommandMessage, plan: Plan, given: Start, cause: str) -> Opening:
    decision = first_decision(plan, given)
    state = decision.state
    new = NewSaga(
        saga=given.saga,
        name=given.name,
        start_key=given.start_key,
        input_hash=input_hash(given.input),
        root=state.root,
        parent=state.parent,
        definition=plan.hash,
        cause=cause,
        data=events.encode(decision.events),
        view=view(plan, state),
        wake_at=next_wake(plan, state, given.now, 0),
    )
    return Opening(work, asks, new, Live(plan, state, 0), decision.events)


def _excludes_requester(plan: Plan) -> str | None:
    """An approval that whoever asked may not give."""
    found = (block for block in plan.blocks.values() if isinstance(block, Approval) and block.exclude_requester)
    return next((block.path for block in found), None)


def start_key(asks: StartMessage, plan: Plan) -> str:
    """The message's own key, else what the definition takes from the input. Raises ProtocolViolation."""
    if not asks.start_key.startswith(BY_MESSAGE):
        return asks.start_key
    named = business_key(plan, asks.input)
    if named is None:
        return asks.start_key
    if not 0 < len(named) <= KEY_CHARACTERS_MAX:
        detail = (
            f"the business key in the input has {len(named)} characters, wanted 1 to {KEY_CHARACTERS_MAX}. "
            "Fix: correct the field that the definition takes its key from, or name a key with the start"
        )
        raise ProtocolViolation(Poison.INVALID_PAYLOAD, detail)
    return BY_KEY + named


def input_hash(body: bytes) -> bytes:
    """Identity of a start's input: of the bytes as sent."""
    return hashlib.sha256(body).digest()
