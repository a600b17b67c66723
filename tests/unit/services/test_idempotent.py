"""Every handler of the reference services survives every way in which its command may be delivered."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.inventory import Line, ReleaseStock, ReserveStock
from contracts.notifications import SendMail, SendMessage
from contracts.payments import CancelInvoice, CardCharged, ChargeCard, IssueInvoice, RefundCharge
from contracts.shipping import Address, BookCourier, QuoteCourier
from saga.testing import assert_idempotent
from services import inventory, payments
from services.notifications.handlers import MailRoom
from services.shipping.carrier import Carrier, CarrierAnswer
from services.shipping.handlers import Desk
from services.world.books import Books
from services.world.mailsink import Sink, SinkSettings, serve

HELD = "select sum(counted - available) from stock"
SALES = "select sum(balance_cents) from accounts where name = 'sales'"
ADDRESS = Address(name="Ann", street="1 Road", city="Town", country="DE")


def reservation(*skus: str) -> ReserveStock:
    return ReserveStock(order_id="o1", lines=tuple(Line(sku=sku, unit_count=2) for sku in skus))


def refund(_cmd: ChargeCard, charged: CardCharged | None) -> RefundCharge:
    """As the order definition undoes a charge: by its id, or by what payments remembers."""
    return RefundCharge(charge_id=charged.charge_id if charged else None, reason="test")


async def test_reserving_stock() -> None:
    """Stock is held once, and given back once, wherever inventory dies."""
    proven = await assert_idempotent(
        inventory.participant(), reservation("sku-1", "sku-2"), effects=HELD, undo=ReleaseStock(order_id="o1")
    )
    assert proven.crashes > 20


async def test_stock_that_is_refused() -> None:
    """What was taken for the lines before the one that fell short is never held, and nothing is undone for it."""
    short = reservation("sku-1", "sold-out")
    await assert_idempotent(inventory.participant(), short, effects=HELD, undo=ReleaseStock(order_id="o1"))


async def test_charging_a_card() -> None:
    """The money moves once, and back once: known by the reply, or by the inbox when no reply came."""
    charge = ChargeCard(order_id="o1", customer="ann", amount=Decimal("19.90"))
    await assert_idempotent(payments.participant(), charge, effects=SALES, undo=refund)


async def test_a_declined_card() -> None:
    """A declined card is declined again, and there is nothing to refund."""
    declined = ChargeCard(order_id="o1", customer="declined-1", amount=Decimal("19.90"))
    await assert_idempotent(payments.participant(), declined, effects=SALES, undo=refund)


async def test_sending_an_invoice() -> None:
    """The customer owes the amount once, and nothing after the undo."""
    invoice = IssueInvoice(order_id="o1", customer="ann", amount=Decimal("19.90"))
    await assert_idempotent(payments.participant(), invoice, effects=SALES, undo=CancelInvoice(order_id="o1"))


class Bookings(Carrier):
    """A carrier in memory, that books whatever it is asked as often as it is asked."""

    def __init__(self) -> None:
        super().__init__("nowhere.example", 1)
        self.references: list[str] = []

    async def _exchange(self, method: str, path: str, body: dict[str, Any] | None = None) -> CarrierAnswer:
        await asyncio.sleep(0)  # the request is on its way
        if method == "GET":
            found = [{"tracking": "T1"} for reference in self.references if path.endswith(reference)]
            answer = CarrierAnswer(200, {"bookings": found})
        elif path == "/bookings":
            assert body is not None
            self.references.append(body["reference"])
            answer = CarrierAnswer(201, {"tracking": "T1"})
        else:
            answer = CarrierAnswer(200, {"carrier": "dhl", "price_cents": 500})
        await asyncio.sleep(0)  # the answer is on its way
        return answer


async def test_booking_a_courier() -> None:
    """A courier comes once: after a crash the probe asks the carrier before shipping books again."""
    carrier = Bookings()
    desk = Desk(carrier)
    book = BookCourier(order_id="o1", carrier="dhl", address=ADDRESS)
    handler = BookCourier.handled_by(desk.book, probe=desk.find)
    await assert_idempotent(handler, book, effects=lambda: len(carrier.references))


async def test_asking_for_a_price() -> None:
    """A quote books nothing."""
    carrier = Bookings()
    handler = QuoteCourier.handled_by(Desk(carrier).quote)
    await assert_idempotent(handler, QuoteCourier(address=ADDRESS), effects=lambda: len(carrier.references))


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[tuple[Books, int]]:
    """A mail server in this process: its books, and its port."""
    written = Books(tmp_path / "mails.jsonl")
    server = await serve("127.0.0.1", 0, Sink(written, SinkSettings()))
    yield written, server.sockets[0].getsockname()[1]
    server.close()
    written.close()


async def test_sending_a_mail(books: tuple[Books, int]) -> None:
    """A mail is sent at most once: after a crash a person has to look, and nothing is sent again."""
    written, port = books
    handler = SendMail.handled_by(MailRoom("127.0.0.1", port).send)
    mail = SendMail(to="ann@example.org", subject="On its way", reference="o1")
    await assert_idempotent(handler, mail, effects=lambda: len(written.lines("mail")))


async def test_sending_a_written_message(books: tuple[Books, int]) -> None:
    """So is one with a text of its own, a line that is only a dot included."""
    written, port = books
    handler = SendMessage.handled_by(MailRoom("127.0.0.1", port).send)
    message = SendMessage(to="ann@example.org", subject="An idea", body="Dear Ann,\n.\nShall we talk?", reference="l1")
    await assert_idempotent(handler, message, effects=lambda: len(written.lines("mail")))
    assert {line["text"] for line in written.lines("mail")} == {"Dear Ann,\n.\nShall we talk?"}


def test_no_command_is_left_out() -> None:
    """Every command of the four services is tried above."""
    tried = {ReserveStock, ReleaseStock, ChargeCard, RefundCharge, IssueInvoice, CancelInvoice}
    tried |= {BookCourier, QuoteCourier, SendMail, SendMessage}
    declared = {
        value
        for module in ("inventory", "payments", "shipping", "notifications")
        for value in vars(__import__(f"contracts.{module}", fromlist=["x"])).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and "__saga__" in value.__dict__
    }
    assert declared == tried
