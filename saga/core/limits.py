"""What fits on the wire: sizes every bus checks before it writes a byte, so that one message cannot hurt another."""

from collections.abc import Iterable, Mapping
from typing import Protocol

BODY_BYTES_MAX = 256 * 1024
OUTPUT_BYTES_MAX = BODY_BYTES_MAX - 1024
"""Of a saga: it travels to the caller in a body that says more than it."""
HEADERS_BYTES_MAX = 16 * 1024
"""All headers of a message together, names and values as UTF-8."""
NAME_BYTES_MAX = 255
"""Routing keys, ids and types: AMQP short strings."""
HEADER_NAME_BYTES_MAX = 128


class Sendable(Protocol):
    """What every message has that is about to be published."""

    @property
    def exchange(self) -> str: ...
    @property
    def routing_key(self) -> str: ...
    @property
    def message_id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def correlation_id(self) -> str: ...
    @property
    def reply_to(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


NAMES = ("exchange", "routing_key", "message_id", "type", "correlation_id", "reply_to")
WANTED_HEADERS = ("saga-", "traceparent", "tracestate", "x-first-death-")
"""Prefixes of the headers a bus delivers; `x-first-death-*` is the broker's word on where a dead letter came from."""
COST_HEADER = "saga-cost"
UNCRITICAL_HEADERS = frozenset({COST_HEADER})
"""Headers that are no reason to lose a message: one that is no string is delivered as `NO_TEXT`, which nobody reads."""
NO_TEXT = "\ufffd"


def unsendable(message: Sendable) -> str | None:
    """Why a message can never be sent, with the fix, or None."""
    body: object = message.body  # a caller without a type checker may have put anything there
    if not isinstance(body, bytes):
        return f"the body is {type(body).__name__}, not bytes. Fix: encode it"
    if len(body) > BODY_BYTES_MAX:
        return (
            f"the body has {len(body)} bytes, the limit is {BODY_BYTES_MAX}. "
            "Fix: store it elsewhere and send a reference to it"
        )
    if not message.message_id:
        return "message_id is empty. Fix: give every message an id of its own; returns are matched by it"
    try:
        return _long_name(message) or _headers_problem(message.headers)
    except (AttributeError, TypeError) as error:
        return f"a property or header is no text ({error}). Fix: every property and header value is a str"
    except UnicodeEncodeError as error:
        return f"a property or header cannot be written as UTF-8 ({error}). Fix: remove the lone surrogate"


def headers_size(headers: Iterable[tuple[str, str]]) -> int:
    """Bytes of names and values."""
    return sum(_size(name) + _size(value) for name, value in headers)


def _long_name(message: Sendable) -> str | None:
    for place in NAMES:
        name: str = getattr(message, place)
        if _size(name) > NAME_BYTES_MAX:
            return f"{place} is longer than {NAME_BYTES_MAX} bytes: {name[:40]!r}. Fix: shorten it"
    return None


def _headers_problem(headers: Mapping[str, str]) -> str | None:
    size_bytes = 0
    for name, value in headers.items():
        name_bytes = _size(name)
        if not 0 < name_bytes <= HEADER_NAME_BYTES_MAX:
            return f"the header name {name[:40]!r} is not 1 to {HEADER_NAME_BYTES_MAX} bytes long. Fix: rename it"
        size_bytes += name_bytes + _size(value)
    if size_bytes > HEADERS_BYTES_MAX:
        return f"the headers have {size_bytes} bytes, the limit is {HEADERS_BYTES_MAX}. Fix: move data into the body"
    return None


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
