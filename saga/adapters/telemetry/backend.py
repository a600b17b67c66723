"""A tracing backend over OTLP/HTTP: one request at a time, each with a deadline, and what its answer means."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Final

from saga.adapters.telemetry.connection import TIMEOUT_SECONDS, HttpConnection
from saga.adapters.telemetry.otlp import request
from saga.core.errors import BackendAway
from saga.core.spans import Span

SPANS_MAX: Final = 2_000
"""Of one request: about 1 MB. Collectors take 20 MB by default, some vendors 4."""
EMPTY_ANSWER_BYTES_MAX: Final = 2
"""A longer answer to a request that was taken says what of it was not."""

_HEADERS: Final = "otlp_headers (SAGA_OTLP_HEADERS) carries what the backend asks for"
FIXES: Final[dict[int, str]] = {
    HTTPStatus.UNAUTHORIZED: _HEADERS,
    HTTPStatus.FORBIDDEN: _HEADERS,
    HTTPStatus.NOT_FOUND: "the address of an OTLP receiver over HTTP; collectors and Jaeger listen on port 4318",
    HTTPStatus.TOO_MANY_REQUESTS: "try again in a minute",
    HTTPStatus.SERVICE_UNAVAILABLE: "try again in a minute",
}
"""What an answer asks of people."""

log = logging.getLogger("saga.telemetry")


class OtlpBackend:
    """Sends spans to `http(s)://host:port[/path]`. Keeps nothing: what could not be sent is the caller's to send again.

    A backend that is away, slow, full, or does not let us in is BackendAway: it may take the same spans later, and is
    left alone for as long as its Retry-After says. Spans it calls malformed are dropped with an error in the log, or
    they would be sent for ever.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        monotonic: Callable[[], float],
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """Raises ValueError for what is no http url."""
        self._connection = HttpConnection(url, headers, monotonic, timeout_seconds=timeout_seconds)
        self._timeout_seconds = timeout_seconds
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="otlp")
        self.rejected = 0
        """Spans the backend called malformed."""

    async def export(self, spans: Sequence[Span]) -> None:
        """Send all of them, in requests of bounded size. Raises BackendAway: some may have arrived."""
        for at in range(0, len(spans), SPANS_MAX):
            await self._send(spans[at : at + SPANS_MAX])

    async def close(self) -> None:
        """Close the connection."""
        self._connection.cut()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown(wait=False)

    def _post(self, spans: Sequence[Span]) -> tuple[int, bytes]:
        """On the thread: writing them takes as long as sending them, and the loop has other work."""
        return self._connection.post(request(spans))

    async def _send(self, spans: Sequence[Span]) -> None:
        posted = asyncio.get_running_loop().run_in_executor(self._thread, self._post, spans)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status, answer = await posted
        except TimeoutError:
            self._connection.cut()  # or the thread would wait on for a backend that sends a byte now and then
            raise BackendAway(f"the telemetry backend {self._connection.name} does not answer") from None
        if 200 <= status < 300:
            if len(answer) > EMPTY_ANSWER_BYTES_MAX:
                log.warning("the backend did not take all spans", extra={"spans": len(spans), "status": status})
            return
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and len(spans) > 1:
            half = len(spans) // 2
            await self._send(spans[:half])
            await self._send(spans[half:])
            return
        if status in {400, 413, 422}:
            self.rejected += len(spans)
            log.error("the backend calls spans malformed; they are dropped", extra={"spans": len(spans)})
            return
        fix = FIXES.get(status, "")
        raise BackendAway(f"the telemetry backend {self._connection.name} answers {status}{fix and f'. Fix: {fix}'}")
