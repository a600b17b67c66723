"""Waits: for a time, for a signal, for the end of a scope with a deadline."""

from datetime import datetime
from enum import StrEnum

import msgspec

from saga.core.events.recorded import Event


class WaitFor(StrEnum):
    """What a wait is for."""

    TIME = "time"
    SIGNAL = "signal"
    SCOPE = "scope"
    """The deadline of a block: it runs beside the steps in it."""


class WaitEnd(StrEnum):
    """How a wait ended."""

    ELAPSED = "elapsed"
    DONE = "done"
    """What it was for came first."""


class WaitStarted(Event, frozen=True, kw_only=True, tag="WaitStarted", omit_defaults=True):
    """A wait began: for a time, for a signal, or for the end of a scope."""

    path: str
    waits_for: WaitFor
    """`time`, `signal` or `scope`."""
    until: datetime | None = None
    """By the store's clock; a pause of the saga moves it."""
    signal: str = ""
    """Its name, of a wait for a signal."""


class WaitEnded(Event, frozen=True, kw_only=True, tag="WaitEnded", omit_defaults=True):
    """It is over: its time is up, or the scope is through."""

    path: str
    how: WaitEnd
    """`elapsed`, or `done` when what it was for came first."""


class SignalReceived(Event, frozen=True, kw_only=True, tag="SignalReceived", omit_defaults=True):
    """A signal, kept until a wait consumes it. Each id is recorded once."""

    signal: str
    """Its name."""
    message_id: str
    """The sender's: the same again is not recorded."""
    body: msgspec.Raw
    """As it was sent."""
    by: str | None = None
    actor: str | None = None


class SignalConsumed(Event, frozen=True, kw_only=True, tag="SignalConsumed", omit_defaults=True):
    """The wait at `path` is over: this signal was for it."""

    path: str
    message_id: str
    """Of the signal."""
