"""Every header of the wire contract as data: what the AsyncAPI document, the reference page and `saga conform` read.

The codec does not use this table; a test holds the two against each other.
"""

from enum import StrEnum
from typing import Final

import msgspec

from saga import cost
from saga.core.messages import Kind, Outcome, RefusedCode, ReplyEffect
from saga.wire import names
from saga.wire.screen import ERROR_TEXT_BYTES_MAX, KEY_CHARACTERS_MAX, NAME_CHARACTERS_MAX, PATH_CHARACTERS_MAX


class Message(StrEnum):
    """What crosses the wire."""

    START = "start"
    ACTION = "action"
    COMPENSATION = "compensation"
    REPLY = "reply"
    SIGNAL = "signal"
    CONTROL = "control"
    RESULT = "result"
    LIFECYCLE = "lifecycle"
    PARKED = "parked"


class Need(StrEnum):
    """Whether a message carries a header."""

    REQUIRED = "required"
    OPTIONAL = "optional"


class Header(msgspec.Struct, frozen=True):
    """One header. Every value is a UTF-8 string."""

    name: str
    meaning: str
    on: dict[Message, Need]
    pattern: str = ""
    """A regular expression (ECMA 262) of the whole value."""
    words: tuple[str, ...] = ()
    """The closed list of values, if it is one."""
    characters_max: int = 0
    """0: not limited by itself."""


START, ACTION, COMPENSATION, REPLY, SIGNAL, CONTROL, RESULT, LIFECYCLE, PARKED = Message
REQUIRED, OPTIONAL = Need

NUMBER: Final = "^[1-9][0-9]{0,8}$"
MILLISECONDS: Final = "^[0-9]{1,9}$"
KEY: Final = "^[0-9a-f]{32}$"
TRACEPARENT: Final = "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"
INSTANT: Final = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:.]+([Zz]|[+-][0-9]{2}:[0-9]{2})$"

COMMAND: Final = {ACTION: REQUIRED, COMPENSATION: REQUIRED}
ECHOED: Final = {**COMMAND, REPLY: REQUIRED}

HEADERS: Final = (
    Header(
        names.KEY,
        "the business key",
        {
            START: OPTIONAL,
            ACTION: OPTIONAL,
            COMPENSATION: OPTIONAL,
            SIGNAL: OPTIONAL,
            CONTROL: OPTIONAL,
            LIFECYCLE: REQUIRED,
        },
        characters_max=KEY_CHARACTERS_MAX,
    ),
    Header(
        names.ACTOR,
        "the person who asked; believed only from users configured as gateways; a decision needs it",
        {START: OPTIONAL, SIGNAL: OPTIONAL, CONTROL: OPTIONAL},
        characters_max=KEY_CHARACTERS_MAX,
    ),
    Header(
        names.NAME,
        "name of the definition",
        {**COMMAND, SIGNAL: OPTIONAL, CONTROL: OPTIONAL, LIFECYCLE: REQUIRED},
        characters_max=NAME_CHARACTERS_MAX,
    ),
    Header(names.VERSION, "version of the definition", {START: OPTIONAL, **COMMAND, LIFECYCLE: REQUIRED}, NUMBER),
    Header(
        names.STEP,
        "path of the step, as `seats[2]/add` in an item and `draft#3/write` in a turn",
        ECHOED,
        characters_max=PATH_CHARACTERS_MAX,
    ),
    Header(names.KIND, "whether it does or undoes", ECHOED, words=tuple(Kind)),
    Header(names.EXECUTION, "how often the step was asked for anew", ECHOED, NUMBER),
    Header(names.ATTEMPT, "which sending of the execution this is", ECHOED, NUMBER),
    Header(names.IDEMPOTENCY_KEY, "of the execution: the same for every attempt", ECHOED, KEY),
    Header(names.UNDOES, "idempotency key of the action it undoes", {COMPENSATION: REQUIRED}, KEY),
    Header(
        names.UNDOES_OUTCOME,
        "what the engine knows of that action",
        {COMPENSATION: REQUIRED},
        words=("ok", "unknown"),
    ),
    Header(names.EXPIRES_AT, "do not begin it after this time (RFC 3339)", {ACTION: OPTIONAL}, INSTANT),
    Header(
        names.IN_REPLY_TO,
        "`message_id` of what it answers",
        {REPLY: REQUIRED, RESULT: REQUIRED},
        characters_max=KEY_CHARACTERS_MAX,
    ),
    Header(names.OUTCOME, "the answer, as in the routing key", {REPLY: REQUIRED}, words=tuple(Outcome)),
    Header(
        names.EFFECT,
        "what this delivery did; required with `ok`",
        {REPLY: OPTIONAL},
        words=tuple(ReplyEffect),
    ),
    Header(
        names.CODE,
        "required but with `ok`, where it must be missing: the failure's name, or why it is retried or refused",
        {REPLY: OPTIONAL},
        characters_max=NAME_CHARACTERS_MAX,
    ),
    Header(
        names.MESSAGE,
        f"for people; at most {ERROR_TEXT_BYTES_MAX} bytes; not with `ok`",
        {REPLY: OPTIONAL},
    ),
    Header(names.RETRY_AFTER_MS, "with `retry`: not sooner than this", {REPLY: OPTIONAL}, MILLISECONDS),
    Header(names.HANDLER_MS, "how long the participant worked on it", {REPLY: OPTIONAL}, MILLISECONDS),
    Header(
        names.COST,
        f"what the work cost: at most {cost.UNITS_MAX} amounts, each of another unit; ignored where it cannot be read",
        {REPLY: OPTIONAL},
        cost.PATTERN,
        characters_max=cost.TEXT_CHARACTERS_MAX,
    ),
    Header(
        names.TRACEPARENT,
        "W3C trace context; a reply carries the command's trace id",
        {START: OPTIONAL, ACTION: OPTIONAL, COMPENSATION: OPTIONAL, REPLY: OPTIONAL, CONTROL: OPTIONAL},
        TRACEPARENT,
    ),
    Header(
        names.TRACESTATE,
        "W3C trace state",
        {ACTION: OPTIONAL, COMPENSATION: OPTIONAL, REPLY: OPTIONAL},
        characters_max=512,
    ),
    Header(names.PARK_REASON, "why nobody could use it: one word", {PARKED: REQUIRED}),
    Header(names.PARK_DETAIL, "the same as a sentence", {PARKED: OPTIONAL}),
    Header(names.ORIGIN_QUEUE, "the queue it came from", {PARKED: REQUIRED}),
    Header(names.ORIGIN_EXCHANGE, "the exchange it was sent to", {PARKED: REQUIRED}),
    Header(names.ORIGIN_ROUTING_KEY, "its own routing key", {PARKED: REQUIRED}),
    Header(names.ORIGIN_USER_ID, "its sender, as the broker vouched for", {PARKED: OPTIONAL}),
)

REFUSALS: Final = {
    RefusedCode.EXPIRED: "its time is over and its key is unknown here",
    RefusedCode.CANCELLED: "its compensation came first",
    RefusedCode.KEY_REUSED: "the key was used for another command or other bytes",
    RefusedCode.INVALID_PAYLOAD: "the body is not what the contract says",
    RefusedCode.UNKNOWN_COMMAND: "the service does not handle this command in this version",
    RefusedCode.IN_DOUBT: "it was begun, and nothing here can tell whether it happened",
    RefusedCode.TOO_LARGE: "the reply would be larger than the wire takes",
}
"""What each code of `refused` says about the delivery."""


def headers_of(message: Message) -> tuple[Header, ...]:
    """The headers a message carries, in the order of the table."""
    return tuple(header for header in HEADERS if message in header.on)
