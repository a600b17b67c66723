"""What fits on the wire: sizes every bus checks before it writes a byte, so that one message cannot hurt another."""

from collections.abc import Iterable, Mapping

BODY_BYTES_MAX = 256 * 1024
HEADERS_BYTES_MAX = 16 * 1024
"""All headers of a message together, names and values as UTF-8."""
NAME_BYTES_MAX = 255
"""Routing keys, ids and types: AMQP short strings."""
HEADER_NAME_BYTES_MAX = 128


def unsendable(names: Mapping[str, str], headers: Mapping[str, str], body: object) -> str | None:
    """Why a message can never be sent, with the fix, or None. `names` are its routing key, ids and other properties."""
    if not isinstance(body, bytes):
        return f"the body is {type(body).__name__}, not bytes. Fix: encode it"
    if len(body) > BODY_BYTES_MAX:
        return (
            f"the body has {len(body)} bytes, the limit is {BODY_BYTES_MAX}. "
            "Fix: store it elsewhere and send a reference to it"
        )
    if not names.get("message_id"):
        return "message_id is empty. Fix: give every message an id of its own; returns are matched by it"
    try:
        return _long_name(names) or _headers_problem(headers)
    except (AttributeError, TypeError) as error:
        return f"a property or header is no text ({error}). Fix: every property and header value is a str"
    except UnicodeEncodeError as error:
        return f"a property or header cannot be written as UTF-8 ({error}). Fix: remove the lone surrogate"


def headers_size(headers: Iterable[tuple[str, str]]) -> int:
    """Bytes of names and values."""
    return sum(_size(name) + _size(value) for name, value in headers)


def _long_name(names: Mapping[str, str]) -> str | None:
    for place, name in names.items():
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
