"""Starts: a new saga drafted from a message, or the reason why it starts nothing."""

import hashlib
from datetime import datetime

import msgspec

from saga.core import events
from saga.core.blocks import Approval
from saga.core.decide import business_key, decide
from saga.core.errors import ProtocolViolation
from saga.core.inputs import Start
from saga.core.messages import StartMessage
from saga.core.outstanding import next_wake, view
from saga.core.plan import Plan
from saga.core.reads import check_reads
from saga.engine.cache import Live
from saga.engine.catalog import Catalog
from saga.engine.receive import ENGINE_DEFECT, Work
from saga.engine.settings import EngineSettings
from saga.ports import Ids, NewSaga
from saga.wire import Poison
from saga.wire.callers import BY_KEY, BY_MESSAGE
from saga.wire.screen import KEY_CHARACTERS_MAX


class Opening(msgspec.Struct, frozen=True, eq=False):
    """A new saga, on its way into the commit."""

    work: Work
    asks: StartMessage
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

    async def plans(self, starts: list[StartMessage]) -> dict[tuple[str, int | None], Plan | str]:
        """What each of a batch's starts runs on, read once for all. Raises Unavailable."""
        return await self._catalog.resolve((asks.name, asks.version) for asks in starts)

    def open(self, work: Work, asks: StartMessage, plan: Plan | str | None, now: datetime) -> Opening:
        """The first commit of a new saga. Raises ProtocolViolation with the reason why there is none."""
        if plan is None:
            raise self._unknown(asks)
        if isinstance(plan, str):
            raise ProtocolViolation(ENGINE_DEFECT, f"the definition of {asks.name} cannot be run: {plan}")
        mismatch = check_reads(plan.definition.reads, "input", asks.input)
        if mismatch is not None:
            raise ProtocolViolation(Poison.READS_MISMATCH, f"the saga cannot run on this input: {mismatch}")
        given = self._given(asks, plan, now)
        decision = decide(plan, None, given)
        if decision.state.requester is None and (excluding := _excludes_requester(plan)) is not None:
            text = (
                f"{excluding} of {asks.name} excludes whoever asks for the saga, and the start names nobody. "
                "Fix: start it through a gateway that sets saga-actor, or name the requester in the definition"
            )
            raise ProtocolViolation(Poison.NO_REQUESTER, text)
        wake_at = next_wake(plan, decision.state, now, 0)
        new = NewSaga(
            saga=given.saga,
            name=given.name,
            start_key=given.start_key,
            input_hash=input_hash(asks.input),
            root=given.saga,
            parent=None,
            definition=plan.hash,
            cause=f"start {asks.message_id}",
            data=events.encode(decision.events),
            view=view(plan, decision.state),
            wake_at=wake_at,
        )
        return Opening(work, asks, new, Live(plan, decision.state, 0), decision.events)

    def _given(self, asks: StartMessage, plan: Plan, now: datetime) -> Start:
        saga = self._ids.saga()
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
            actor=asks.actor if asks.sender in self._gateways else None,
            traceparent=asks.traceparent,
            untraced=not self._sampling.traces(asks.name, saga),
        )

    def _unknown(self, asks: StartMessage) -> ProtocolViolation:
        known = self._catalog.known()
        if asks.name in known:
            versions = ", ".join(map(str, known[asks.name]))
            text = f"{asks.name} has no version {asks.version}; published: {versions}. Fix: saga definitions publish"
            return ProtocolViolation(Poison.UNKNOWN_VERSION, text)
        names = ", ".join(known) or "nothing"
        text = f"no definition {asks.name!r} is published; published: {names}. Fix: saga definitions publish MODULE"
        return ProtocolViolation(Poison.UNKNOWN_DEFINITION, text)


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
        detail = f"the business key in the input has {len(named)} characters, wanted 1 to {KEY_CHARACTERS_MAX}"
        raise ProtocolViolation(Poison.INVALID_PAYLOAD, detail)
    return BY_KEY + named


def input_hash(body: bytes) -> bytes:
    """Identity of a start's input: of the bytes as sent."""
    return hashlib.sha256(body).digest()
