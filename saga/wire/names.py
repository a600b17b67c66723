"""Names on the wire: exchanges, queues and headers. A name here is a promise to participants in other languages."""

from typing import Final

from saga.core import limits, topology
from saga.core.topology import command_queue as command_queue

EXCHANGE_START: Final = topology.START
EXCHANGE_COMMANDS: Final = topology.COMMANDS
EXCHANGE_REPLIES: Final = topology.REPLIES
EXCHANGE_SIGNALS: Final = topology.SIGNALS
EXCHANGE_CONTROL: Final = topology.CONTROL
EXCHANGE_RESULTS: Final = topology.RESULTS
EXCHANGE_EVENTS: Final = topology.EVENTS
EXCHANGE_PARKING: Final = topology.PARKING
EXCHANGE_DEAD: Final = topology.DEAD

QUEUE_START: Final = topology.START
QUEUE_CHILDREN: Final = command_queue(topology.SERVICE)
QUEUE_REPLIES: Final = topology.REPLIES
QUEUE_SIGNALS: Final = topology.SIGNALS
QUEUE_CONTROL: Final = topology.CONTROL
QUEUE_PARKING: Final = topology.PARKING
QUEUE_DEAD: Final = topology.DEAD

VERB_CANCEL: Final = "cancel"
TYPE_CANCEL: Final = "saga.cancel.v1"
VERB_DECIDE: Final = "decide"
TYPE_DECIDE: Final = "saga.decide.v1"
TYPE_LIFECYCLE: Final = "saga.lifecycle.v1"


def result_type(kind: str) -> str:
    """Type of a message on `saga.results`, e.g. `saga.accepted.v1`."""
    return f"saga.{kind}.v1"


KEY: Final = "saga-key"
ACTOR: Final = "saga-actor"
NAME: Final = "saga-name"
VERSION: Final = "saga-version"
STEP: Final = "saga-step"
KIND: Final = "saga-kind"
EXECUTION: Final = "saga-execution"
ATTEMPT: Final = "saga-attempt"
IDEMPOTENCY_KEY: Final = "saga-idempotency-key"
UNDOES: Final = "saga-undoes"
UNDOES_OUTCOME: Final = "saga-undoes-outcome"
EXPIRES_AT: Final = "saga-expires-at"
IN_REPLY_TO: Final = "saga-in-reply-to"
OUTCOME: Final = "saga-outcome"
EFFECT: Final = "saga-effect"
CODE: Final = "saga-code"
MESSAGE: Final = "saga-message"
RETRY_AFTER_MS: Final = "saga-retry-after-ms"
HANDLER_MS: Final = "saga-handler-ms"
COST: Final = limits.COST_HEADER
TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

PARK_REASON: Final = "saga-park-reason"
PARK_DETAIL: Final = "saga-park-detail"
ORIGIN_QUEUE: Final = "saga-origin-queue"
ORIGIN_EXCHANGE: Final = "saga-origin-exchange"
ORIGIN_ROUTING_KEY: Final = "saga-origin-routing-key"
ORIGIN_USER_ID: Final = "saga-origin-user-id"
PARK_HEADERS: Final = frozenset(
    {PARK_REASON, PARK_DETAIL, ORIGIN_QUEUE, ORIGIN_EXCHANGE, ORIGIN_ROUTING_KEY, ORIGIN_USER_ID}
)
"""Added by whoever parks; taken off again when the message is drained into the store."""
