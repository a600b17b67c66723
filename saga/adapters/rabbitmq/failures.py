"""What the client library raises, turned into the errors of the ports."""

import asyncio

from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from aiormq.exceptions import (
    AuthenticationError,
    ChannelAccessRefused,
    ChannelNotFoundEntity,
    InvalidFrameError,
    ProbableAuthenticationError,
)

from saga.ports import MissingQueue, Unavailable

_KNOWN: tuple[tuple[type[BaseException], type[Unavailable], str, str], ...] = (
    (ChannelNotFoundEntity, MissingQueue, "SAGA-4005", "Fix: saga topology apply"),
    (
        ChannelAccessRefused,
        Unavailable,
        "SAGA-4009",
        "Fix: give the user this right; saga topology export lists what it needs",
    ),
    (ProbableAuthenticationError, Unavailable, "SAGA-4003", "Fix: check user, password and vhost of the url"),
    (InvalidFrameError, Unavailable, "SAGA-4003", "Fix: check that the vhost exists and that the user may use it"),
    (AuthenticationError, Unavailable, "SAGA-4003", "Fix: check user, password and vhost of the url"),
)


class Translated:
    """Raises Unavailable or MissingQueue for a failure inside the block, with the place and what was tried."""

    def __init__(self, place: str, action: str) -> None:
        self._place = place
        self._action = action

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is None or isinstance(error, Unavailable):
            return
        tried = f"{self._place}: could not {self._action}"
        for raised, failure, code, fix in _KNOWN:
            if isinstance(error, raised):
                raise failure(f"{tried}: {_said(error)}. {fix}", code=code) from error
        if isinstance(error, TimeoutError):
            raise Unavailable(f"{tried} in time") from error
        if isinstance(error, CONNECTION_EXCEPTIONS):
            raise Unavailable(f"{tried}: {_said(error)}") from error
        if isinstance(error, asyncio.CancelledError) and not cancelled_by_caller():
            raise Unavailable(f"{tried}: the connection went away meanwhile") from error


def cancelled_by_caller() -> bool:
    """The library cancels its own waiters when a connection dies; only a cancel of our task is meant for us."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _said(error: BaseException) -> str:
    if isinstance(error, InvalidFrameError):  # the broker closed what was being opened; the library drops its reason
        return "the broker refused it"
    return ", ".join(str(argument) for argument in error.args) or type(error).__name__
