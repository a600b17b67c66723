"""The acceptance run of branches: customers are taken on through real servers while everything that can die is killed.

    python -m tests.acceptance.customers [--customers 1000] [--seconds 90] [--seed N]

Two orchestrators and five services, each a process, one of which is killed -9 every second; messages are duplicated,
delayed and lost, and the cloud refuses late, hangs up and is slow. Then the killing stops, what is open comes to its
end, and the auditor judges from the ledgers. Exit code 0: nothing was found, and enough went wrong.
"""

import argparse
import asyncio
import contextlib
import random
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import msgspec

from saga.bootstrap.brokers import open_bus
from saga.client import Client, Refused
from saga.stores import IDS
from tests.acceptance.audit import Asked, Report
from tests.acceptance.customers_audit import PIECE, audited, gather
from tests.acceptance.evidence import rows
from tests.acceptance.orders import judged, kill_on
from tests.acceptance.town import Town, Troubles

SETTLE_SECONDS_MAX = 600
WITHIN = timedelta(seconds=120)
MINIMUM = {
    "kills": 0.1, "completed": 0.2, "compensated": 0.2, "undo machine": 0.1, "undo mailbox": 0.1, "asked again": 0.04,
    "lost": 0.03, "replays": 0.02, "unknowns undone": 0.02,
}  # fmt: skip
"""Below these the run proves nothing: shares of the customers."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How large, and how bad."""

    customers: int = 60
    seconds: float = 12.0
    seed: int = 0
    duplicate_rate: float = 0.1
    lose_rate: float = 0.05
    """Of what is stolen: about half of all messages."""

    def minimum(self) -> dict[str, int]:
        """Counts."""
        return {name: max(1, int(share * self.customers)) for name, share in MINIMUM.items()}


class Customer(msgspec.Struct, frozen=True):
    """One customer to take on."""

    id: str
    body: bytes
    fee_cents: int
    cancel_after_seconds: float | None


def customer(number: int, seed: int) -> Customer:
    """Customer `number` of a run. Their fate is in their data; the cloud refuses a share on top."""
    chance = random.Random(f"{seed}/{number}")
    fate = chance.choices(["", "declined", "blocked", "postmaster", "aq"], weights=[80, 5, 4, 5, 6])[0]
    fee_cents = chance.randint(1_000, 90_000)
    customer_id = f"customer-{number:05d}"
    name = f"{fate}-{number}" if fate in {"declined", "blocked"} else f"name-{number}"
    body = {
        "customer_id": customer_id,
        "name": name,
        "email": f"{name}@example.org",
        "mailbox": "postmaster" if fate == "postmaster" else f"box{number}",
        "region": "aq-south" if fate == "aq" else chance.choice(["eu-west", "us-east"]),
        "fee": f"{fee_cents // 100}.{fee_cents % 100:02d}",
    }
    cancel = chance.random() * 0.6 if chance.random() < 0.1 else None
    return Customer(customer_id, msgspec.json.encode(body), fee_cents, cancel)


async def run(plan: Plan, town: Town) -> Report:
    """Go through with it, in a town that is open. Returns the auditor's verdict, with what made the run hard."""
    stats = town.folder / "gremlin.json"
    queues = ["saga.replies", *(f"saga.commands.{name}" for name in town.piece.services)]
    town.fleet.add(
        "gremlin", "tests.acceptance.gremlin", "--url", town.amqp("gremlin"), "--stats", str(stats),
        f"--duplicate-rate={plan.duplicate_rate}", f"--lose-rate={plan.lose_rate}", f"--seed={plan.seed}",
        "--delay-seconds-max=1", "--steal-from", *queues,
    )  # fmt: skip
    town.fleet.start()
    killing = asyncio.ensure_future(kill_on(town, plan.seconds, plan.seed))
    asked = await _start_all(plan, town)
    await killing
    town.fleet.members["gremlin"].terminate()
    await _settled(town)
    return judged(audited(await gather(town, asked)), stats, plan.minimum())


async def _start_all(plan: Plan, town: Town) -> list[Asked]:
    """Start everybody, spread over most of the time, every fourth twice; some change their mind."""
    bus = await open_bus(town.amqp("driver"), name="driver")
    client = Client(bus, IDS, name="driver")

    async def start(number: int) -> list[Asked]:
        await asyncio.sleep(plan.seconds * 0.8 * number / plan.customers)
        new = customer(number, plan.seed)
        times = 2 if number % 4 == 0 else 1
        found = await asyncio.gather(*(client.start(PIECE, new.body, key=new.id, within=WITHIN) for _ in range(times)))
        if new.cancel_after_seconds is not None:
            await asyncio.sleep(new.cancel_after_seconds)
            await _cancel(client, found[0].saga)
        return [Asked(order=new.id, saga=each.saga, total_cents=new.fee_cents, unit_count=0) for each in found]

    try:
        return [asked for found in await asyncio.gather(*map(start, range(plan.customers))) for asked in found]
    finally:
        await client.close()
        await bus.close()


async def _cancel(client: Client, saga: str) -> None:
    """It may come too late, or after the end: the auditor looks at what became of it."""
    with contextlib.suppress(Refused):
        await client.cancel(saga, "they changed their mind", within=WITHIN)


async def _settled(town: Town) -> None:
    """Wait until no saga moves; the auditor says so when that takes too long."""
    until = time.monotonic() + SETTLE_SECONDS_MAX
    moving = "select count(*) from sagas where status in ('running', 'compensating')"
    while time.monotonic() < until and (await rows(town.store, moving))[0][0]:
        town.fleet.revive(town.pulse)
        await asyncio.sleep(0.5)


def main(arguments: list[str] | None = None) -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.customers", description="Branches, and kills.")
    parser.add_argument("--customers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=None, help="keeps books and logs [default: a temporary one]")
    given = parser.parse_args(arguments)
    plan = Plan(customers=given.customers, seconds=given.seconds, seed=given.seed)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="saga-customers-"))
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    town = Town(folder, Troubles(), piece=PIECE)
    try:
        town.open()
        print(f"RabbitMQ {town.rabbit.version}, PostgreSQL {town.postgres.version}", flush=True)
        report = asyncio.run(run(plan, town))
    finally:
        town.close()
    print(f"folder {folder}, {time.monotonic() - begun:.0f} s")
    report.print()
    raise SystemExit(0 if report.clean else 1)


if __name__ == "__main__":
    main()
