"""What is logged while a command is handled says which saga, step and span it belongs to."""

import asyncio
import logging
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider

from saga import wire
from saga.adapters.sqlite.database import SqliteDatabase
from saga.adapters.telemetry.live import LiveTracing
from saga.contract import Context
from saga.participant import SagaFields, Serving
from tests.unit.participant.till import TRACE, Till, pay

SHOP = logging.getLogger("shop.pay")


class Kept(logging.Handler):
    """Keeps records, as a handler of the process would write them."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(SagaFields())
        self.records: dict[str, dict[str, object]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.records[record.getMessage()] = vars(record)


@pytest.fixture
def kept() -> Iterator[Kept]:
    """What is written until the test ends."""
    handler, root = Kept(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


async def test_a_handlers_own_records_are_of_its_command(database: SqliteDatabase, kept: Kept) -> None:
    """Also those of a task it starts; without an SDK the span is the attempt. Others are left alone."""
    till = Till(database)

    async def deeper() -> None:
        SHOP.info("of a task")

    async def work(_ctx: Context) -> None:
        SHOP.info("of the handler", extra={"step": "its own word"})
        await asyncio.create_task(deeper())

    till.during = work
    SHOP.info("before")
    sent = pay()
    await till.send(wire.command_to_wire(sent))
    await till.serve()
    SHOP.info("after")
    for message, step in (("of a task", sent.path), ("of the handler", "its own word")):
        found = kept.records[message]
        assert (found["trace_id"], found["span_id"]) == ("1" * 32, "2" * 16)
        assert (found["saga_id"], found["saga_name"], found["attempt"]) == (sent.saga, sent.saga_name, sent.attempt)
        assert found["step"] == step
    for message in ("before", "after"):
        assert "saga_id" not in kept.records[message]


async def test_the_engines_own_records_are_too(database: SqliteDatabase, kept: Kept) -> None:
    """Of an attempt that failed: where, and in a field of its own what the handler said."""
    till = Till(database)

    async def work(_ctx: Context) -> None:
        raise ZeroDivisionError("no change for 7")

    till.during = work
    await till.send(wire.command_to_wire(pay()))
    await till.serve()
    for message in ("a handler failed", "a command is to be tried again"):
        assert kept.records[message]["saga_id"] == pay().saga
        assert kept.records[message]["trace_id"] == "1" * 32
    told = {name: value for name, value in kept.records["a command is to be tried again"].items() if name != "text"}
    assert kept.records["a command is to be tried again"]["text"] == "ZeroDivisionError: no change for 7"
    assert "no change" not in str(told)


async def test_the_span_is_the_one_it_is_written_in(database: SqliteDatabase, kept: Kept) -> None:
    """The one around the command, or one that the handler opened in it; not one of another trace."""
    provider = TracerProvider()
    till = Till(database)
    tracing = LiveTracing(provider=provider)
    till.serving = Serving(till.serving.participant, database, till.clock, "till-1", tracing=tracing)
    spans: list[str] = []

    async def work(_ctx: Context) -> None:
        spans.append(tracing.current(pay()))
        SHOP.info("around")
        with provider.get_tracer("sql").start_as_current_span("SELECT") as own:
            spans.append(f"{own.get_span_context().span_id:016x}")
            SHOP.info("inside")

    till.during = work
    await till.send(wire.command_to_wire(pay()))
    await till.serve()
    assert [kept.records[message]["span_id"] for message in ("around", "inside")] == spans
    assert len({*spans, TRACE[36:52]}) == 3
    with provider.get_tracer("other").start_as_current_span("another trace"):
        assert tracing.current(pay()) == ""
