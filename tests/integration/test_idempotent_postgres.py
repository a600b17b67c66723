"""`assert_idempotent` over PostgreSQL: the reference services, killed at every await of their driver."""

from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from contracts.inventory import Line, ReleaseStock, ReserveStock
from contracts.payments import CardCharged, ChargeCard, RefundCharge
from saga.adapters.postgres.database import PostgresDatabase
from saga.contract import Context, Handler
from saga.participant import Participant
from saga.testing import NotIdempotent, assert_idempotent
from services import inventory, payments
from tests.unit.testing.till import TOTAL, Done, Pay, Unpay, unpay

Open = Callable[[Participant], Awaitable[PostgresDatabase]]


@pytest.fixture
async def opened(database: str) -> AsyncIterator[Open]:
    """Opens the service's database, with its tables."""
    made: list[PostgresDatabase] = []

    async def open_for(participant: Participant) -> PostgresDatabase:
        one = PostgresDatabase(database)
        made.append(one)
        await one.migrate(participant.service, participant.migrations)
        return one

    yield open_for
    for one in made:
        await one.close()


async def test_stock_is_held_once(opened: Open) -> None:
    """Two processes that share a server see each other's keys at once."""
    participant = inventory.participant()
    proven = await assert_idempotent(
        participant,
        lambda name: ReserveStock(order_id=name, lines=(Line(sku="sku-1", unit_count=2),)),
        effects="select sum(counted - available) from stock",
        undo=lambda cmd, _: ReleaseStock(order_id=cmd.order_id),
        database=await opened(participant),
    )
    assert proven.crashes > 20


async def test_money_moves_once(opened: Open) -> None:
    """The sum of bigints comes as a decimal, and is a whole number all the same."""
    participant = payments.participant()

    def refund(_: ChargeCard, charged: CardCharged | None) -> RefundCharge:
        return RefundCharge(charge_id=charged.charge_id if charged else None, reason="test")

    await assert_idempotent(
        participant,
        lambda name: ChargeCard(order_id=name, customer=name, amount=Decimal("19.90")),
        effects="select sum(balance_cents) from accounts where name = 'sales'",
        undo=refund,
        database=await opened(participant),
    )


async def test_a_handler_on_a_connection_of_its_own_is_caught(opened: Open) -> None:
    """Its effect is committed before the inbox's row: a crash in between does it twice."""
    database: PostgresDatabase

    async def pay_elsewhere(cmd: Pay, _: Context) -> Done:
        async with database.begin() as tx:
            await tx.execute("insert into payments values ($1, $2)", cmd.id, cmd.amount)
        return Done()

    handlers: list[Handler] = [Pay.handled_by(pay_elsewhere), Unpay.handled_by(unpay)]
    participant: Any = Participant("till", handlers)
    database = await opened(participant)
    async with database.begin() as tx:
        await tx.execute("create table payments (id text not null, amount bigint not null)")
    with pytest.raises(NotIdempotent, match="what an interrupted run did"):
        await assert_idempotent(
            participant,
            lambda name: Pay(id=name),
            effects=TOTAL,
            undo=lambda cmd, _: Unpay(id=cmd.id),
            database=database,
        )
