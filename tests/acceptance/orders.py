"""The acceptance run: orders through real servers and real processes, while everything that can die is killed.

    python -m tests.acceptance.orders [--orders 1000] [--seconds 90] [--seed N] [--quiet]

Two orchestrators and four services, each a process; a driver and a gremlin beside them. Every second one of the
six is killed -9; once the broker is restarted, and once it loses all its data. Then the killing stops, what is open
comes to its end, and the auditor judges from the ledgers. Exit code 0: nothing was found, and enough went wrong.
"""

import argparse
import asyncio
import os
import random
import tempfile
import time
from pathlib import Path

import msgspec

from tests.acceptance.audit import Problem, Report, audit
from tests.acceptance.evidence import gather, rows
from tests.acceptance.town import Town, Troubles
from tests.servers import PrivateRabbit

KILL_EVERY_SECONDS = 1.0
RESTART_AFTER_SECONDS = 0.3
SETTLE_SECONDS_MAX = 1_500
"""Longest back-off of a step is 5 minutes, and an open order may need several."""
MINIMUM = {"kills": 60, "undone orders": 150, "replays": 100, "unknowns undone": 30, "tombstones": 5}
"""Below these the run proves nothing."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How large, and how bad."""

    orders: int = 1000
    seconds: float = 90.0
    seed: int = 0
    kill: bool = True
    broker_restart_at: float | None = 0.4
    """Share of the time at which the broker is restarted."""
    broker_wipe_at: float | None = 0.7
    duplicate_rate: float = 0.1
    steal: bool = True
    """Whether messages are delayed and lost, not only duplicated."""
    lose_rate: float = 0.15
    minimum: dict[str, int] = msgspec.field(default_factory=lambda: dict(MINIMUM))


async def run(plan: Plan, town: Town) -> Report:
    """Go through with it, in a town that is open. Returns the auditor's verdict, with what made the run hard."""
    fleet = town.fleet
    stats = town.folder / "gremlin.json"
    _add_driver(plan, town)
    queues = ["saga.replies", *(f"saga.commands.{name}" for name in town.piece.services)] if plan.steal else []
    fleet.add(
        "gremlin", "tests.acceptance.gremlin", "--url", town.amqp("gremlin"), "--stats", str(stats),
        f"--duplicate-rate={plan.duplicate_rate}", f"--lose-rate={plan.lose_rate}", f"--seed={plan.seed}",
        "--steal-from", *queues,
    )  # fmt: skip
    fleet.start()
    troubles = [_break_broker(plan, town), kill_on(town, plan.seconds, plan.seed, kill=plan.kill)]
    await asyncio.gather(*troubles, asyncio.sleep(plan.seconds))
    fleet.members["gremlin"].terminate()
    await settled(town, within_seconds=SETTLE_SECONDS_MAX)
    report = judged(audit(await gather(town.places, tuple(fleet.kills))), stats, plan.minimum)
    return msgspec.structs.replace(report, counts={**report.counts, "ended by themselves": len(fleet.revived)})


async def settled(town: Town, *, within_seconds: float) -> None:
    """Wait until the driver is answered and no saga moves; the auditor says so when that takes too long."""
    until = time.monotonic() + within_seconds
    moving = "select count(*) from sagas where name = 'order' and status in ('running', 'compensating')"
    while time.monotonic() < until:
        town.fleet.revive(town.pulse)
        if not town.fleet.members["driver"].running and not (await rows(town.places.store, moving))[0][0]:
            return
        await asyncio.sleep(1)


def judged(report: Report, stats: Path, minimum: dict[str, int]) -> Report:
    """The verdict, with what went by on the wire, and a problem for everything there was too little of."""
    seen = msgspec.json.decode(stats.read_bytes(), type=dict[str, int]) if stats.exists() else {}
    counts = {**seen, **report.counts}
    vacuous = tuple(
        Problem("enough_went_wrong", "", f"{name}: {counts.get(name, 0)}, wanted at least {wanted}")
        for name, wanted in minimum.items()
        if counts.get(name, 0) < wanted
    )
    return Report(problems=(*report.problems, *vacuous), counts=counts)


def _add_driver(plan: Plan, town: Town) -> None:
    town.fleet.add(
        "driver", "tests.acceptance.driver", "--url", town.amqp("driver"), "--log", str(town.places.log),
        f"--orders={plan.orders}", f"--seconds={plan.seconds}", f"--seed={plan.seed}", "--patience-seconds=300",
    )  # fmt: skip


async def kill_on(town: Town, seconds: float, seed: int, *, kill: bool = True) -> None:
    """Kill one of the pulse every second, and start again whatever does not run."""
    chance = random.Random(seed)
    begun = time.monotonic()
    while time.monotonic() < begun + seconds:
        await asyncio.sleep(KILL_EVERY_SECONDS - RESTART_AFTER_SECONDS)
        town.fleet.revive(town.pulse)
        if kill:
            name = chance.choice(town.pulse)
            await asyncio.to_thread(town.fleet.kill, name)
            await asyncio.sleep(RESTART_AFTER_SECONDS)
            await asyncio.to_thread(town.fleet.members[name].start)


async def _break_broker(plan: Plan, town: Town) -> None:
    """Restart it once, and once wipe it."""
    begun = time.monotonic()
    for share, harm in ((plan.broker_restart_at, _restart), (plan.broker_wipe_at, town.rabbit.wipe)):
        if share is not None:
            await asyncio.sleep(max(0.0, begun + plan.seconds * share - time.monotonic()))
            await asyncio.to_thread(harm, *((town.rabbit,) if harm is _restart else ()))


def _restart(rabbit: PrivateRabbit) -> None:
    rabbit.stop()
    rabbit.start()


def main(arguments: list[str] | None = None) -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.orders", description="The acceptance run.")
    parser.add_argument("--orders", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=None, help="keeps books and logs [default: a temporary one]")
    parser.add_argument("--quiet", action="store_true", help="kill nothing, lose nothing, and ask for no minimum")
    given = parser.parse_args(arguments)
    plan = Plan(orders=given.orders, seconds=given.seconds, seed=given.seed)
    troubles = Troubles()
    if given.quiet:
        plan = msgspec.structs.replace(
            plan, kill=False, broker_restart_at=None, broker_wipe_at=None, duplicate_rate=0, steal=False, minimum={}
        )
    folder = given.folder or Path(tempfile.mkdtemp(prefix="saga-orders-"))
    folder.mkdir(parents=True, exist_ok=True)
    town = Town(folder, troubles)
    try:
        town.open()
        pids = {name: member.pid for name, member in town.fleet.members.items()}
        print(
            f"RabbitMQ {town.rabbit.version}, PostgreSQL {town.postgres.version}, this is {os.getpid()}: {pids}",
            flush=True,
        )
        report = asyncio.run(run(plan, town))
    finally:
        town.close()
    print(f"folder {folder}")
    report.print()
    raise SystemExit(0 if report.clean else 1)


if __name__ == "__main__":
    main()
