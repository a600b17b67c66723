"""Sending spans to a backend that works, is away, is full, is slow, or does not like them."""

from collections.abc import Iterator

import msgspec
import pytest

from saga.adapters.telemetry.backend import SPANS_MAX, OtlpBackend
from saga.adapters.telemetry.otlp import request
from saga.core.errors import Unavailable
from tests.otlp import Backend, Watch, mute
from tests.servers.binaries import free_port
from tests.unit.adapters.telemetry.test_otlp import ROOT, SPAN

LATER = "Fri, 31 Dec 9999 23:59:59 GMT"
PLAIN = msgspec.structs.replace(SPAN, kind=ROOT.kind)


@pytest.fixture
def backend() -> Iterator[Backend]:
    """One that takes everything."""
    with Backend() as found:
        yield found


async def test_spans_arrive(backend: Backend) -> None:
    """As protobuf, with the headers a vendor asks for, over a connection that is kept."""
    ours = OtlpBackend(backend.url, {"authorization": "Bearer x"}, Watch())
    await ours.export([ROOT])
    await ours.export([PLAIN])
    assert backend.spans() == [ROOT, PLAIN]
    assert backend.headers[0]["authorization"] == "Bearer x"
    assert backend.headers[0]["content-type"] == "application/x-protobuf"
    await ours.close()


async def test_many_spans_go_in_several_requests(backend: Backend) -> None:
    """A request is bounded, however much there is to export."""
    ours = OtlpBackend(backend.url + "/v1/traces", {}, Watch())
    await ours.export([ROOT] * (SPANS_MAX + 1))
    assert len(backend.requests) == 2
    await ours.close()


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
async def test_a_backend_that_is_full_or_closed_is_unavailable(backend: Backend, status: int) -> None:
    """Nothing is dropped: the same spans are taken when it is back."""
    ours = OtlpBackend(backend.url, {}, Watch())
    backend.status = status
    with pytest.raises(Unavailable, match=str(status)):
        await ours.export([PLAIN])
    backend.status = 200
    await ours.export([PLAIN])
    assert backend.spans() == [PLAIN]
    await ours.close()


@pytest.mark.parametrize(("retry_after", "seconds"), [("30", 30.0), ("3600", 60.0), (LATER, 60.0), ("soon", 0.0)])
async def test_a_backend_that_asks_for_patience_is_left_alone(
    backend: Backend, retry_after: str, seconds: float
) -> None:
    """As long as it says, in seconds or as a date, but not longer than we think right; then it gets everything."""
    watch = Watch()
    ours = OtlpBackend(backend.url, {}, watch)
    backend.status, backend.retry_after = 429, retry_after
    with pytest.raises(Unavailable, match="429"):
        await ours.export([PLAIN])
    backend.status = 200
    if seconds:
        watch.seconds = seconds - 0.1
        with pytest.raises(Unavailable, match="asks us to wait"):
            await ours.export([PLAIN])
    assert backend.turned_away_count == 1
    watch.seconds = seconds
    await ours.export([PLAIN])
    assert backend.spans() == [PLAIN]
    await ours.close()


@pytest.mark.parametrize("status", [404, 500, 502, 504])
async def test_only_who_is_full_may_ask_for_patience(backend: Backend, status: int) -> None:
    """As OTLP says: of other answers the header means nothing."""
    ours = OtlpBackend(backend.url, {}, Watch())
    backend.status, backend.retry_after = status, "30"
    for _ in range(2):
        with pytest.raises(Unavailable, match=str(status)):
            await ours.export([PLAIN])
    assert backend.turned_away_count == 2
    await ours.close()


async def test_a_backend_that_never_reads_does_not_hold_us() -> None:
    """It lets us in and says nothing, however much there is to send."""
    port = free_port()
    ours = OtlpBackend(f"http://127.0.0.1:{port}", {}, Watch(), timeout_seconds=0.2)
    with mute(port):
        for _ in range(2):
            with pytest.raises(Unavailable):
                await ours.export([ROOT] * SPANS_MAX)
    with Backend(port) as backend:
        await ours.export([PLAIN])
        assert backend.spans() == [PLAIN]
    await ours.close()


async def test_a_backend_that_is_away_is_unavailable(backend: Backend) -> None:
    """Also one that was there a moment ago; and it is found again at the same address."""
    ours = OtlpBackend(backend.url, {}, Watch())
    await ours.export([ROOT])
    port = backend.port
    backend.__exit__()
    with pytest.raises(Unavailable):
        await ours.export([PLAIN])
    with Backend(port) as again:
        await ours.export([PLAIN])
        assert again.spans() == [PLAIN]
    await ours.close()


async def test_a_slow_backend_does_not_hold_us(backend: Backend) -> None:
    """Every request ends in time, and the next one is not held up by it."""
    ours = OtlpBackend(backend.url, {}, Watch(), timeout_seconds=0.2)
    backend.delay_seconds = 60
    for _ in range(3):
        with pytest.raises(Unavailable):
            await ours.export([PLAIN])
    backend.delay_seconds = 0
    await ours.export([ROOT])
    assert ROOT in backend.spans()
    await ours.close()


async def test_what_is_called_malformed_is_dropped_and_counted(backend: Backend) -> None:
    """Sending it for ever would help nobody."""
    ours = OtlpBackend(backend.url, {}, Watch())
    backend.status = 400
    await ours.export([ROOT, PLAIN])
    assert ours.rejected == 2
    await ours.close()


async def test_what_is_too_large_arrives_in_parts(backend: Backend) -> None:
    """As small as the backend wants them, in order, each once."""
    ours = OtlpBackend(backend.url, {}, Watch())
    spans = [msgspec.structs.replace(PLAIN, id=f"{number:016x}") for number in range(1, 41)]
    backend.body_bytes_max = 3 * len(request([PLAIN]))
    await ours.export(spans)
    assert backend.spans() == spans
    assert ours.rejected == 0
    assert backend.turned_away_count > 0
    await ours.close()


async def test_what_is_too_large_is_halved(backend: Backend) -> None:
    """Down to the one span that no backend takes."""
    ours = OtlpBackend(backend.url, {}, Watch())
    backend.status = 413
    await ours.export([ROOT, PLAIN, ROOT])
    assert ours.rejected == 3
    await ours.close()


@pytest.mark.parametrize("url", ["collector:4318", "grpc://collector:4317", "http://"])
def test_an_address_that_is_none(url: str) -> None:
    """It is said at once."""
    with pytest.raises(ValueError, match="http"):
        OtlpBackend(url, {}, Watch())
