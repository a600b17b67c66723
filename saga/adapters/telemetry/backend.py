"""A tracing backend over OTLP/HTTP: one request at a time, each with a deadline, and what its answer means."""

import asyncio
import contextlib
import http.client
import logging
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import urlsplit

from saga.adapters.telemetry.otlp import request
from saga.core.errors import Unavailable
from saga.core.spans import Span

TRACES_PATH: Final = "/v1/traces"
SPANS_MAX: Final = 2_000
"""Of one request: about 1 MB. Collectors take 20 MB by default, some vendors 4."""
TIMEOUT_SECONDS: Final = 10.0
EMPTY_ANSWER_BYTES_MAX: Final = 2
"""A longer answer to a request that was taken says what of it was not."""

log = logging.getLogger("saga.telemetry")


class OtlpBackend:
    """Sends spans to `http(s)://host:port[/path]`. Keeps nothing: what could not be sent is the caller's to send again.

    A backend that is away, slow, full, or does not let us in is Unavailable: it may take the same spans later. Spans
    it calls malformed are dropped with an error in the log, or they would be sent for ever.
    """

    def __init__(self, url: str, headers: Mapping[str, str], *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """Raises ValueError for what is no http url."""
        address = urlsplit(url)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise ValueError("wanted http://host:port or https://host:port")
        self._place = address.hostname, address.port or (443 if address.scheme == "https" else 80)
        self._secure = address.scheme == "https"
        path = address.path.rstrip("/")
        self._path = path if path.endswith(TRACES_PATH) else path + TRACES_PATH
        self._headers = {**headers, "Content-Type": "application/x-protobuf"}
        self._timeout_seconds = timeout_seconds
        self._connection: http.client.HTTPConnection | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="otlp")
        self.rejected = 0
        """Spans the backend called malformed."""

    async def export(self, spans: Sequence[Span]) -> None:
        """Send all of them, in requests of bounded size. Raises Unavailable: some may have arrived."""
        for at in range(0, len(spans), SPANS_MAX):
            await self._send(spans[at : at + SPANS_MAX])

    async def close(self) -> None:
        """Close the connection."""
        self._cut()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._drop)
        self._thread.shutdown(wait=False)

    async def _send(self, spans: Sequence[Span]) -> None:
        body = request(spans)
        posted = asyncio.get_running_loop().run_in_executor(self._thread, self._post, body)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status, answer = await posted
        except TimeoutError:
            self._cut()  # or the thread would wait on for a backend that sends a byte now and then
            raise Unavailable(f"the tracing backend {self._name()} does not answer") from None
        if 200 <= status < 300:
            if len(answer) > EMPTY_ANSWER_BYTES_MAX:
                log.warning("the backend did not take all spans", extra={"spans": len(spans), "status": status})
            return
        if status == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE and len(spans) > 1:
            half = len(spans) // 2
            await self._send(spans[:half])
            await self._send(spans[half:])
            return
        if status in {400, 413, 422}:
            self.rejected += len(spans)
            log.error("the backend calls spans malformed; they are dropped", extra={"spans": len(spans)})
            return
        raise Unavailable(f"the tracing backend {self._name()} answers {status}")

    def _post(self, body: bytes) -> tuple[int, bytes]:
        reused = self._connection is not None
        try:
            return self._exchange(body)
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            if not reused or isinstance(error, TimeoutError):
                raise Unavailable(f"the tracing backend {self._name()}: {type(error).__name__}: {error}") from error
        return self._post(body)  # it had closed a connection that was idle

    def _exchange(self, body: bytes) -> tuple[int, bytes]:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            self._connection = kind(*self._place, timeout=self._timeout_seconds)
        self._connection.request("POST", self._path, body, self._headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def _cut(self) -> None:
        """From outside of the thread: whatever it waits for on the socket ends."""
        used = None if self._connection is None else self._connection.sock
        if used is not None:
            with contextlib.suppress(OSError):
                used.shutdown(socket.SHUT_RDWR)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _name(self) -> str:
        """Without the path: some vendors put a key there."""
        return f"{self._place[0]}:{self._place[1]}"
