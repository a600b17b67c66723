"""The services' handlers behind their real inbox: whatever is repeated, late or out of order, ledgers show it once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.inventory import Line, ReleaseStock, ReserveStock
from contracts.notifications import SendMail
from contracts.payments import CardCharged, ChargeCard, RefundCharge
from contracts.shipping import Address, BookCourier
from saga.adapters.system import SystemClock
from saga.bootstrap.participants import open_database
from saga.contract import contract_of
from saga.core.messages import CommandMessage, Kind, Outcome, RefusedCode, ReplyEffect, ReplyMessage
from saga.participant import Participant, Serving, answer_command
from services import inventory, notifications, payments, shipping
from services.world.books import read
from tests.integration.services.world_processes import running

SAGA = "01890000-0000-7000-8000-000000000001"
RESERVE = ReserveStock(order_id="o1", lines=(Line("sku-1", 2),))
CHARGE = ChargeCard(order_id="o1", customer="ann", amount=Decimal(5))
REFUND = RefundCharge(charge_id=None, reason="undone")
BOOK = BookCourier("o1", "swift", Address(name="Ann", street="Kade 1", city="Delft", country="NL"))
MAIL = SendMail(to="ann@example.org", subject="Order o1 is on its way", reference="o1")


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A service's own database, of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/service.db"
    url: str = request.getfixturevalue("database")
    return url


class Service:
    """A participant at its database, asked as the engine asks."""

    def __init__(self, participant: Participant, place: str) -> None:
        self.participant = participant
        self.place = place

    async def open(self) -> "Service":
        self.database = await open_database(self.place)
        await self.database.migrate(self.participant.service, self.participant.migrations)
        self.process("first")
        return self

    def process(self, name: str) -> None:
        """Go on as another process: it knows nothing of what the one before was running."""
        self.serving = Serving(self.participant, self.database, SystemClock(), name)

    async def do(self, command: Any, *, key: str = "key-1", attempt: int = 1) -> ReplyMessage:
        return await answer_command(self.serving, message(command, key, attempt))

    async def undo(self, command: Any, *, outcome: str, key: str = "undo-1") -> ReplyMessage:
        asked = message(command, key, 1, kind=Kind.COMPENSATION)
        return await answer_command(
            self.serving, msgspec.structs.replace(asked, undoes="key-1", undoes_outcome=outcome)
        )

    async def rows(self, sql: str) -> list[tuple[object, ...]]:
        async with self.database.begin() as tx:
            return await tx.execute(sql)


def message(command: Any, key: str, attempt: int, kind: Kind = Kind.ACTION) -> CommandMessage:
    contract = contract_of(type(command))
    return CommandMessage(
        saga=SAGA,
        saga_name="order",
        saga_version=1,
        business_key="o1",
        path="step",
        kind=kind,
        execution=1,
        attempt=attempt,
        service=contract.service,
        command=contract.name,
        command_version=contract.version,
        message_id=f"{key}/{attempt}",
        key=key,
        body=msgspec.json.encode(command),
        expires_at=SystemClock().now() + timedelta(days=7) if kind is Kind.ACTION else None,
    )


@pytest.fixture
async def stock(place: str) -> AsyncIterator[Service]:
    """Inventory at work."""
    service = await Service(inventory.participant(), place).open()
    yield service
    await service.database.close()


@pytest.fixture
async def money(place: str) -> AsyncIterator[Service]:
    """Payments at work."""
    service = await Service(payments.participant(), place).open()
    yield service
    await service.database.close()


async def test_a_repeat_is_answered_from_the_inbox(stock: Service) -> None:
    """The second delivery gets the same bytes, marked as replayed, and the ledger has one effect."""
    first = await stock.do(RESERVE)
    again = await stock.do(RESERVE, attempt=2)
    assert (first.outcome, first.effect, again.effect) == (Outcome.OK, ReplyEffect.APPLIED, ReplyEffect.REPLAYED)
    assert first.body == again.body
    assert await stock.rows("select kind from inventory_effects") == [("do",)]
    assert await stock.rows("select available from stock where sku = 'sku-1'") == [(999_998,)]


async def test_a_refusal_is_remembered_too(stock: Service) -> None:
    """A business refusal is replayed, and has no effect."""
    sold_out = ReserveStock(order_id="o1", lines=(Line("sku-1", 1), Line("sold-out", 1)))
    first, again = [await stock.do(sold_out, attempt=attempt) for attempt in (1, 2)]
    assert (first.outcome, first.code, again.effect) == (Outcome.FAILED, "OutOfStock", ReplyEffect.REPLAYED)
    assert await stock.rows("select * from inventory_effects") == []
    assert await stock.rows("select available from stock where sku = 'sku-1'") == [(1_000_000,)]


async def test_an_undo_before_its_action_leaves_a_tombstone(stock: Service) -> None:
    """The undo finds nothing to undo, and the late action is refused: nothing ever happened."""
    undone = await stock.undo(ReleaseStock(order_id="o1"), outcome="unknown")
    late = await stock.do(RESERVE)
    assert (undone.outcome, undone.effect) == (Outcome.OK, ReplyEffect.NONE)
    assert (late.outcome, late.code) == (Outcome.REFUSED, RefusedCode.CANCELLED)
    assert await stock.rows("select * from inventory_effects") == []
    assert await stock.rows("select count(*) from saga_inbox where status = 'cancelled'") == [(1,)]


async def test_a_charge_whose_reply_was_lost_is_refunded_from_the_inbox(money: Service) -> None:
    """The engine does not know the charge; the inbox does, and the money is back where it was."""
    await money.do(CHARGE)
    refunded = await money.undo(REFUND, outcome="unknown")
    again = await money.undo(REFUND, outcome="unknown")
    assert (refunded.outcome, refunded.effect, again.effect) == (
        Outcome.OK,
        ReplyEffect.APPLIED,
        ReplyEffect.REPLAYED,
    )
    assert await money.rows("select kind from payments_effects order by at_ns, sequence") == [("do",), ("undo",)]
    assert await money.rows("select balance_cents from accounts order by name") == [(0,), (0,)]


async def test_a_charge_nobody_remembers_is_refunded_by_its_id(money: Service) -> None:
    """When the inbox has forgotten the charge, its id in the undo is enough; without one a person has to look."""
    charged = msgspec.json.decode((await money.do(CHARGE)).body, type=CardCharged)
    await money.rows("delete from saga_inbox")
    blind = await money.undo(REFUND, outcome="ok")
    assert (blind.outcome, blind.code) == (Outcome.REFUSED, RefusedCode.IN_DOUBT)
    named = await money.undo(RefundCharge(charge_id=charged.charge_id, reason="undone"), outcome="ok", key="undo-2")
    assert (named.outcome, named.effect) == (Outcome.OK, ReplyEffect.APPLIED)


async def test_an_amount_that_cannot_be_paid_never_reaches_the_ledger(money: Service) -> None:
    """What types cannot rule out is refused before the handler."""
    bad = await money.do(ChargeCard(order_id="o1", customer="ann", amount=Decimal(-5)))
    assert (bad.outcome, bad.code) == (Outcome.REFUSED, RefusedCode.INVALID_PAYLOAD)
    assert "not above 0" in bad.message
    assert await money.rows("select * from payments_effects") == []


async def test_twenty_orders_at_once_share_one_shelf(stock: Service) -> None:
    """Orders over the same products in different order neither deadlock nor lose a piece."""
    answers = await asyncio.gather(
        *(
            stock.do(
                ReserveStock(order_id=f"o{n}", lines=(Line("sku-1", 1), Line("sku-2", 1))[:: 1 if n % 2 else -1]),
                key=f"key-{n}",
            )
            for n in range(20)
        )
    )
    for number, answer in enumerate(answers):
        if answer.outcome is Outcome.RETRY:  # a conflict is transient: the engine asks again
            await stock.do(ReserveStock(f"o{number}", (Line("sku-1", 1), Line("sku-2", 1))), key=f"key-{number}")
    sold = await stock.rows("select available from stock where sku in ('sku-1', 'sku-2')")
    assert sold == [(999_980,), (999_980,)]


async def test_a_booking_without_an_answer_is_found_by_the_probe(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The carrier books and hangs up: the repeat is answered with that booking, and there is no second one."""
    with running("carrier", tmp_path / "books", "--drop-after-rate", "1") as carrier:
        monkeypatch.setenv("SAGA_CARRIER_URL", f"http://{carrier.host}:{carrier.port}")
        service = await Service(shipping.participant(), place).open()
        first = await service.do(BOOK)
        service.process("second")
        again = await service.do(BOOK, attempt=2)
        await service.database.close()
    assert (first.outcome, first.code) == (Outcome.RETRY, "carrier-silent")
    (booking,) = read(tmp_path / "books", "book")
    assert again.outcome is Outcome.OK
    assert msgspec.json.decode(again.body)["tracking"] == booking["tracking"]


async def test_a_mail_is_sent_once_however_often_it_is_asked_for(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repeat is answered from the inbox, with the id of the mail that was sent."""
    with running("mailsink", tmp_path / "books") as sink:
        monkeypatch.setenv("SAGA_SMTP_URL", f"smtp://{sink.host}:{sink.port}")
        service = await Service(notifications.participant(), place).open()
        first = await service.do(MAIL)
        again = await service.do(MAIL, attempt=2)
        await service.database.close()
    assert (first.outcome, first.effect, again.effect) == (Outcome.OK, ReplyEffect.APPLIED, ReplyEffect.REPLAYED)
    (mail,) = read(tmp_path / "books", "mail")
    assert msgspec.json.decode(again.body) == {"mail_id": mail["message_id"]}


async def test_a_mail_in_doubt_is_not_sent_again(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server takes the mail and hangs up: every later delivery is refused as in doubt, and the mail stays one."""
    with running("mailsink", tmp_path / "books", "--drop-after-rate", "1") as sink:
        monkeypatch.setenv("SAGA_SMTP_URL", f"smtp://{sink.host}:{sink.port}")
        service = await Service(notifications.participant(), place).open()
        first = await service.do(MAIL)
        service.process("second")
        again = await service.do(MAIL, attempt=2)
        await service.database.close()
    assert [answer.code for answer in (first, again)] == [RefusedCode.IN_DOUBT, RefusedCode.IN_DOUBT]
    assert len(read(tmp_path / "books", "mail")) == 1
