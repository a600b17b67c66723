"""What customers does with its accounts."""

import pytest

from contracts.customers import CloseCustomer, CreateCustomer, CustomerClosed, CustomerCreated, CustomerRefused
from saga.testing import assert_idempotent
from services import customers
from services.customers.handlers import close, create
from tests.unit.services.tables import Tables

CREATE = CreateCustomer(customer_id="c1", name="ann", email="ann@example.org")
OPEN = "select count(*) from customer_accounts where state = 'open'"


@pytest.fixture
def books(tables: Tables) -> Tables:
    """Its own tables."""
    return tables.migrate("customers")


async def test_an_account_is_opened_and_closed(books: Tables) -> None:
    """Both are effects in the ledger, under their keys; other customers keep theirs."""
    reply = await create(CREATE, books.context(key="k1", step="register"))
    assert isinstance(reply, CustomerCreated)
    await create(CreateCustomer(customer_id="c2", name="bo", email="bo@example.org"), books.context(key="k2"))
    assert await close(CloseCustomer(customer_id="c1"), books.context(key="k3")) == CustomerClosed(account_count=1)
    assert books.rows(OPEN) == [(1,)]
    assert books.rows("select kind, idempotency_key, subject, detail from customers_effects where subject = 'c1'") == [
        ("do", "k1", "c1", reply.account_id),
        ("undo", "k3", "c1", reply.account_id),
    ]


async def test_a_blocked_customer_leaves_nothing_behind(books: Tables) -> None:
    """A refusal is no effect."""
    blocked = CreateCustomer(customer_id="c1", name="blocked-ann", email="ann@example.org")
    assert isinstance(await create(blocked, books.context()), CustomerRefused)
    assert books.rows("select * from customers_effects") == books.rows("select * from customer_accounts") == []


async def test_twice_is_twice_in_the_ledger(books: Tables) -> None:
    """No handler and no table guards: what the inbox lets through twice is there for an auditor."""
    await create(CREATE, books.context(key="k1"))
    await create(CREATE, books.context(key="k1"))
    assert books.rows("select count(*) from customers_effects where idempotency_key = 'k1'") == [(2,)]


async def test_creating_survives_every_delivery() -> None:
    """There is one account, and none after the undo."""
    undo = CloseCustomer(customer_id="c1")
    proven = await assert_idempotent(customers.participant(), CREATE, effects=OPEN, undo=undo)
    assert proven.crashes > 10
