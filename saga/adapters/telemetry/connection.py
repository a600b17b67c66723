"""One HTTP connection to a telemetry backend: kept, opened again when it was closed, with a deadline for each step."""

import contextlib
import http.client
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from saga.core.errors import BackendAway

TRACES_PATH: Final = "/v1/traces"
TIMEOUT_SECONDS: Final = 10.0
RETRY_AFTER_SECONDS_MAX: Final = 60.0
"""A backend that asks for more is asked again then."""
ASK_TO_WAIT: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""Answers whose Retry-After counts, as OTLP says."""


class HttpConnection:
    """Posts OTLP to `http(s)://host:port[/path]`. For one thread at a time."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        monotonic: Callable[[], float],
        *,
        path: str = TRACES_PATH,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """`path` is the signal's, behind what the url has; `monotonic` says seconds. Raises ValueError for what is no
        http url."""
        address = urlsplit(url)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise ValueError("wanted http://host:port or https://host:port")
        self._place = address.hostname, address.port or (443 if address.scheme == "https" else 80)
        self._secure = address.scheme == "https"
        self._path = address.path.rstrip("/").removesuffix(TRACES_PATH) + path
        self._headers = {**headers, "Content-Type": "application/x-protobuf"}
        self._timeout_seconds = timeout_seconds
        self._connection: http.client.HTTPConnection | None = None
        self._monotonic = monotonic
        self._not_before = 0.0
        """When the backend wants to be asked again."""

    @property
    def name(self) -> str:
        """Host and port, without the path: some vendors put a key there."""
        return f"{self._place[0]}:{self._place[1]}"

    def post(self, body: bytes) -> tuple[int, bytes]:
        """Status and answer. Raises BackendAway, also for as long as the last answer asked us to wait."""
        if self._monotonic() < self._not_before:
            raise BackendAway(f"the telemetry backend {self.name} asks us to wait. Fix: try again in a minute")
        reused = self._connection is not None
        try:
            return self._exchange(body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not reused or isinstance(error, TimeoutError):
                raise BackendAway(f"the telemetry backend {self.name}: {type(error).__name__}: {error}") from error
        return self.post(body)  # it had closed a connection that was idle

    def cut(self) -> None:
        """From another thread: whatever this one waits for on the socket ends."""
        used = None if self._connection is None else self._connection.sock
        if used is not None:
            with contextlib.suppress(OSError):
                used.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up. The next post connects again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, body: bytes) -> tuple[int, bytes]:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            self._connection = kind(*self._place, timeout=self._timeout_seconds)
        self._connection.request("POST", self._path, body, self._headers)
        answer = self._connection.getresponse()
        if answer.status in ASK_TO_WAIT:
            wish, date = answer.getheader("Retry-After", ""), answer.getheader("Date", "")
            self._not_before = self._monotonic() + wait_seconds(wish, date)
        return answer.status, answer.read()


def wait_seconds(wish: str, date: str) -> float:
    """What a Retry-After asks for: seconds, or a moment, which is taken by the backend's own clock, its Date.

    At most RETRY_AFTER_SECONDS_MAX, and that much if the backend names a moment and keeps its clock to itself; 0 for
    what is neither.
    """
    if wish.isascii() and wish.isdigit():
        return min(float(wish), RETRY_AFTER_SECONDS_MAX)
    until, now = _moment(wish), _moment(date)
    if until is None:
        return 0.0
    if now is None:
        return RETRY_AFTER_SECONDS_MAX
    return min(max((until - now).total_seconds(), 0.0), RETRY_AFTER_SECONDS_MAX)


def _moment(text: str) -> datetime | None:
    """A date of HTTP, in any of its forms; None for what is none."""
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
