"""Traces over a real broker and store: participants in any language join by one header, and no backend stops a saga."""

import asyncio
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import aiormq
import pytest
from aiormq.abc import DeliveredMessage
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.integration.orders_place import SERVICES, SOON, Place, RunProcess, order, until
from tests.otlp import Backend, mute
from tests.servers.binaries import free_port
from tests.spans import attribute, nested, tree

ECHOED = (
    "saga-step", "saga-kind", "saga-execution", "saga-attempt", "saga-idempotency-key", "traceparent",
)  # fmt: skip
ORDERS = 20


@pytest.fixture
async def place(database: str, vhost: str) -> Place:
    """A migrated store and a declared broker."""
    place = Place(database, vhost)
    await place.prepare()
    return place


@asynccontextmanager
async def running(place: Place, folder: Path) -> AsyncIterator[RunProcess]:
    """`saga run`, ready."""
    process = RunProcess(place, folder)
    try:
        await process.ready()
        yield process
        await process.stop()
    finally:
        process.process.kill9()


class Bare:
    """A participant of nothing but an AMQP client: it copies headers, and tells the backend of its work by itself."""

    def __init__(self, service: str, backend: Backend) -> None:
        self.service = service
        self._backend = backend

    async def serve(self, amqp: str, stack: AsyncExitStack) -> None:
        """Answer ok to everything."""
        connection = await aiormq.connect(amqp)
        stack.push_async_callback(connection.close)
        channel = await connection.channel()

        async def answer(message: DeliveredMessage) -> None:
            begun_ns = time.time_ns()
            properties = message.header.properties
            given = properties.headers or {}
            headers = {name: given[name] for name in ECHOED}
            headers |= {"saga-in-reply-to": properties.message_id or "", "saga-outcome": "ok", "saga-effect": "applied"}
            await asyncio.to_thread(self._tell, str(given["traceparent"]), begun_ns)
            await channel.basic_publish(
                b"{}",
                exchange="saga.replies",
                routing_key=f"{self.service}.ok",
                properties=aiormq.spec.Basic.Properties(
                    headers=headers,
                    correlation_id=properties.correlation_id,
                    message_type=f"{self.service}.Done.v1",
                    user_id="guest",
                    delivery_mode=2,
                ),
            )
            await channel.basic_ack(message.delivery_tag or 0)

        await channel.basic_consume(f"saga.commands.{self.service}", answer)

    def _tell(self, traceparent: str, begun_ns: int) -> None:
        _, trace, parent, _ = traceparent.split("-")
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        attribute = resource.resource.attributes.add()
        attribute.key, attribute.value.string_value = "service.name", self.service
        span = resource.scope_spans.add().spans.add()
        span.trace_id, span.parent_span_id = bytes.fromhex(trace), bytes.fromhex(parent)
        span.span_id = begun_ns.to_bytes(8, "big")
        span.name, span.kind = "work", 5
        span.start_time_unix_nano, span.end_time_unix_nano = begun_ns, time.time_ns()
        body = request.SerializeToString()
        with urllib.request.urlopen(urllib.request.Request(f"{self._backend.url}/v1/traces", body), timeout=5):
            pass


async def test_a_participant_of_a_bare_client_shows_in_the_right_place(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows the header and nothing else of us: its span hangs under the attempt that asked it."""
    async with AsyncExitStack() as stack:
        backend = stack.enter_context(Backend())
        monkeypatch.setenv("SAGA_OTLP", backend.url)
        for service in SERVICES:
            await Bare(service, backend).serve(place.amqp, stack)
        await stack.enter_async_context(running(place, tmp_path))
        caller = await stack.enter_async_context(place.calling())
        ended = await caller.run("order", order(1), within=SOON)
        trace = ended.saga.replace("-", "")
        await until(lambda: any(span.name == "order" for span in backend.spans(trace)))
        found = tree(backend.spans(trace))
        nested(found, foreign=frozenset({"work"}))
        for step, service in zip(("reserve", "charge"), SERVICES, strict=True):
            (node,) = found.find(step)
            (attempt,) = [child for child in node.children if child.find("work")]
            assert attribute(attempt.span, "messaging.destination.name") == f"saga.commands:{service}.{step.title()}.v1"
        services = {each.span.parent: each.service for each in backend.received() if each.span.name == "work"}
        assert sorted(services.values()) == sorted(SERVICES)


@pytest.mark.parametrize("trouble", ["away", "slow", "full", "mute"])
async def test_a_backend_in_trouble_stops_nothing_and_gets_everything(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """Sagas end as if it were not there; what happened meanwhile is exported when it is well again, once and whole."""
    port = free_port()
    monkeypatch.setenv("SAGA_OTLP", f"http://127.0.0.1:{port}")
    async with AsyncExitStack() as stack:
        deaf = stack.enter_context(ExitStack())
        there = [stack.enter_context(Backend(port))] if trouble in {"slow", "full"} else []
        for backend in there:
            backend.status, backend.retry_after = (503, "1") if trouble == "full" else (200, "")
            backend.delay_seconds = 60 if trouble == "slow" else 0
        if trouble == "mute":
            deaf.enter_context(mute(port))
        process = await stack.enter_async_context(running(place, tmp_path))
        await stack.enter_async_context(place.serving())
        caller = await stack.enter_async_context(place.calling())
        ended = await asyncio.gather(*(caller.run("order", order(n), within=SOON) for n in range(ORDERS)))
        assert {each.status for each in ended} == {"completed"}
        found = await process.until(lambda found: "trouble" in found["following"]["traces"])
        assert found["ready"]
        deaf.close()
        backend = there[0] if there else stack.enter_context(Backend(port))
        assert backend.spans() == []
        backend.status, backend.delay_seconds = 200, 0
        traces = {each.saga.replace("-", "") for each in ended}
        await until(lambda: {span.trace for span in backend.spans() if span.name == "order"} == traces)
        for trace in traces:
            nested(tree(backend.spans(trace)))


async def test_a_backend_that_takes_little_at_once_gets_everything(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers 413 to most requests: they come again in parts, and every trace is whole."""
    async with AsyncExitStack() as stack:
        backend = stack.enter_context(Backend())
        backend.body_bytes_max = 3_000
        monkeypatch.setenv("SAGA_OTLP", backend.url)
        await stack.enter_async_context(running(place, tmp_path))
        await stack.enter_async_context(place.serving())
        caller = await stack.enter_async_context(place.calling())
        ended = await asyncio.gather(*(caller.run("order", order(n), within=SOON) for n in range(ORDERS)))
        traces = {each.saga.replace("-", "") for each in ended}
        await until(lambda: {span.trace for span in backend.spans() if span.name == "order"} == traces)
        assert backend.turned_away_count > 0
        for trace in traces:
            nested(tree(backend.spans(trace)))
