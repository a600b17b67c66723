"""Evidence is read from the tables and books that services, world and engine really write."""

import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from contracts.inventory import Line, ReleaseStock, ReserveStock
from contracts.payments import ChargeCard, RefundCharge
from saga.contract import Undone
from services.inventory.handlers import release, reserve
from services.payments.handlers import charge, refund
from services.world.books import Books
from tests.acceptance.audit import Evidence, Kill, audit
from tests.acceptance.evidence import Places, gather
from tests.unit.services.tables import SERVICES, Tables

ROOT = SERVICES.parent
INBOX = ROOT / "saga/adapters/sqlite/migrations/inbox/0001_inbox.sql"
ENGINE = ROOT / "saga/adapters/sqlite/migrations/engine/0001_journal.sql"
SAGA = "00000000-0000-7000-8000-00000000000"


class Run:
    """The traces of one small run: one order done, one undone, one in doubt about its mail."""

    def __init__(self, folder: Path) -> None:
        self.service = Tables(str(folder / "services.db")).migrate("inventory").migrate("payments")
        self.service.connection.executescript(INBOX.read_text())
        self.store = sqlite3.connect(folder / "store.db", isolation_level=None)
        self.store.executescript(ENGINE.read_text())
        self.carrier, self.mail, self.log = (Books(folder / name) for name in ("carrier", "mail", "log"))
        services = f"sqlite:///{folder}/services.db"
        self.places = Places(
            store=f"sqlite:///{folder}/store.db",
            inventory=services,
            payments=services,
            inboxes=(services, services),
            carrier=folder / "carrier",
            mail=folder / "mail",
            log=folder / "log",
        )

    async def order(self, number: int, status: str) -> str:
        order = f"run-{number}"
        self.log.write("asked", order=order, total_cents=500, unit_count=2)
        self.log.write("accepted", order=order, saga=f"{SAGA}{number}", existing=False, sendings=1)
        columns = "id, name, start_key, input_hash, root, definition, version, status, wait_kind, wait_text, tags"
        self.store.execute(
            f"insert into sagas ({columns}) values (?1, 'order', ?2, x'', ?1, '', 1, ?3, '', 'a reason', '')",
            (f"{SAGA}{number}", f"k:{order}", status),
        )
        lines = (Line("sku-1", 2),)
        await reserve(ReserveStock(order, lines), self.service.context(key=f"{order}-r", step="reserve"))
        return order

    def parked(self, number: int) -> None:
        events = [
            (1_000, [{"event": "CommandIssued", "path": "confirm"}]),
            (3_000, [{"event": "StepParked", "path": "confirm", "kind": "action", "code": "in-doubt", "text": "?"}]),
        ]
        for version, (at, data) in enumerate(events):
            self.store.execute(
                "insert into history (saga, version, cause, at, data) values (?1, ?2, '', ?3, ?4)",
                (f"{SAGA}{number}", version, at, msgspec.json.encode(data)),
            )

    def close(self) -> None:
        self.service.connection.close()
        self.store.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Empty tables and books."""
    made = Run(tmp_path)
    yield made
    made.close()


async def traced(run: Run) -> Evidence:
    done, undone, doubt = [
        await run.order(number, status) for number, status in enumerate(["completed", "compensated", "parked"])
    ]
    for order in (done, undone, doubt):
        paid = await charge(ChargeCard(order, "ann", Decimal(5)), run.service.context(key=f"{order}-c", step="charge"))
        if order == undone:
            remembered = Undone(command=b"{}", reply=msgspec.json.encode(paid))
            back = run.service.context(key=f"{order}-f", step="charge", undone=remembered)
            await refund(RefundCharge(charge_id=None, reason="undone"), back)
            await release(ReleaseStock(order), run.service.context(key=f"{order}-l", step="reserve"))
        else:
            run.carrier.write("request", reference=f"{order}-b", order_id=order, behaviour="book")
            run.carrier.write("book", reference=f"{order}-b", order_id=order, tracking="t")
    run.mail.write("mail", idempotency_key="k", reference=done, to="a@example.org")
    run.parked(2)
    run.service.rows("insert into saga_inbox (key, status, recorded_at, forget_at) values ('k', 'cancelled', 0, 0)")
    return await gather(run.places, (Kill(process="notifications-1", at_ns=2_000_000),))


async def test_a_real_run_is_read_and_found_clean(run: Run) -> None:
    """What handlers, carrier, sink and driver wrote adds up; each inbox counts once, however many services share it."""
    report = audit(await traced(run))
    assert report.problems == ()
    assert report.counts["tombstones"] == 1
    assert (report.counts["do charge"], report.counts["undo charge"], report.counts["do confirm"]) == (3, 1, 1)
    assert (report.counts["completed"], report.counts["compensated"], report.counts["parked"]) == (1, 1, 1)


async def test_a_handler_run_twice_is_found_in_the_tables(run: Run) -> None:
    """A repeat that no inbox stopped shows up as an effect twice, and as money and stock that are off for the order."""
    await traced(run)
    again = ChargeCard("run-0", "ann", Decimal(5))
    await charge(again, run.service.context(key="run-0-c", step="charge"))
    problems = {problem.check for problem in audit(await gather(run.places, ())).problems if problem.order == "run-0"}
    assert problems == {"no_effect_twice", "no_effect_stands_twice"}


async def test_a_booking_of_nobody_is_found_on_the_books(run: Run) -> None:
    """The carrier's own books show an orphan."""
    await traced(run)
    run.carrier.write("book", reference="x", order_id="run-9", tracking="t")
    problems = audit(await gather(run.places, ())).problems
    assert ("no_orphans", "run-9") in {(problem.check, problem.order) for problem in problems}
