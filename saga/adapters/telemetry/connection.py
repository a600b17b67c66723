"""One HTTP connection to a telemetry backend: kept, opened again when it was closed, with a deadline for each step."""

import contextlib
import http.client
import socket
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from saga.core.errors import Unavailable

TRACES_PATH: Final = "/v1/traces"
TIMEOUT_SECONDS: Final = 10.0


class HttpConnection:
    """Posts OTLP to `http(s)://host:port[/path]`. For one thread at a time."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        path: str = TRACES_PATH,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """`path` is the signal's, behind what the url has. Raises ValueError for what is no http url."""
        address = urlsplit(url)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise ValueError("wanted http://host:port or https://host:port")
        self._place = address.hostname, address.port or (443 if address.scheme == "https" else 80)
        self._secure = address.scheme == "https"
        self._path = address.path.rstrip("/").removesuffix(TRACES_PATH) + path
        self._headers = {**headers, "Content-Type": "application/x-protobuf"}
        self._timeout_seconds = timeout_seconds
        self._connection: http.client.HTTPConnection | None = None
        self.retry_after_seconds = 0
        """What the last answer asks us to wait, 0 if it does not say so in seconds."""

    @property
    def name(self) -> str:
        """Host and port, without the path: some vendors put a key there."""
        return f"{self._place[0]}:{self._place[1]}"

    def post(self, body: bytes) -> tuple[int, bytes]:
        """Status and answer. Raises Unavailable."""
        reused = self._connection is not None
        try:
            return self._exchange(body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not reused or isinstance(error, TimeoutError):
                raise Unavailable(f"the telemetry backend {self.name}: {type(error).__name__}: {error}") from error
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
        wish = answer.getheader("Retry-After", "")
        self.retry_after_seconds = int(wish) if wish.isascii() and wish.isdigit() else 0
        return answer.status, answer.read()
