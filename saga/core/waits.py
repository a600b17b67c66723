"""Waits: sleeping, deadlines of scopes, signals. How they are reached, what ends them, and what is recorded of it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import cast

import msgspec

from saga.core import events as e
from saga.core.blocks import DEADLINE, Await, OnLate, Sleep
from saga.core.bounds import SIGNALS_MAX, SIGNALS_WAITING_BYTES_MAX, SIGNALS_WAITING_MAX, SLEEP_MAX
from saga.core.evaluation import holds, scalar
from saga.core.expression import EvaluationError, ScalarType
from saga.core.inputs import Refusal, SignalGiven
from saga.core.messages import Kind
from saga.core.place import Place
from saga.core.plan import Plan, wanted
from saga.core.progress import BLOCKED, DONE, Blocked, Done, Emit, Failing, Progress
from saga.core.reads import check_reads
from saga.core.sources import Recorded
from saga.core.state import Pending, SagaState, Signal

replace = msgspec.structs.replace

# ------------------------------------------------------------------------------------------------------- the walk


def sleep(place: Place, block: Sleep) -> Progress:
    """Wait for a time."""
    here, now = place.path(block.path), place.now
    if here in place.state.waited:
        return DONE
    if here in place.state.pending or here in place.state.parked:
        return BLOCKED
    try:
        until = _until(block, place.read(), now)
    except EvaluationError as error:
        return Emit((_park(here, e.ParkCode.EVALUATION, f"the time to wait cannot be told: {error}", now),))
    if until - now > SLEEP_MAX:
        text = f"it would sleep until {until.isoformat(timespec='seconds')}, at most {SLEEP_MAX.days} days"
        return Emit((_park(here, e.ParkCode.EVALUATION, text, now),))
    if until <= now:
        return Emit((e.WaitEnded(at=now, path=here, how=e.WaitEnd.ELAPSED),))
    return Emit((e.WaitStarted(at=now, path=here, waits_for=e.WaitFor.TIME, until=until),))


def _until(block: Sleep, read: Recorded, now: datetime) -> datetime:
    if block.until is not None:
        return cast("datetime", scalar(block.until, ScalarType.INSTANT, read))
    if block.time is None:
        raise EvaluationError(block.path, "names neither a time nor an instant")
    time = cast("timedelta", scalar(block.time, ScalarType.DURATION, read))
    return now + min(max(time, timedelta(0)), SLEEP_MAX + timedelta(days=1))


def signal(place: Place, block: Await) -> Progress:
    """Wait for a signal: the oldest one kept that fits is consumed."""
    state, here, now = place.state, place.path(block.path), place.now
    if here in state.consumed:
        return DONE
    if here in state.parked:
        return BLOCKED
    if state.waited.get(here) is e.WaitEnd.ELAPSED:
        return _late(block, here, now)
    for kept in state.signals:
        if kept.name == block.signal and _fits(place, block, kept):
            return Emit((e.SignalConsumed(at=now, path=here, message_id=kept.message_id),))
    if here in state.pending:
        return BLOCKED
    until = None if block.within is None else now + block.within
    return Emit(
        (e.WaitStarted(at=now, path=here, waits_for=e.WaitFor.SIGNAL, until=until, signal=block.signal),),
    )


def _fits(place: Place, block: Await, kept: Signal) -> bool:
    if block.where is None:
        return True
    try:
        return holds(block.where, place.read(signal=kept.body))
    except EvaluationError:
        return False  # a signal without the field is for another wait


def _late(block: Await, here: str, now: datetime) -> Progress:
    match block.on_late:
        case OnLate.CONTINUE:
            return DONE
        case OnLate.PARK:
            return Emit((_park(here, e.ParkCode.LATE, f"the signal {block.signal} did not come in time", now),))
        case OnLate.FAIL:
            return Failing(here, DEADLINE, DEADLINE, f"the signal {block.signal} did not come in time")


def pause(state: SagaState, here: str, time: timedelta, now: datetime) -> Done | Blocked | Emit:
    """Between two turns of a loop."""
    if here in state.waited:
        return DONE
    if here in state.pending:
        return BLOCKED
    return Emit((e.WaitStarted(at=now, path=here, waits_for=e.WaitFor.TIME, until=now + time),))


def _park(path: str, code: e.ParkCode, text: str, now: datetime) -> e.AnyEvent:
    return e.StepParked(at=now, path=path, kind=Kind.ACTION, code=code, text=text)


# -------------------------------------------------------------------------------------------------------- the fold

Waiting = e.WaitStarted | e.WaitEnded | e.SignalReceived | e.SignalConsumed


def evolved(state: SagaState, event: Waiting) -> SagaState:
    """The state after what happened to a wait."""
    match event:
        case e.WaitStarted():
            pending = Pending(waits_for=event.waits_for, since=event.at, until=event.until, signal=event.signal)
            return replace(state, pending={**state.pending, event.path: pending})
        case e.WaitEnded():
            return replace(_ended(state, event.path), waited={**state.waited, event.path: event.how})
        case e.SignalReceived():
            body = bytes(event.body)
            return replace(
                state,
                signals=(*state.signals, Signal(event.signal, event.message_id, body)),
                signal_ids=state.signal_ids | {event.message_id},
                recorded_bytes=state.recorded_bytes + len(body),
            )
        case e.SignalConsumed():
            taken = next(kept for kept in state.signals if kept.message_id == event.message_id)
            rest = tuple(kept for kept in state.signals if kept is not taken)
            return replace(_ended(state, event.path), signals=rest, consumed={**state.consumed, event.path: taken.body})


def _ended(state: SagaState, path: str) -> SagaState:
    if path not in state.pending:
        return state
    return replace(state, pending={other: wait for other, wait in state.pending.items() if other != path})


def begun_again(state: SagaState, path: str) -> SagaState:
    """An operator released a wait that was over: it waits anew."""
    if path not in state.waited:
        return state
    return replace(state, waited={other: how for other, how in state.waited.items() if other != path})


def moved(pending: Pending, paused_at: datetime, now: datetime) -> Pending:
    """After a pause of the saga: its time goes on where it stood."""
    if pending.until is None:
        return pending
    return replace(pending, until=pending.until + (now - max(paused_at, pending.since)))


# ----------------------------------------------------------------------------------------------- time and arrivals


def active(plan: Plan, state: SagaState) -> Iterator[tuple[str, Pending]]:
    """Waits whose end would change what the saga does."""
    for path, pending in state.pending.items():
        if wanted(plan, state, _block_path(path, pending)):
            yield path, pending


def _block_path(path: str, pending: Pending) -> str:
    """The pause of a loop waits under the name of its next turn."""
    return path.rpartition("#")[0] if pending.waits_for is e.WaitFor.TIME and _is_turn(path) else path


def _is_turn(path: str) -> bool:
    return "#" in path.rpartition("/")[2]


def due(plan: Plan, state: SagaState, now: datetime) -> tuple[e.AnyEvent, ...]:
    """The waits whose time is up."""
    return tuple(
        e.WaitEnded(at=now, path=path, how=e.WaitEnd.ELAPSED)
        for path, pending in active(plan, state)
        if pending.until is not None and pending.until <= now
    )


def objection(plan: Plan, state: SagaState, given: SignalGiven) -> Refusal | None:
    """Why a signal is not taken, for its sender to read; None when it is, or when it came before."""
    if given.message_id in state.signal_ids:
        return None
    if state.terminal:
        return Refusal("ended", f"the saga has ended: {state.phase}")
    awaiting = plan.awaits.get(given.signal)
    if awaiting is None:
        names = ", ".join(plan.awaits) or "none"
        return Refusal("unknown-signal", f"{state.name} waits for no signal {given.signal!r}; its signals: {names}")
    waiting_bytes = sum(len(kept.body) for kept in state.signals) + len(given.body)
    if len(state.signals) >= SIGNALS_WAITING_MAX or waiting_bytes > SIGNALS_WAITING_BYTES_MAX:
        kept = f"{len(state.signals)} signals are kept that no wait has consumed"
        return Refusal("signal-limit", f"{kept}; at most {SIGNALS_WAITING_MAX}, and {SIGNALS_WAITING_BYTES_MAX} bytes")
    if len(state.signal_ids) >= SIGNALS_MAX:
        return Refusal("signal-limit", f"the saga has taken {len(state.signal_ids)} signals, at most {SIGNALS_MAX}")
    for block in awaiting:
        mismatch = check_reads(plan.definition.reads, block.path, given.body)
        if mismatch is not None:
            return Refusal("reads-mismatch", f"the signal lacks what the definition reads: {mismatch}")
    return None


def on_signal(plan: Plan, state: SagaState, given: SignalGiven) -> tuple[e.AnyEvent, ...]:
    """Record a signal once; whether a wait consumes it follows from the state."""
    if given.message_id in state.signal_ids or objection(plan, state, given) is not None:
        return ()
    return (
        e.SignalReceived(
            at=given.now,
            signal=given.signal,
            message_id=given.message_id,
            body=msgspec.Raw(given.body),
            by=given.by,
            actor=given.actor,
        ),
    )
