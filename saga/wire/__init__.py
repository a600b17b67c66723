"""The wire codec: message values to AMQP properties and headers and back, with every limit and kind of poison."""

from saga.core.limits import BODY_BYTES_MAX, HEADERS_BYTES_MAX
from saga.wire.callers import (
    reply_address,
    result_from_wire,
    result_to_wire,
    start_from_wire,
    start_to_wire,
)
from saga.wire.commands import (
    command_envelope,
    command_from_wire,
    command_to_wire,
)
from saga.wire.control import (
    cancel_to_wire,
    control_from_wire,
    decide_to_wire,
    signal_from_wire,
    signal_to_wire,
)
from saga.wire.lifecycle import LifecycleBody, lifecycle_to_wire
from saga.wire.parking import (
    check_sender,
    park_to_wire,
    parked_from_delivery,
    parked_from_wire,
)
from saga.wire.replies import (
    answer,
    reply_from_wire,
    reply_to_wire,
)
from saga.wire.screen import (
    ERROR_TEXT_BYTES_MAX,
    JSON_DEPTH_MAX,
    Poison,
    check_json,
    cut_text,
)

__all__ = [
    "BODY_BYTES_MAX",
    "ERROR_TEXT_BYTES_MAX",
    "HEADERS_BYTES_MAX",
    "JSON_DEPTH_MAX",
    "LifecycleBody",
    "Poison",
    "answer",
    "cancel_to_wire",
    "check_json",
    "check_sender",
    "command_envelope",
    "command_from_wire",
    "command_to_wire",
    "control_from_wire",
    "cut_text",
    "decide_to_wire",
    "lifecycle_to_wire",
    "park_to_wire",
    "parked_from_delivery",
    "parked_from_wire",
    "reply_address",
    "reply_from_wire",
    "reply_to_wire",
    "result_from_wire",
    "result_to_wire",
    "signal_from_wire",
    "signal_to_wire",
    "start_from_wire",
    "start_to_wire",
]
