"""What inventory does with its stock."""

import pytest

from contracts.inventory import Line, OutOfStock, ReleaseStock, ReserveStock, StockReleased, StockReserved
from services.inventory.handlers import release, reserve
from tests.unit.services.tables import Tables

LINES = (Line("sku-2", 3), Line("sku-1", 2))


@pytest.fixture
def shelf(tables: Tables) -> Tables:
    """Inventory's tables, with its shelf of products."""
    return tables.migrate("inventory")


def available(shelf: Tables, sku: str) -> int:
    found: int = shelf.rows("select available from stock where sku = $1", sku)[0][0]
    return found


async def test_reserve_takes_every_line_from_the_stock(shelf: Tables) -> None:
    """A reservation lowers what is available, line by line, and writes one effect under its key."""
    reply = await reserve(ReserveStock(order_id="o1", lines=LINES), shelf.context(key="k1", step="reserve"))
    assert reply == StockReserved(unit_count=5)
    assert (available(shelf, "sku-1"), available(shelf, "sku-2")) == (999_998, 999_997)
    effects = shelf.rows("select saga, step, kind, idempotency_key, subject, detail from inventory_effects")
    assert effects == [("saga-1", "reserve", "do", "k1", "o1", "5")]


async def test_a_refused_reservation_leaves_nothing_behind(shelf: Tables) -> None:
    """When one product falls short, nothing of the other lines stays taken and no effect is written."""
    refused = await reserve(ReserveStock(order_id="o1", lines=(*LINES, Line("sold-out", 1))), shelf.context())
    assert refused == OutOfStock(sku="sold-out", available_count=0)
    assert (available(shelf, "sku-1"), available(shelf, "sku-2")) == (1_000_000, 1_000_000)
    assert shelf.rows("select * from reservations") == []
    assert shelf.rows("select * from inventory_effects") == []


async def test_a_product_nobody_stocks_is_refused_by_name(shelf: Tables) -> None:
    """A product that is not on the shelf is as good as sold out."""
    refused = await reserve(ReserveStock(order_id="o1", lines=(Line("unicorn", 1),)), shelf.context())
    assert refused == OutOfStock(sku="unicorn", available_count=0)


async def test_one_product_on_two_lines_counts_twice(shelf: Tables) -> None:
    """Two lines of one product take both amounts, and neither when together they are too many."""
    half = Line("sku-1", 600_000)
    refused = await reserve(ReserveStock(order_id="o1", lines=(half, half)), shelf.context())
    assert refused == OutOfStock(sku="sku-1", available_count=1_000_000)
    reply = await reserve(ReserveStock(order_id="o1", lines=(Line("sku-1", 1), Line("sku-1", 2))), shelf.context())
    assert reply == StockReserved(unit_count=3)
    assert available(shelf, "sku-1") == 999_997


async def test_release_gives_back_only_what_the_order_holds(shelf: Tables) -> None:
    """A release returns the order's lines to the stock and leaves those of other orders alone."""
    await reserve(ReserveStock(order_id="o1", lines=LINES), shelf.context())
    await reserve(ReserveStock(order_id="o2", lines=LINES), shelf.context())
    reply = await release(ReleaseStock(order_id="o1"), shelf.context(key="k2", step="reserve"))
    assert reply == StockReleased(unit_count=5)
    assert (available(shelf, "sku-1"), available(shelf, "sku-2")) == (999_998, 999_997)
    assert shelf.rows("select kind, idempotency_key, detail from inventory_effects where kind = 'undo'") == [
        ("undo", "k2", "5")
    ]
