"""The carrier as a process, asked by shipping's own client and handlers."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.shipping import Address, BookCourier, CourierBooked, CourierQuoted, CourierRefused, QuoteCourier
from saga.contract import Context, RetryLater
from services.shipping.carrier import Carrier, CarrierSilent
from services.shipping.handlers import Desk
from services.world.books import read
from tests.integration.services.world_processes import WorldProcess, running

HOME = Address(name="Ann", street="Kade 1", city="Delft", country="NL")
BOOKING = BookCourier(order_id="o1", carrier="swift", address=HOME)
ORDER: dict[str, Any] = {"order_id": "o1", "country": "NL"}


def context(key: str = "key-1") -> Context:
    return Context(key=key, saga="saga-1", step="book", attempt=1)


def client(carrier: WorldProcess, **options: Any) -> Carrier:
    return Carrier(carrier.host, carrier.port, **options)


async def change(carrier: WorldProcess, **settings: Any) -> None:
    answer = await client(carrier)._exchange("PUT", "/settings", settings)
    assert answer.status == 200, answer


async def test_a_booking_is_found_under_its_reference(tmp_path: Path) -> None:
    """Shipping gets a quote, books under its key, and its probe finds exactly that booking."""
    with running("carrier", tmp_path / "books.jsonl") as carrier:
        desk = Desk(client(carrier))
        assert await desk.quote(QuoteCourier(address=HOME), context()) == CourierQuoted("swift", 490)
        assert await desk.find(BOOKING, context()) is None
        booked = await desk.book(BOOKING, context())
        assert isinstance(booked, CourierBooked)
        assert await desk.find(BOOKING, context()) == booked
        assert await desk.find(BOOKING, context("another")) is None


async def test_a_repeat_is_booked_again(tmp_path: Path) -> None:
    """The carrier does not recognise a reference: a repeat that nobody stopped is on its books twice."""
    with running("carrier", tmp_path / "books.jsonl") as carrier:
        desk = Desk(client(carrier))
        await desk.book(BOOKING, context())
        await desk.book(BOOKING, context())
    assert [line["reference"] for line in read(tmp_path / "books.jsonl", "book")] == ["key-1", "key-1"]


async def test_booked_and_dropped_is_found_by_the_probe(tmp_path: Path) -> None:
    """When the carrier books and hangs up, the handler claims nothing and the probe brings the booking."""
    with running("carrier", tmp_path / "books.jsonl", "--drop-after-rate", "1") as carrier:
        desk = Desk(client(carrier))
        with pytest.raises(RetryLater) as raised:
            await desk.book(BOOKING, context())
        assert raised.value.code == "carrier-silent"
        found = await desk.find(BOOKING, context())
    assert [found] == [CourierBooked(line["tracking"]) for line in read(tmp_path / "books.jsonl", "book")]


@pytest.mark.parametrize(("option", "code"), [("drop-before", "carrier-silent"), ("unavailable", "carrier-503")])
async def test_faults_before_the_booking_book_nothing(tmp_path: Path, option: str, code: str) -> None:
    """A 503, and a connection dropped before anything is done, can be tried again: the books are empty."""
    with running("carrier", tmp_path / "books.jsonl", f"--{option}-rate", "1") as carrier:
        desk = Desk(client(carrier))
        with pytest.raises(RetryLater) as raised:
            await desk.book(BOOKING, context())
        assert raised.value.code == code
        assert await desk.find(BOOKING, context()) is None
    assert read(tmp_path / "books.jsonl", "book") == []


async def test_a_refusal_is_a_business_answer(tmp_path: Path) -> None:
    """A carrier that does not take the parcel is a declared failure, with its reason."""
    with running("carrier", tmp_path / "books.jsonl", "--refuse-rate", "1") as carrier:
        refused = await Desk(client(carrier)).book(BOOKING, context())
    assert refused == CourierRefused(reason="no parcels to NL today")


async def test_the_probe_waits_for_a_slow_booking(tmp_path: Path) -> None:
    """Whoever gives up on a slow booking and asks is told of it, so nothing is booked beside it."""
    with running("carrier", tmp_path / "books.jsonl", "--slow-rate", "1", "--slow-seconds", "1") as carrier:
        with pytest.raises(CarrierSilent, match="timed out"):
            await client(carrier, timeout_seconds=0.2).book("key-1", ORDER)
        found = await client(carrier).find("key-1")
    assert [line["reference"] for line in found.body["bookings"]] == ["key-1"]


async def test_books_and_settings_survive_kill_9(tmp_path: Path) -> None:
    """What was answered before a kill is there after it, and so is how the carrier was told to behave."""
    books = tmp_path / "books.jsonl"
    with running("carrier", books) as carrier:
        await change(carrier, scripts={"o2": ["unavailable", "book"]})
        assert (await client(carrier).book("key-1", ORDER)).status == 201
        assert (await client(carrier).book("key-2", {**ORDER, "order_id": "o2"})).status == 503
        carrier.kill()
    with running("carrier", books) as carrier:
        found = await client(carrier).find("key-1")
        assert len(found.body["bookings"]) == 1
        assert (await client(carrier).book("key-2", {**ORDER, "order_id": "o2"})).status == 201
        assert carrier.process.poll() is None
    sequences = [line["sequence"] for line in read(books)]
    assert sequences == list(range(1, len(sequences) + 1))


async def test_a_cancelled_booking_stays_on_the_books(tmp_path: Path) -> None:
    """A cancellation is a line of its own; one of a booking that never was is not found."""
    books = tmp_path / "books.jsonl"
    with running("carrier", books) as carrier:
        tracking = (await client(carrier).book("key-1", ORDER)).body["tracking"]
        assert (await client(carrier)._exchange("DELETE", f"/bookings/{tracking}")).status == 200
        assert (await client(carrier)._exchange("DELETE", "/bookings/trk_none")).status == 404
        everything = (await client(carrier)._exchange("GET", "/books")).body["lines"]
    assert [line["kind"] for line in everything] == ["request", "book", "cancel"]


async def test_what_it_does_not_understand_is_told_so(tmp_path: Path) -> None:
    """Bad requests and bad settings are answered with the reason; the carrier goes on."""
    with running("carrier", tmp_path / "books.jsonl") as carrier:
        answers = [
            await client(carrier)._exchange("POST", "/bookings", {"order_id": "o1"}),
            await client(carrier)._exchange("PUT", "/settings", {"refuse_rate": 7}),
            await client(carrier)._exchange("PUT", "/settings", {"refuse_rat": 0.1}),
            await client(carrier)._exchange("GET", "/nowhere"),
        ]
        assert [answer.status for answer in answers] == [400, 400, 400, 404]
        assert "reference" in answers[0].body["reason"]
        assert "no share" in answers[1].body["reason"]
        assert (await client(carrier).book("key-1", ORDER)).status == 201


async def test_many_at_once_are_all_booked(tmp_path: Path) -> None:
    """Fifty parcels at the same time are fifty bookings."""
    with running("carrier", tmp_path / "books.jsonl") as carrier:
        asking = client(carrier)
        answers = await asyncio.gather(*(asking.book(f"key-{n}", {**ORDER, "order_id": f"o{n}"}) for n in range(50)))
    assert {answer.status for answer in answers} == {201}
    assert len({line["reference"] for line in read(tmp_path / "books.jsonl", "book")}) == 50


def test_sigterm_ends_it_well(tmp_path: Path) -> None:
    """Asked to end, the carrier ends with success."""
    with running("carrier", tmp_path / "books.jsonl") as carrier:
        carrier.process.terminate()
        assert carrier.process.wait(10) == 0


async def test_no_carrier_at_all_claims_nothing() -> None:
    """With nobody listening the error names the address, and the engine is asked to try later."""
    with pytest.raises(RetryLater, match=r"http://127\.0\.0\.1:9/quotes"):
        await Desk(Carrier("127.0.0.1", 9)).quote(QuoteCourier(address=HOME), context())
