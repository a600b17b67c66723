"""Whom to try: a command with a valid body, and optionally what undoes it and a body that is declined."""

from datetime import timedelta

import msgspec

from saga.core.errors import ProtocolViolation, SagaError
from saga.wire import check_json, fields

UNIQUE = b"$UNIQUE"
"""Stands in a body for something else each time: an order's number."""


class TargetError(SagaError):
    """What was given cannot be tried."""

    code = "SAGA-6001"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One command of one participant."""

    command: str
    """Its type, which is its routing key: `payments.ChargeCard.v1`."""
    body: bytes
    """Answered with `ok`. Every `$UNIQUE` in it is replaced, by something else for each key."""
    undo: str | None = None
    undo_body: bytes | None = None
    """Undoes `body`; `$UNIQUE` is what it was there. Fields of the reply are null."""
    declined_body: bytes | None = None
    """Answered with a failure that the contract declares."""
    read_only: bool = False
    """It changes nothing and keeps no inbox: the rules about keys do not concern it."""
    patience: timedelta = timedelta(seconds=10)
    """How long one answer may take."""

    @property
    def service(self) -> str:
        """Whose command it is."""
        return self.command.partition(".")[0]


def checked(target: Target) -> Target:
    """The target, which makes sense. Raises TargetError."""
    for name, kind in (("the command", target.command), ("the undo", target.undo)):
        if kind is not None:
            _check_type(name, kind)
    if (target.undo is None) != (target.undo_body is None):
        raise TargetError("an undo is a command and a body. Fix: give both, or neither")
    if target.undo is not None and target.undo.partition(".")[0] != target.service:
        raise TargetError(f"{target.undo} is not of {target.service}. Fix: the service of an action undoes it itself")
    for name, body in (
        ("the body", target.body),
        ("the undo's body", target.undo_body),
        ("the declined body", target.declined_body),
    ):
        if body is not None:
            _check_body(name, body)
    return target


def filled(body: bytes, unique: str) -> bytes:
    """The body with its marks replaced."""
    return body.replace(UNIQUE, unique.encode())


def _check_type(name: str, kind: str) -> None:
    try:
        fields.command_type(kind)
    except ProtocolViolation:
        raise TargetError(f"{name} {kind!r} is no type. Fix: <service>.<Command>.v<N>, as its routing key") from None


def _check_body(name: str, body: bytes) -> None:
    try:
        check_json(body)
    except ProtocolViolation as violation:
        raise TargetError(f"{name}: {violation.detail}. Fix: JSON, as the contract says") from None
