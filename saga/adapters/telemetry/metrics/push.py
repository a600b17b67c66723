"""Sends the tallies of a process to an OTLP backend now and then, from a thread of its own."""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from saga.adapters.telemetry.connection import HttpConnection
from saga.adapters.telemetry.metrics.otlp import requests
from saga.core.errors import Unavailable
from saga.core.metrics.tally import Tallies

METRICS_PATH: Final = "/v1/metrics"
LAST_SECONDS: Final = 3.0
"""For what is sent when the process ends; a backend that takes longer does not hold it up."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

log = logging.getLogger("saga.telemetry")


class MetricsPush:
    """Sends to `http(s)://host:port[/path]`. Keeps nothing: sums only rise, so the next request says it all.

    A backend that is away, slow or full costs this thread its patience and nobody anything.
    """

    def __init__(
        self,
        tallies: Tallies,
        url: str,
        headers: Mapping[str, str],
        *,
        resource: Mapping[str, object],
        interval_seconds: float,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        last_seconds: float = LAST_SECONDS,
    ) -> None:
        """Raises ValueError for what is no http url."""
        self._tallies = tallies
        self._connection = HttpConnection(url, headers, monotonic, path=METRICS_PATH)
        self._resource = resource
        self._interval_seconds = interval_seconds
        self._now = now
        self._last_seconds = last_seconds
        self._start_ns = _nanoseconds(now())
        self._stopping = threading.Event()
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Send once more and end."""
        self._stopping.set()
        self._thread.join(self._last_seconds)
        if self._thread.is_alive():
            self._connection.cut()
            self._thread.join(1.0)

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_seconds):
            self._send()
        self._send()
        self._connection.close()

    def _send(self) -> None:
        try:
            trouble = self._sent()
        except Unavailable as away:
            trouble = str(away)
        except Exception:
            log.exception("metrics cannot be sent")
            return
        if trouble and not self._trouble:  # an outage is one line, not one for each try
            log.warning("metrics cannot be sent now", extra={"reason": trouble})
        elif self._trouble and not trouble:
            log.info("metrics are sent again")
        self._trouble = trouble

    def _sent(self) -> str:
        """Send everything there is; why that did not work. Raises Unavailable."""
        now_ns = _nanoseconds(self._now())
        for body in requests(self._tallies.read(), self._resource, self._start_ns, now_ns):
            status, _ = self._connection.post(body)
            if not 200 <= status < 300:
                return f"the backend {self._connection.name} answers {status}"
        return ""


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND * 1_000
