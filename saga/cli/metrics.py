"""The metrics of a process: its tallies, and where they are sent. The page is shown beside `/readyz`."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from saga.core.metrics.tally import Tallies


@contextmanager
def counted(settings: Any, service: str, report: Callable[[], dict[str, object]]) -> Iterator[Tallies | None]:
    """Tallies of this process, sent to the configured backend as long as this lasts.

    None if metrics are turned off, or there is neither an address to show them on nor a backend. Raises WrongAddress.
    """
    if not (settings.metrics and (settings.health or settings.otlp)):
        yield None
        return
    from saga.core.metrics.catalogue import READY
    from saga.core.metrics.tally import NONE

    tallies = Tallies()
    tallies.show(READY, lambda: {NONE: float(bool(report()["ready"]))})
    with _sent(settings, service, tallies):
        yield tallies


@contextmanager
def _sent(settings: Any, service: str, tallies: Tallies) -> Iterator[None]:
    if not settings.otlp:
        yield
        return
    from saga.adapters.telemetry.metrics import MetricsPush
    from saga.bootstrap.telemetry import headers_of, wrong_backend
    from saga.stores import CLOCK, IDS

    resource = {"service.name": service, "service.instance.id": IDS.message(), "process.pid": os.getpid()}
    try:
        push = MetricsPush(
            tallies,
            settings.otlp,
            headers_of(settings),
            resource=resource,
            interval_seconds=settings.metrics_interval,
            now=CLOCK.now,
            monotonic=CLOCK.monotonic,
        )
    except ValueError as error:
        raise wrong_backend(settings.otlp, error) from None
    push.start()
    try:
        yield
    finally:
        push.stop()
