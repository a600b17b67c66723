"""What every message must survive before it is looked into: sizes, text, JSON shape. Nothing here recurses."""

from enum import StrEnum
from typing import Final

import msgspec

from saga.core.errors import ProtocolViolation
from saga.core.limits import BODY_BYTES_MAX, HEADERS_BYTES_MAX, headers_size
from saga.ports import Delivery

ERROR_TEXT_BYTES_MAX: Final = 4 * 1024
NAME_CHARACTERS_MAX: Final = 64
PATH_CHARACTERS_MAX: Final = 200
KEY_CHARACTERS_MAX: Final = 200
"""Of a business key and of a caller's message id (AMQP itself ends at 255 bytes)."""
JSON_DEPTH_MAX: Final = 32


class Poison(StrEnum):
    """Why a message is parked."""

    NOT_JSON = "not-json"
    TOO_DEEP = "too-deep"
    NUL = "nul"
    BAD_UTF8 = "bad-utf8"
    TOO_LARGE = "too-large"
    HEADER_TOO_LARGE = "header-too-large"
    MISSING_HEADER = "missing-header"
    BAD_HEADER = "bad-header"
    HEADER_DISAGREES = "header-disagrees-with-routing-key"
    FORGED_SENDER = "forged-sender"
    UNKNOWN_SAGA = "unknown-saga"
    UNKNOWN_DEFINITION = "unknown-definition"
    UNKNOWN_VERSION = "unknown-version"
    UNKNOWN_EXECUTION = "unknown-execution"
    UNKNOWN_VERB = "unknown-verb"
    READS_MISMATCH = "reads-mismatch"
    NO_REQUESTER = "no-requester"
    FORBIDDEN = "forbidden"
    KEY_REUSED = "key-reused"
    INVALID_PAYLOAD = "invalid-payload"
    DEAD_LETTERED = "dead-lettered"


def screen(delivery: Delivery) -> None:
    """Refuse what no field of the message can make good: oversized or undecodable headers, NUL in any text.

    Raises ProtocolViolation.
    """
    if delivery.defects:
        raise ProtocolViolation(_code_of(delivery.defects), cut_text("; ".join(delivery.defects)))
    properties = (
        delivery.routing_key,
        delivery.message_id,
        delivery.type,
        delivery.correlation_id,
        delivery.reply_to,
        delivery.sender or "",
    )
    text = "".join((*delivery.headers, *delivery.headers.values(), *properties))
    if "\0" in text:
        raise ProtocolViolation(Poison.NUL, "a header or property holds a NUL character")
    try:
        likely_small = len(text.encode()) <= HEADERS_BYTES_MAX
    except UnicodeEncodeError as error:
        raise ProtocolViolation(Poison.BAD_UTF8, f"a header or property is no UTF-8: {error.reason}") from None
    if not likely_small and (size_bytes := headers_size(delivery.headers.items())) > HEADERS_BYTES_MAX:
        detail = f"the headers take {size_bytes} bytes, at most {HEADERS_BYTES_MAX} are allowed"
        raise ProtocolViolation(Poison.HEADER_TOO_LARGE, detail)


def _code_of(defects: tuple[str, ...]) -> Poison:
    """What a bus could not read it names in words; those about a limit begin with what is too large."""
    for defect in defects:
        if defect.startswith("the body has "):
            return Poison.TOO_LARGE
        if defect.startswith("the headers have "):
            return Poison.HEADER_TOO_LARGE
    return Poison.BAD_HEADER


def check_json(body: bytes) -> None:
    """Refuse a body that is too large, is no JSON in UTF-8, nests too deep, or holds NUL (no store takes it).

    What passes can be decoded later, in whole or in part, without surprise. Raises ProtocolViolation.
    """
    if len(body) > BODY_BYTES_MAX:
        detail = f"the body has {len(body)} bytes, at most {BODY_BYTES_MAX} are allowed"
        raise ProtocolViolation(Poison.TOO_LARGE, detail)
    if not body.isascii():
        _check_utf8(body)
    # Escaped backslashes go first, so that what is left of `\u0000` and `\"` is an escape and not text about one.
    plain = body.replace(b"\\\\", b"") if b"\\" in body else body
    if b"\0" in plain or b"\\u0000" in plain:
        raise ProtocolViolation(Poison.NUL, "the body holds a NUL character")
    if _too_deep(plain):
        raise ProtocolViolation(Poison.TOO_DEEP, f"the body nests deeper than {JSON_DEPTH_MAX}")
    try:
        msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, MemoryError) as error:
        raise ProtocolViolation(Poison.NOT_JSON, cut_text(f"the body is no JSON: {error}")) from None


def cut_text(text: str, limit_bytes: int = ERROR_TEXT_BYTES_MAX) -> str:
    """The text without NUL and lone surrogates, cut at a character boundary so that its UTF-8 fits the limit."""
    encoded = text.replace("\0", "\ufffd").encode("utf-8", "replace")
    return encoded[:limit_bytes].decode("utf-8", "ignore")


def _check_utf8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise ProtocolViolation(Poison.BAD_UTF8, f"the body is no UTF-8 at byte {error.start}") from None


def _too_deep(plain: bytes) -> bool:
    """Whether the brackets outside strings nest deeper than allowed; linear, and free for ordinary bodies."""
    if plain.count(b"[") + plain.count(b"{") <= JSON_DEPTH_MAX:
        return False
    outside = b"".join(plain.replace(b'\\"', b"").split(b'"')[::2])
    brackets = outside.translate(_TO_ONE_KIND, _NO_BRACKET)
    for _ in range(JSON_DEPTH_MAX):  # each pass takes off every innermost pair: exactly one level
        shorter = brackets.replace(b"[]", b"")
        if len(shorter) == len(brackets):
            break
        brackets = shorter
    return len(brackets) > JSON_DEPTH_MAX or b"[]" in brackets


_TO_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
