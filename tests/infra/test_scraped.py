"""A real Prometheus scrapes real processes after an ordinary day: dashboards have data, alerts can be evaluated."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from saga.adapters.system import SystemIds
from saga.client import Client, Refused
from saga.core.metrics.catalogue import METRICS
from tests.infra.files import ROOT, Expression, alerts, expressions, labels_of, metric_of, named
from tests.infra.prometheus import PrivatePrometheus, Sample
from tests.integration.orders_place import Place, RunProcess
from tests.raw_amqp import publish_raw

MODULE = "tests.infra.desk"
SOON = timedelta(seconds=60)
EDITOR = "ada"
FAULTS = {
    "saga.reply.late",
    "saga.reply.contradictory",
    "saga.step.replayed",
    "saga.participant.replayed",
    "saga.participant.given_back",
    "saga.dispatch.unconfirmed",
    "saga.commit.conflicts",
    "saga.step.cost_unreadable",
}
"""They count what only a fault makes; that they are counted is tested where the faults are made."""


class ServeProcess(RunProcess):
    """`saga serve` of the desk, with a database in its folder."""

    command = "serve"

    def __init__(self, place: Place, folder: Path) -> None:
        super().__init__(place, folder, f"{MODULE}:desk", "--migrate", "--database", f"sqlite:///{folder}/desk.db")


@pytest.mark.timeout(300)
async def test_dashboards_have_data_and_alerts_are_evaluated(
    database: str, vhost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each expression of infra/, on what `saga run` and `saga serve` really show."""
    monkeypatch.setenv("SAGA_GATEWAYS", "guest")
    monkeypatch.setenv("SAGA_APPROVERS", f"{EDITOR}=editor")
    place = Place(database, vhost)
    async with place.store() as store:
        await store.migrate()
    await place.declare(["guest"])
    async with running(place, tmp_path) as targets:
        folder = tmp_path / "prometheus"
        folder.mkdir()
        with PrivatePrometheus(folder, targets) as prometheus:
            await asyncio.to_thread(prometheus.until, "saga_ready == 1", lambda found: len(found) == len(targets))
            await ordinary_day(place)
            await asyncio.to_thread(look, prometheus)


@asynccontextmanager
async def running(place: Place, folder: Path) -> AsyncIterator[list[str]]:
    """An orchestrator and a participant, ready; where they show their metrics."""
    async with AsyncExitStack() as stack:
        processes = [RunProcess(place, folder / "run", "--publish", MODULE), ServeProcess(place, folder / "serve")]
        for process in processes:
            stack.callback(process.process.kill9)
        for process in processes:
            await process.ready()
        yield [process.health for process in processes]


async def ordinary_day(place: Place) -> None:
    """Trips of every mood; some know what they want twice, and some write nonsense."""
    async with place.bus("day") as bus, place.store() as store:
        client = Client(bus, SystemIds(), name="day", lookup=store)
        moods = ("fine", "poor", "closed")
        started = [await client.start("trip", {"id": f"t-{n}", "mood": mood}) for n, mood in enumerate(moods)]
        waiting = [await client.start("trip", {"id": f"a-{n}", "mood": "fine", "asked": True}) for n in range(2)]
        await client.start("trip", {"id": "t-0", "mood": "fine"})
        with pytest.raises(Refused):
            await client.start("journey", {"id": "j-1"})
        await publish_raw(place.amqp, 0, b"", b"nonsense", b"guest.Hold.v1")
        await publish_raw(place.amqp, 0, b"", b"nonsense", b"guest.ok", exchange=b"saga.replies")
        for each in started[:2]:
            await client.result(each, within=SOON)
        await asyncio.to_thread(release, place, started[2].saga)
        digest = await asyncio.to_thread(digest_of, place, waiting[0].saga)
        await client.approve(waiting[0].saga, "review", digest=digest, approver=EDITOR)
        await client.result(waiting[0], within=SOON)
        await client.close()


def digest_of(place: Place, saga: str) -> str:
    """Of what an editor is asked."""
    return str(json.loads(operate(place, "approvals", "show", saga, "review", "-o", "json"))["digest"])


def release(place: Place, saga: str) -> None:
    """An operator has the parked step tried again, as soon as it is parked."""
    until = time.monotonic() + SOON.total_seconds()
    while json.loads(operate(place, "show", saga, "-o", "json"))["status"] != "parked":
        assert time.monotonic() < until
    operate(place, "resolve", saga, "hold", "retry", "--reason", "it is open again")


def operate(place: Place, *arguments: str) -> str:
    """What the command line prints."""
    command = [sys.executable, "-m", "saga.cli", "--store", place.dsn, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def look(prometheus: PrivatePrometheus) -> None:
    """What is shown has data, what is counted has the labels it is said to have, and what is parked alerts."""
    for each in shown():
        prometheus.until(each.text, bool)  # a rate needs a second look
    samples = prometheus.query('{__name__=~"(saga|messaging)_.+"}')
    strange = {each.labels["__name__"] for each in samples if set(each.labels) - {"__name__"} - labels(each)}
    assert strange == set()
    counted = {metric_of(each.labels["__name__"]) for each in samples}
    assert {metric.name for metric in METRICS if metric not in counted} <= FAULTS
    rules = {rule["name"]: rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]}
    assert set(rules) == {rule["alert"] for rule in alerts()}
    assert {name: rule["lastError"] for name, rule in rules.items() if rule["health"] != "ok"} == {}
    for name in ("SagaParked", "SagaMessagesParked"):  # the facts of the store are read every 15 s, or less often
        prometheus.until(f'ALERTS{{alertname="{name}"}}', bool)
    alerting = prometheus.ask("alerts")["alerts"]
    assert [each["annotations"] for each in alerting if "<error" in str(each["annotations"])] == []


def labels(sample: Sample) -> set[str]:
    """What the catalogue says it may have: an empty one is none."""
    return set(labels_of(sample.labels["__name__"]) or ())


def shown() -> Iterator[Expression]:
    """Of dashboards, but for what only faults make."""
    for each in expressions():
        metrics = {metric_of(series) for series, _ in named(each.text).series}
        if ": " in each.where and not {metric.name for metric in metrics if metric is not None} & FAULTS:
            yield each
