"""Names on the wire: exchanges, queues and headers. A name here is a promise to participants in other languages."""

from typing import Final

EXCHANGE_START: Final = "saga.start"
EXCHANGE_COMMANDS: Final = "saga.commands"
EXCHANGE_REPLIES: Final = "saga.replies"
EXCHANGE_SIGNALS: Final = "saga.signals"
EXCHANGE_CONTROL: Final = "saga.control"
EXCHANGE_RESULTS: Final = "saga.results"
EXCHANGE_EVENTS: Final = "saga.events"
EXCHANGE_PARKING: Final = "saga.parking"
EXCHANGE_DEAD: Final = "saga.dead"

QUEUE_START: Final = "saga.start"
QUEUE_REPLIES: Final = "saga.replies"
QUEUE_SIGNALS: Final = "saga.signals"
QUEUE_CONTROL: Final = "saga.control"
QUEUE_PARKING: Final = "saga.parking"
QUEUE_DEAD: Final = "saga.dead"


def command_queue(service: str) -> str:
    """The queue all consumers of one service share."""
    return f"saga.commands.{service}"


VERB_CANCEL: Final = "cancel"
TYPE_CANCEL: Final = "saga.cancel.v1"


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
