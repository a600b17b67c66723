"""A run of one reference process in which people decide: real servers, a process for each part, kill -9 all the time.

    python -m tests.acceptance.piece hr-onboarding|agency-outreach [--sagas 42] [--seconds 18] [--seed N]

Sagas are started by one user and decided on through another, the gateway; services and orchestrators are killed at
random. Then what is open comes to its end, and the auditor judges from the ledgers. Exit code 0: nothing was found,
and enough happened.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from saga.bootstrap.brokers import open_bus
from saga.client import Client
from saga.core.inputs import Resolve, Verdict
from saga.engine.operate import NotPossible, operate
from saga.stores import CLOCK, IDS, open_store
from tests.acceptance import crowd
from tests.acceptance.crowd import PEOPLE, REQUESTER, STRANGER, Case
from tests.acceptance.evidence import rows
from tests.acceptance.orders import kill_on
from tests.acceptance.piece_audit import Story, audited, gathered
from tests.acceptance.town import Town, Troubles

SETTLE_SECONDS_MAX = 90
TROUBLES = Troubles(transient_rate=0.05, slow_rate=0.5)
TEMPLATE = "insert into templates (segment, subject, body) values ('space', 'Up to {company}', 'Dear {name}, {facts}')"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How large, and how bad."""

    story: Story
    case: Callable[[int], Case]
    role: str
    """Of those who may decide."""
    sagas: int = 42
    seconds: float = 18.0
    seed: int = 0
    minimum: dict[str, int] = {}
    """Below these the run proves nothing."""


HIRES = Plan(
    story=Story(
        name="hr-onboarding",
        ledgers={"accounts": ("account", "privileges"), "workplace": ("desk", "badge")},
        mail_step="welcome",
        steps=("account", "privileges", "desk", "badge", "welcome"),
        approved_step="privileges",
        edited=crowd.LESS,
        doomed=frozenset({crowd.Wish.LATE}),
    ),
    case=crowd.hire,
    role="it-security",
    minimum={"kills": 8, "completed": 18, "compensated": 12, "undo account": 12, "undo privileges": 4, "undo desk": 1},
)
LEADS = Plan(
    story=Story(
        name="agency-outreach",
        ledgers={"documents": ("brief",), "drafting": ("draft",)},
        mail_step="send",
        steps=("brief", "draft", "send", "crm"),
        approved_step="send",
        edited=(crowd.BETTER,),
    ),
    case=crowd.lead,
    role="editor",
    minimum={"kills": 8, "completed": 22, "compensated": 6, "undo brief": 6, "undo draft": 6, "resumed": 6},
)
HEARD = {"refused requester": 30, "refused not-allowed": 30, "refused already-decided": 6, "edited": 4}
"""The same for both: what people were told."""
PLANS = {plan.story.name: plan for plan in (HIRES, LEADS)}


def town_of(folder: Path, plan: Plan) -> Town:
    """Where it takes place. The requester has the role that decides, and still may not."""
    people = dict.fromkeys((*PEOPLE, REQUESTER), (plan.role,)) | {STRANGER: ("cook",)}
    return Town(folder, TROUBLES, piece=plan.story.name, people=people)


async def run(plan: Plan, town: Town) -> tuple[list[str], dict[str, int]]:
    """Go through with it, in a town that is open. Returns the auditor's problems, and counts of what happened."""
    books = town.folder / "people.jsonl"
    town.fleet.add(
        "approver", "tests.acceptance.approver", "--url", town.amqp("desk"), "--store", town.store,
        "--books", str(books),
    )  # fmt: skip
    town.fleet.start()
    cases = [plan.case(number) for number in range(plan.sagas)]
    killing = asyncio.ensure_future(kill_on(town, plan.seconds, plan.seed))
    sagas = await _start_all(plan, town, cases)
    await killing
    resumed = await _settled(town, len(cases))
    town.fleet.members["approver"].terminate()
    evidence = await gathered(plan.story, town, sagas)
    problems, counts = audited(plan.story, cases, evidence)
    counts["resumed"] = resumed
    wanted = {**plan.minimum, **HEARD}
    problems += [f"too little: {name} {counts.get(name, 0)} < {least}" for name, least in wanted.items()
                 if counts.get(name, 0) < least]  # fmt: skip
    return problems, counts


async def _start_all(plan: Plan, town: Town, cases: list[Case]) -> dict[str, str]:
    """Start every saga, spread over half of the time, every third twice; returns their ids by business key."""
    bus = await open_bus(town.amqp("driver"), name="driver")
    client = Client(bus, IDS, name="driver")
    sagas: dict[str, str] = {}

    async def start(number: int, case: Case) -> None:
        await asyncio.sleep(plan.seconds * 0.5 * number / len(cases))
        for _ in range(2 if number % 3 == 0 else 1):
            started = await client.start(plan.story.name, case.body, key=case.key)
            assert sagas.setdefault(case.key, started.saga) == started.saga, f"{case.key} is two sagas"

    try:
        await asyncio.gather(*(start(number, case) for number, case in enumerate(cases)))
    finally:
        await client.close()
        await bus.close()
    return sagas


async def _settled(town: Town, count: int) -> int:
    """Wait until no saga moves; what then waits for a template gets it. Returns how many were resumed."""
    resumed: set[str] = set()
    until = time.monotonic() + SETTLE_SECONDS_MAX
    moving = "select count(*) from sagas where parent is null and status in ('running', 'compensating')"
    while time.monotonic() < until:
        town.fleet.revive([*town.pulse, "approver"])
        if not (await rows(town.store, moving))[0][0]:
            parked = await _parked_drafts(town)
            if not parked:
                break
            if not resumed:
                await rows(town.database("drafting"), TEMPLATE)
            resumed |= await _resume(town, parked)
        await asyncio.sleep(0.5)
    assert (await rows(town.store, "select count(*) from sagas where parent is null"))[0][0] == count
    return len(resumed)


async def _parked_drafts(town: Town) -> list[str]:
    found = await rows(
        town.store, "select id from sagas where status = 'parked' and wait_text like '%draft is exhausted%'"
    )
    return [str(saga) for (saga,) in found]


async def _resume(town: Town, parked: list[str]) -> set[str]:
    """As `saga resolve SAGA draft retry` does."""
    resumed: set[str] = set()
    store = await open_store(town.store)
    try:
        for saga in parked:
            again = Resolve(
                now=CLOCK.now(), path="draft", verdict=Verdict.RETRY, actor="olga", reason="there is a template now"
            )
            try:
                await operate(store, CLOCK, saga, again)
            except NotPossible as moved:
                print(f"{saga}: {moved}", flush=True)
            else:
                resumed.add(saga)
    finally:
        await store.close()
    return resumed


def main(arguments: list[str] | None = None) -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.acceptance.piece", description="People decide, all else dies."
    )
    parser.add_argument("piece", choices=list(PLANS))
    parser.add_argument("--sagas", type=int, default=42)
    parser.add_argument("--seconds", type=float, default=18.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    plan = msgspec.structs.replace(PLANS[given.piece], sagas=given.sagas, seconds=given.seconds, seed=given.seed)
    folder = Path(tempfile.mkdtemp(prefix="saga-piece-"))
    begun = time.monotonic()
    town = town_of(folder, plan)
    try:
        town.open()
        print(f"RabbitMQ {town.rabbit.version}, PostgreSQL {town.postgres.version}", flush=True)
        problems, counts = asyncio.run(run(plan, town))
    finally:
        town.close()
    print(f"folder {folder}, {time.monotonic() - begun:.0f} s")
    for name, count in sorted(counts.items()):
        print(f"{count:8}  {name}")
    for problem in problems:
        print(problem)
    raise SystemExit(1 if problems else 0)


if __name__ == "__main__":
    main()
