"""Metrics of real processes over real servers, held against the history and the participants' own ledgers."""

import asyncio
import hashlib
import os
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from saga.core import events as e
from saga.core.definition import Approval
from saga.core.expression import Object
from saga.core.metrics.catalogue import METRICS
from saga.core.metrics.shape import MetricKind
from saga.ports import Outgoing
from tests.builders import INPUT_ID, plan
from tests.integration.metered import HESITANT, SECRET
from tests.integration.orders_place import ROOT, SOON, SOON_SECONDS, Place, RunProcess, trusted
from tests.otlp import Backend, mute
from tests.servers.binaries import free_port
from tests.servers.process import ServerProcess

GOOD = [f"o-{number}" for number in range(6)]
BAD = [f"o-{number}-no" for number in range(3)]
OPEN = "o-open"
REVIEW = Approval(path="review", subject=Object({"order": INPUT_ID}), subject_type="object", roles=("editor",))
LETTER = plan(REVIEW, trusted("charge"), name="letter", key=INPUT_ID)

Labels = frozenset[tuple[str, str]]
Page = dict[tuple[str, Labels], float]


class ServeProcess(RunProcess):
    """`saga serve`."""

    def __init__(self, place: Place, folder: Path, target: str) -> None:
        self.database = folder / "own.sqlite"
        self.command = "serve"
        super().__init__(place, folder, "--database", f"sqlite:///{self.database}", "--migrate", target)

    def ledger(self) -> Counter[str]:
        """What it did, by its own book."""
        with sqlite3.connect(self.database) as book:
            return Counter(what for (what,) in book.execute("select what from effects"))


def text_of(health: str) -> str:
    with urllib.request.urlopen(f"http://{health}/metrics", timeout=5) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        return str(answer.read().decode())


def samples(text: str) -> Page:
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in found}


def total(page: Page, name: str, **labels: str) -> float:
    """The sum over every label set that has these labels."""
    return sum(value for (key, has), value in page.items() if key == name and labels.items() <= dict(has).items())


async def page_until(process: RunProcess, name: str, value: float, **labels: str) -> Page:
    """The page, as soon as it says so."""
    deadline = asyncio.get_running_loop().time() + SOON_SECONDS
    while True:
        page = samples(await asyncio.to_thread(text_of, process.health))
        if total(page, name, **labels) == value:
            return page
        assert asyncio.get_running_loop().time() < deadline, (name, labels, total(page, name, **labels))
        await asyncio.sleep(0.1)


@pytest.fixture
async def place(database: str, vhost: str) -> Place:
    """A migrated store and a declared broker."""
    place = Place(database, vhost)
    await place.prepare()
    return place


@asynccontextmanager
async def processes(place: Place, folder: Path) -> AsyncIterator[tuple[RunProcess, ServeProcess, ServeProcess]]:
    """An orchestrator and both participants, ready."""
    target = "tests.integration.metered"
    started = [
        RunProcess(place, folder / "run"),
        ServeProcess(place, folder / "reserve", f"{target}:reserving"),
        ServeProcess(place, folder / "charge", f"{target}:charging"),
    ]
    try:
        await asyncio.gather(*(process.ready() for process in started))
        run, reserve, charge = started
        assert isinstance(reserve, ServeProcess)
        assert isinstance(charge, ServeProcess)
        yield run, reserve, charge
    finally:
        for process in started:
            process.process.kill9()


async def history(place: Place) -> Counter[tuple[str, ...]]:
    """Every event of every saga, by what it is and whose."""
    found: Counter[tuple[str, ...]] = Counter()
    async with place.store() as store:
        for row in await place.rows():
            for commit in await store.history(row.saga):
                for event in e.decode(commit.data):
                    found[type(event).__name__, getattr(event, "path", ""), str(getattr(event, "kind", ""))] += 1
    return found


async def test_metrics_of_real_processes(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pages and backend say is what the history and the ledgers say; and no word that anybody chose is in it."""
    async with AsyncExitStack() as stack:
        backend = stack.enter_context(Backend())
        monkeypatch.setenv("SAGA_OTLP", backend.url)
        monkeypatch.setenv("SAGA_METRICS_INTERVAL", "1")
        run, reserve, charge = await stack.enter_async_context(processes(place, tmp_path))
        caller = await stack.enter_async_context(place.calling())
        ids = [*GOOD, *BAD, HESITANT]
        ended = await asyncio.gather(*(caller.run("order", {"id": each}, within=SOON) for each in ids))
        assert Counter(each.status for each in ended) == {"completed": len(GOOD) + 1, "compensated": len(BAD)}
        again = await caller.run("order", {"id": GOOD[0]}, within=SOON)
        assert again.saga == ended[0].saga
        page = await page_until(run, "saga_ended_total", len(ids))
        _as_recorded(page, await history(place))
        await charge.stop()
        await caller.start("order", {"id": OPEN}, within=SOON)
        await _garbage(place)

        await _what_stands(run)
        await _what_was_answered(reserve, len(ids))
        pages = [await asyncio.to_thread(text_of, process.health) for process in (run, reserve)]
        await run.stop()
        _what_was_sent(backend)
        _no_secret(backend, *pages)


async def _what_stands(run: RunProcess) -> None:
    """One saga is open, and one message could not be read."""
    await page_until(run, "saga_open", 1, definition="order", status="running")
    page = await page_until(run, "saga_message_unsettled", 1, queue="saga.start", reason="not-json")
    assert total(page, "saga_wait_oldest_seconds") > 0
    assert total(page, "saga_message_parked_total", queue="saga.start", reason="not-json") == 1
    assert total(page, "saga_message_duplicates_total", message="start") >= 1  # the client asks again, too
    assert total(page, "saga_ready") == 1
    assert total(page, "saga_command_in_flight") == 1
    assert total(page, "process_resident_memory_bytes") > 1_000_000


async def _what_was_answered(reserve: ServeProcess, orders: int) -> None:
    """As its own ledger has it; one command was told to come again."""
    done = orders + 1 + len(BAD)
    page = await page_until(reserve, "saga_participant_commands_total", done, outcome="ok")
    book = reserve.ledger()
    assert book == {"reserve": orders + 1, "release": len(BAD)}
    assert total(page, "saga_participant_commands_total", outcome="retry", code="other") == 1
    assert total(page, "saga_participant_duration_seconds_count") == book.total() + 1
    assert total(page, "messaging_process_duration_seconds_count", messaging_system="rabbitmq") == book.total() + 1


def _what_was_sent(backend: Backend) -> None:
    """The same, at the backend."""
    services = {value.service for value in backend.latest("saga.participant.in_progress")}
    assert services == {"reserve-service", "charge-service"}
    coded = [value for value in backend.latest("saga.participant.commands") if value.labels.get("code")]
    assert {(value.service, value.labels["code"], value.value) for value in coded} == {
        ("charge-service", "Declined", len(BAD)),
        ("reserve-service", "other", 1),
    }
    sent = {frozenset(each.labels.items()): each.value for each in backend.latest("saga.ended")}
    assert sent == {
        frozenset({("definition", "order"), ("status", "completed")}): len(GOOD) + 1,
        frozenset({("definition", "order"), ("status", "compensated")}): len(BAD),
    }


def _as_recorded(page: Page, recorded: Counter[tuple[str, ...]]) -> None:
    """Counted another way: from every commit in the store."""
    names = Counter[str]()
    for (name, *_), count in recorded.items():
        names[name] += count
    assert total(page, "saga_started_total", definition="order") == names["SagaStarted"]
    for status in ("completed", "compensated"):
        assert total(page, "saga_ended_total", status=status) == names[f"Saga{status.title()}"]
    assert total(page, "saga_duration_seconds_count") == names["SagaCompleted"] + names["SagaCompensated"]
    assert total(page, "saga_compensation_started_total", because="failed") == names["CompensationStarted"]
    assert total(page, "saga_step_attempts_total") == names["CommandIssued"] + names["CommandRepeated"]
    for (step, kind), count in {
        (path, kind): count for (name, path, kind), count in recorded.items() if name == "CommandIssued"
    }.items():
        repeated = recorded["CommandRepeated", step, kind]
        assert total(page, "saga_step_attempts_total", step=step, kind=kind) == count + repeated
    assert total(page, "saga_step_failures_total", code="Declined", **{"class": "failed"}) == names["StepFailed"]
    assert total(page, "saga_step_failures_total", code="other", **{"class": "retry"}) == names["AttemptEnded"] == 1
    answered = names["StepSucceeded"] + names["StepFailed"] + names["CompensationSucceeded"]
    assert total(page, "saga_step_duration_seconds_count") == answered
    assert total(page, "saga_step_handler_duration_seconds_count") == answered
    assert total(page, "saga_dispatch_lag_seconds_count") == names["CommandIssued"] + names["CommandRepeated"]


async def _garbage(place: Place) -> None:
    """A start that nobody can read."""
    async with place.bus("vandal") as bus:
        bad = Outgoing("saga.start", "order", f"{{{SECRET}".encode(), "g-1", "order", {"saga-key": SECRET})
        assert (await bus.publish([bad]))[0].outcome == "confirmed"


def _no_secret(backend: Backend, *pages: str) -> None:
    """Planted in inputs, keys, headers, codes, texts and replies."""
    assert SECRET.encode() not in b"".join(backend.metric_requests)
    assert backend.metric_requests != []
    assert not any(SECRET in page for page in pages)


def ready(pages: list[Page]) -> float:
    """How many say so."""
    return sum(total(page, "saga_ready") for page in pages)


def showing(pages: list[Page]) -> int:
    """How many show the facts of the store."""
    return sum(any(name == "saga_store_facts_age_seconds" for name, _ in page) for page in pages)


async def test_each_of_several_processes_has_its_page(place: Place, tmp_path: Path) -> None:
    """On the next port; counters add up over all, and the facts of the store are shown by one."""
    port = free_port()
    command = [sys.executable, "-m", "saga.cli", "--amqp", place.amqp, "--store", place.dsn, "run", "--processes", "2"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    process = ServerProcess([*command, "--health", f"127.0.0.1:{port}"], folder=tmp_path, env=env)
    places = [f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}"]

    def pages() -> list[Page]:
        try:
            return [samples(text_of(place)) for place in places]
        except OSError:
            return []

    try:
        await asyncio.to_thread(process.wait_until, lambda: len(pages()) == 2, seconds=SOON_SECONDS)
        await asyncio.to_thread(process.wait_until, lambda: ready(pages()) == 2, seconds=SOON_SECONDS)
        async with place.serving(), place.calling() as caller:
            runs = [caller.run("order", {"id": f"p-{number}"}, within=SOON) for number in range(20)]
            assert {each.status for each in await asyncio.gather(*runs)} == {"completed"}
        found = await asyncio.to_thread(pages)
        assert sum(total(page, "saga_started_total") for page in found) == 20
        assert sum(total(page, "saga_ended_total", status="completed") for page in found) == 20
        await asyncio.to_thread(process.wait_until, lambda: showing(pages()) == 1, seconds=SOON_SECONDS)
    finally:
        await asyncio.to_thread(process.terminate)
        process.kill9()


@pytest.mark.parametrize("trouble", ["away", "full", "mute"])
async def test_a_backend_in_trouble_stops_nothing(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """Orders run, the page is shown, and a stop is not held up for long."""
    port = free_port()
    monkeypatch.setenv("SAGA_OTLP", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("SAGA_METRICS_INTERVAL", "1")
    async with AsyncExitStack() as stack:
        if trouble == "full":
            stack.enter_context(Backend(port)).status = 503
        elif trouble == "mute":
            stack.enter_context(mute(port))
        process = RunProcess(place, tmp_path)
        stack.callback(process.process.kill9)
        await process.ready()
        await stack.enter_async_context(place.serving())
        caller = await stack.enter_async_context(place.calling())
        runs = [caller.run("order", {"id": f"t-{number}"}, within=SOON) for number in range(10)]
        assert {each.status for each in await asyncio.gather(*runs)} == {"completed"}
        await page_until(process, "saga_ended_total", 10)
        assert await process.stop() == 0


async def saga(place: Place, *arguments: str) -> None:
    """A command as an operator types it."""
    command = [sys.executable, "-m", "saga.cli", "--amqp", place.amqp, "--store", place.dsn, *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SAGA_APPROVERS": "bo=editor"}
    done = await asyncio.to_thread(
        subprocess.run, command, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


async def test_what_operators_commit_is_counted_once(place: Place, tmp_path: Path) -> None:
    """By the process that follows, beside what it counted itself; its successor begins with what comes then."""
    await place.publish(LETTER)
    async with AsyncExitStack() as stack:
        caller = await stack.enter_async_context(place.calling())
        first = RunProcess(place, tmp_path / "first")
        stack.callback(first.process.kill9)
        await first.ready()
        order = await caller.start("order", {"id": OPEN}, within=SOON)
        letter = await caller.start("letter", {"id": "l"}, within=SOON)
        await page_until(first, "saga_approval_requested_total", 1)
        await saga(place, "pause", order.saga, "--reason", "look")
        await saga(place, "resume", order.saga, "--reason", "looked")
        await saga(place, "cancel", order.saga, "--reason", "asked to")
        seen = hashlib.sha256(b'{"order":"l"}').hexdigest()
        await saga(place, "approvals", "approve", letter.saga, "review", "--actor", "bo", "--digest", seen)
        await page_until(first, "saga_operations_total", 4)
        await stack.enter_async_context(place.serving())
        assert (await caller.result(order, within=SOON)).status == "compensated"
        assert (await caller.result(letter, within=SOON)).status == "completed"
        page = await page_until(first, "saga_ended_total", 2)
        for verb in ("pause", "resume", "cancel"):
            assert total(page, "saga_operations_total", definition="order", verb=verb) == 1
        assert total(page, "saga_operations_total", definition="letter", verb="decision") == 1
        assert total(page, "saga_approval_closed_total", how="approved") == 1
        assert total(page, "saga_compensation_started_total", because="cancelled") == 1
        recorded = await history(place)
        asked = sum(count for (name, *_), count in recorded.items() if name in {"CommandIssued", "CommandRepeated"})
        assert total(page, "saga_step_attempts_total") == asked
        await first.stop()

        second = RunProcess(place, tmp_path / "second")
        stack.callback(second.process.kill9)
        await second.ready()
        held = await caller.start("letter", {"id": "m"}, within=SOON)
        await saga(place, "abandon", held.saga, "--reason", "too late", "--yes")
        page = await page_until(second, "saga_ended_total", 1, status="abandoned")
        assert total(page, "saga_operations_total") == total(page, "saga_operations_total", verb="abandon") == 1


async def test_metrics_can_be_turned_off(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No page, and nothing is sent."""
    with Backend() as backend:
        monkeypatch.setenv("SAGA_METRICS", "false")
        monkeypatch.setenv("SAGA_METRICS_INTERVAL", "1")
        monkeypatch.setenv("SAGA_OTLP", backend.url)
        process = RunProcess(place, tmp_path / "off")
        try:
            await process.ready()
            with pytest.raises(urllib.error.HTTPError, match="404"):
                await asyncio.to_thread(text_of, process.health)
            async with place.serving(), place.calling() as caller:
                assert (await caller.run("order", {"id": "x"}, within=SOON)).status == "completed"
            await process.stop()
        finally:
            process.process.kill9()
        assert backend.metric_requests == []


async def test_the_page_has_only_what_the_catalogue_names(place: Place, tmp_path: Path) -> None:
    """And says of each what the catalogue says."""
    process = RunProcess(place, tmp_path)
    try:
        await process.ready()
        text = await asyncio.to_thread(text_of, process.health)
        families = {family.name: family for family in text_string_to_metric_families(text)}
        ours = {name: family for name, family in families.items() if not name.startswith("process_")}
        named = {
            metric.prometheus.removesuffix("_total") if metric.kind is MetricKind.COUNTER else metric.prometheus: metric
            for metric in METRICS
        }
        assert ours.keys() <= named.keys()
        assert all(family.documentation == named[name].help for name, family in ours.items())
        await process.stop()
    finally:
        process.process.kill9()
