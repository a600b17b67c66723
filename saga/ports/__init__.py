"""The ports: what the engine and the participants ask of the world, as small protocols with their values.

Every await of an adapter ends: each call has a deadline of its own and raises `Unavailable` when it passes.
"""

from saga.core.errors import Unavailable
from saga.ports.bus import Bus, CallerBus, Delivery, MissingQueue, Outgoing, Sent, Subscription
from saga.ports.census import Census, OldestWait, OpenCount, Standing
from saga.ports.database import Database, Reserving, Transaction
from saga.ports.feed import BEGINNING, Feed, Page
from saga.ports.journal import (
    Advance,
    Batch,
    Committed,
    CommitUnknown,
    Definitions,
    Due,
    Journal,
    Known,
    NewSaga,
    ParkedMessage,
    StoredDefinition,
    Tail,
    Wakes,
)
from saga.ports.lookup import HistoryRow, Lookup, SagaFilter, SagaRow
from saga.ports.machine import Clock, Ids
from saga.ports.parked import (
    EVERY_PARKED,
    ParkedAction,
    ParkedCount,
    ParkedFilter,
    ParkedMessages,
    ParkedRow,
    ParkedVerb,
)
from saga.ports.store import Schema, Store
from saga.ports.telemetry import Answered, TraceBackend, Tracing

__all__ = [
    "BEGINNING",
    "EVERY_PARKED",
    "Advance",
    "Answered",
    "Batch",
    "Bus",
    "CallerBus",
    "Census",
    "Clock",
    "CommitUnknown",
    "Committed",
    "Database",
    "Definitions",
    "Delivery",
    "Due",
    "Feed",
    "HistoryRow",
    "Ids",
    "Journal",
    "Known",
    "Lookup",
    "MissingQueue",
    "NewSaga",
    "OldestWait",
    "OpenCount",
    "Outgoing",
    "Page",
    "ParkedAction",
    "ParkedCount",
    "ParkedFilter",
    "ParkedMessage",
    "ParkedMessages",
    "ParkedRow",
    "ParkedVerb",
    "Reserving",
    "SagaFilter",
    "SagaRow",
    "Schema",
    "Sent",
    "Standing",
    "Store",
    "StoredDefinition",
    "Subscription",
    "Tail",
    "TraceBackend",
    "Tracing",
    "Transaction",
    "Unavailable",
    "Wakes",
]
