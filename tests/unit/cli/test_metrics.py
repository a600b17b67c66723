"""When a process counts, and where its metrics go."""

from typing import Any

import pytest

from saga.cli.metrics import counted
from saga.core.metrics.catalogue import READY
from saga.settings import Settings
from saga.stores import WrongAddress
from tests.metrics import counted as values
from tests.otlp import Backend


def settings(**changes: Any) -> Settings:
    return Settings(**changes)


@pytest.mark.parametrize(
    ("given", "counts"),
    [
        ({}, False),
        ({"health": "127.0.0.1:0"}, True),
        ({"health": "127.0.0.1:0", "metrics": False}, False),
        ({"otlp": "http://127.0.0.1:9", "metrics": False}, False),
    ],
)
def test_a_process_counts_where_somebody_looks(given: dict[str, Any], counts: bool) -> None:
    """With an address to show it on, or a backend, unless it is turned off."""
    with counted(settings(**given), "saga", lambda: {"ready": True}) as tallies:
        assert (tallies is not None) is counts


def test_readiness_is_a_metric() -> None:
    """As the endpoint says it at that moment."""
    found: dict[str, object] = {"ready": False}
    with counted(settings(health="127.0.0.1:0"), "saga", lambda: found) as tallies:
        assert tallies is not None
        assert values(tallies, READY) == {(): 0}
        found["ready"] = True
        assert values(tallies, READY) == {(): 1}


def test_a_backend_is_told_who_speaks() -> None:
    """The service, and an instance of its own for each process."""
    with Backend() as backend:
        for _ in range(2):
            with counted(settings(otlp=backend.url), "payments", lambda: {"ready": True}):
                pass
        sent = backend.values("saga.ready")
    assert {value.service for value in sent} == {"payments"}
    assert len({value.instance for value in sent}) == 2


def test_a_backend_that_cannot_be_one_is_refused() -> None:
    """With the fix."""
    with pytest.raises(WrongAddress, match="Fix"), counted(settings(otlp="grpc://x"), "saga", dict):
        pass
