"""Costs over a real broker, told by a bare AMQP client: recorded once, exactly; no reason to lose an answer."""

import asyncio
import urllib.request
from collections.abc import AsyncIterator
from decimal import Decimal

import msgspec
import pytest
import pytest_asyncio

from saga import wire
from saga.adapters.system import SystemClock
from saga.client import Started
from saga.core import events as e
from saga.core.messages import Outcome, ReplyEffect
from saga.cost import Cost
from saga.engine.lookup import SagaDetail, describe
from tests.builders import reply
from tests.integration.hostile_scene import IDS, Letter, Scene, letter, staged
from tests.integration.orders_place import SOON, SOON_SECONDS, order
from tests.servers import PostgresServer, RabbitServer

pytestmark = pytest.mark.asyncio(loop_scope="module")
SAID = "the cost of a reply cannot be read"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    postgres: PostgresServer, rabbit: RabbitServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    """One orchestrator process; the step `ask` is answered by the tests with a bare client."""
    async with staged(postgres, rabbit, tmp_path_factory.mktemp("costs")) as scene:
        yield scene


async def asked(scene: Scene, outcome: Outcome = Outcome.OK, **fields: object) -> tuple[Started[msgspec.Raw], Letter]:
    """A saga that waits for an answer, and that answer as any client may write it."""
    started = await scene.caller.start("victim", order(IDS.message()), within=SOON)
    return started, await answer_to(scene, outcome, **fields)


async def answer_to(scene: Scene, outcome: Outcome, **fields: object) -> Letter:
    """The answer to the command that waits."""
    effect = ReplyEffect.APPLIED if outcome is Outcome.OK else ReplyEffect.NONE
    return letter(wire.reply_to_wire(reply(await scene.command(), outcome, effect=effect, **fields)))


async def ended(scene: Scene, started: Started[msgspec.Raw]) -> SagaDetail:
    """The saga as people see it, once it has completed."""
    assert (await scene.caller.result(started, within=SOON)).status == "completed"
    detail = await describe(scene.store, SystemClock(), started.saga)
    assert detail is not None
    return detail


async def recorded(scene: Scene, saga: str) -> list[tuple[str, Cost]]:
    """What its history has of costs."""
    rows = await scene.store.history(saga, 0)
    return [
        (type(event).__name__, event.cost)
        for row in rows
        for event in e.decode(row.data)
        if isinstance(event, e.Costly) and event.cost is not None
    ]


async def shown(scene: Scene, line: str) -> None:
    """Wait until the process shows this to Prometheus: it counts what it committed right after."""
    async with asyncio.timeout(SOON_SECONDS):
        while line not in await asyncio.to_thread(_page, scene.process.health):
            await asyncio.sleep(0.02)


def _page(health: str) -> str:
    with urllib.request.urlopen(f"http://{health}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


async def test_what_a_bare_client_tells_is_recorded_once(scene: Scene) -> None:
    """A try in vain and an answer, both twice; spelt as somebody else spells them; the sum is exact."""
    started, vain = await asked(scene, Outcome.RETRY, code="bad-output")
    vain = vain.with_headers(saga_cost="0.1 USD,1000 tokens")
    await scene.send(vain, vain)
    done = (await answer_to(scene, Outcome.OK)).with_headers(saga_cost="0.20 USD, 520 tokens")
    await scene.send(done, vain, done.with_headers(saga_effect="replayed"), done)
    detail = await ended(scene, started)
    assert await recorded(scene, started.saga) == [
        ("AttemptEnded", {"USD": Decimal("0.1"), "tokens": Decimal(1000)}),
        ("StepSucceeded", {"USD": Decimal("0.2"), "tokens": Decimal(520)}),
    ]
    assert detail.cost == {"USD": Decimal("0.3"), "tokens": Decimal(1520)}
    assert msgspec.json.decode(msgspec.json.encode(detail))["cost"] == {"USD": "0.3", "tokens": "1520"}
    await shown(scene, 'saga_step_cost_total{definition="victim",kind="action",step="ask",unit="tokens"} 1520.0')
    await scene.healthy()


UNREADABLE: dict[str, object] = {
    "no unit": "0.0123",
    "another language": "0,0123 USD",
    "below zero": "-1 USD",
    "an exponent": "1e3 USD",
    "a unit twice": "1 USD, 1 USD",
    "JSON": '{"USD": 1}',
    "a sentence": "hunter2 would like to be paid",
    "nine units": ", ".join(f"1 u{number}" for number in range(9)),
    "1,000 units": ", ".join(f"1 u{number}" for number in range(1_000)),
    "digits without end": "9" * 5_000 + " USD",
    "a number": 5,
    "a table": {"USD": 5},
    "a list": [1, "USD"],
    "nothing": None,
    "a NUL": "1 U\0SD",
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_cannot_be_read_loses_no_answer(scene: Scene, name: str) -> None:
    """The answer counts, its cost is in no sum; a log line and the history say so, without what was sent."""
    parked = len(await scene.parked())
    started, done = await asked(scene)
    await scene.send(done.with_headers(saga_cost=UNREADABLE[name]))
    detail = await ended(scene, started)
    assert await recorded(scene, started.saga) == [("StepSucceeded", {})]
    assert (detail.cost, detail.costs_unreadable) == ({}, 1)
    async with asyncio.timeout(SOON_SECONDS):
        while SAID not in scene.process.log:  # a few lines of a kind a minute are written, whoever sends how many
            await asyncio.sleep(0.02)
    assert "hunter2" not in scene.process.log
    assert len(await scene.parked()) == parked
    await scene.healthy()


async def test_an_empty_cost_is_none(scene: Scene) -> None:
    """As with every header: nothing is said, so nothing is missing."""
    started, done = await asked(scene)
    await scene.send(done.with_headers(saga_cost=""))
    detail = await ended(scene, started)
    assert (detail.cost, detail.costs_unreadable) == ({}, 0)
