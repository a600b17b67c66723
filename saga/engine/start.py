"""Starts: a new saga drafted from a message, and what is said to somebody who asks for one that exists."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec

from saga.core import events
from saga.core.decide import business_key, decide
from saga.core.inputs import Start
from saga.core.messages import CancelMessage, ResultKind, ResultMessage, StartMessage
from saga.core.outstanding import next_wake, view
from saga.core.reads import check_reads
from saga.engine.cache import Live, SagaCache
from saga.engine.catalog import Catalog
from saga.engine.receive import Work, park
from saga.engine.settings import EngineSettings
from saga.ports import Ids, Journal, Known, NewSaga
from saga.wire.callers import BY_KEY, BY_MESSAGE

TERMINAL_STATUSES = frozenset({"completed", "compensated", "abandoned"})


class Starts:
    """Makes sagas, and finds those that were made before."""

    def __init__(
        self, journal: Journal, catalog: Catalog, cache: SagaCache, ids: Ids, settings: EngineSettings
    ) -> None:
        self._journal = journal
        self._catalog = catalog
        self._cache = cache
        self._ids = ids
        self._settings = settings

    async def addressed(self, work: Work) -> Work:
        """The same work with its saga's id: a cancel may name its saga by business key."""
        asks = work.asks
        if not isinstance(asks, CancelMessage) or asks.saga is not None:
            return work
        key = (asks.name or "", BY_KEY + (asks.business_key or ""))
        known = (await self._journal.find([key])).get(key)
        return msgspec.structs.replace(work, saga="" if known is None else known.saga)

    async def draft(self, work: Work, asks: StartMessage, now: datetime) -> tuple[NewSaga, Live] | Work:
        """The first commit of a new saga; or the message parked, with the reason why it starts nothing."""
        if work.delivery is None:
            raise AssertionError("a start comes by delivery")
        plan = await self._catalog.by_name(asks.name, asks.version)
        if plan is None:
            version = "" if asks.version is None else f" version {asks.version}"
            known = ", ".join(await self._catalog.names()) or "none"
            code = "unknown-version" if version and asks.name in known else "unknown-definition"
            return park(work.delivery, code, f"no definition {asks.name!r}{version} is published; published: {known}")
        mismatch = check_reads(plan.definition.reads, "input", asks.input)
        if mismatch is not None:
            return park(work.delivery, "reads-mismatch", f"the saga cannot run on this input: {mismatch}")
        key = asks.start_key
        if key.startswith(BY_MESSAGE) and (named := business_key(plan, asks.input)) is not None:
            key = BY_KEY + named
        given = Start(
            now=now,
            saga=self._ids.saga(),
            name=asks.name,
            start_key=key,
            definition=plan.hash,
            input=asks.input,
            message_id=asks.message_id,
            reply_to=asks.reply_to,
            by=asks.sender,
            actor=asks.actor if asks.sender in self._settings.gateways else None,
            traceparent=asks.traceparent,
        )
        decision = decide(plan, None, given)
        wake_at = next_wake(plan, decision.state, now, 0)
        new = NewSaga(
            saga=given.saga,
            name=given.name,
            start_key=key,
            input_hash=input_hash(asks.input),
            root=given.saga,
            parent=None,
            definition=plan.hash,
            cause=f"start {asks.message_id}",
            data=events.encode(decision.events),
            view=view(plan, decision.state),
            wake_at=wake_at,
        )
        return new, Live(plan, decision.state, wake_at, 0)

    async def answer_known(self, lost: Sequence[tuple[Work, NewSaga]]) -> list[tuple[Work, list[ResultMessage]]]:
        """What to tell those whose saga existed before. A start that lost without a winner is left out: it comes
        again."""
        if not lost:
            return []
        known = await self._journal.find([(new.name, new.start_key) for _, new in lost])
        answered: list[tuple[Work, list[ResultMessage]]] = []
        for work, new in lost:
            existing = known.get((new.name, new.start_key))
            if existing is not None and isinstance(work.asks, StartMessage):
                answered.append((work, await self._answer(work.asks, new, existing)))
        return answered

    async def _answer(self, asks: StartMessage, new: NewSaga, existing: Known) -> list[ResultMessage]:
        if not asks.reply_to:
            return []
        if existing.input_hash != new.input_hash:
            key = new.start_key[2:]
            reason = (
                f"{new.name} {key!r} was started before with another input (saga {existing.saga}, {existing.status}). "
                f"Keys are unique for ever; a rerun is a new key, e.g. {key}#2"
            )
            return [
                ResultMessage(
                    kind=ResultKind.REFUSED,
                    reply_to=asks.reply_to,
                    in_reply_to=asks.message_id,
                    saga=existing.saga,
                    code="key-reused",
                    reason=reason,
                )
            ]
        answers = [
            ResultMessage(
                kind=ResultKind.ACCEPTED,
                reply_to=asks.reply_to,
                in_reply_to=asks.message_id,
                saga=existing.saga,
                existing=True,
            )
        ]
        if existing.status in TERMINAL_STATUSES:
            live = (await self._cache.current([existing.saga])).get(existing.saga)
            if live is not None:
                state = live.state
                answers.append(
                    ResultMessage(
                        kind=ResultKind.ENDED,
                        reply_to=asks.reply_to,
                        in_reply_to=asks.message_id,
                        saga=state.saga,
                        status=str(state.phase),
                        code=state.because_code,
                        reason=state.because,
                        output=state.output,
                    )
                )
        return answers


def input_hash(body: bytes) -> bytes:
    """Identity of a start's input: of the bytes as sent."""
    return hashlib.sha256(body).digest()
