"""JSON that a command is given: in the line, in a file, or through stdin."""

import sys

from saga.cli.failure import CommandFailed

AS_TYPED = '{option} \'{{"name": "value"}}\' with single quotes around it, or {option} @file.json'
FIXES = {
    "nul": "leave the character out: no store keeps it",
    "bad-utf8": "save it as UTF-8",
    "too-large": "pass a reference to the data instead of the data",
    "too-deep": "pass it in fewer levels, or a part of it as text",
}


def json_body(data: str, option: str = "--data") -> bytes:
    """What the option gives, once it is known to be JSON: what is not would be parked, and the caller told less."""
    from saga.core.errors import ProtocolViolation
    from saga.wire import check_json

    body = _read(data)
    try:
        check_json(body)
    except ProtocolViolation as violation:
        fix = FIXES.get(violation.code, AS_TYPED.format(option=option))
        raise CommandFailed("SAGA-1006", f"{option}: {violation.detail}. Fix: {fix}") from None
    return body


def _read(data: str) -> bytes:
    if data == "-":
        return sys.stdin.buffer.read()
    if data.startswith("@"):
        try:
            with open(data[1:], "rb") as file:  # noqa: PTH123 - a path as the user typed it
                return file.read()
        except OSError as error:
            raise CommandFailed("SAGA-1005", f"{data[1:]} cannot be read: {error.strerror}") from None
    return data.encode()
