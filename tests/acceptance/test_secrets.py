"""A secret planted in every place that somebody writes into appears in nothing that others read; and logs say which
span they belong to. Real servers, real processes, real bytes."""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.hushed import MARK, OF_ADDRESSES, PLACES, SERVICE, hush
from tests.acceptance.hushed_scene import ASKED, FATES, TROUBLE, Hushed
from tests.otlp import Backend
from tests.servers import PostgresServer, RabbitServer

TELLING = ("crashed", "approved", "doubted")
"""Fates whose histories have most of what was said."""

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def broker(rabbit: RabbitServer) -> Iterator[RabbitServer]:
    """With a user whose password is one of the secrets."""
    rabbit.ctl("add_user", SERVICE, hush("amqp"))
    yield rabbit
    rabbit.ctl("delete_user", SERVICE)


@contextmanager
def opened(folder: Path, postgres: PostgresServer, rabbit: RabbitServer, **settings: str) -> Iterator[Hushed]:
    """Processes that log in with passwords that nobody is to see."""
    vhost = rabbit.fresh_vhost()
    rabbit.ctl("set_permissions", "-p", vhost, SERVICE, ".*", ".*", ".*")
    amqp = rabbit.url_of(vhost).replace("guest:guest@", f"{SERVICE}:{hush('amqp')}@")
    with Backend() as backend:
        scene = Hushed(folder, postgres, amqp, backend, **settings)
        try:
            scene.prepare()
            scene.open()
            yield scene
        finally:
            scene.close()
    rabbit.release_vhost(vhost)


@pytest.fixture(scope="module")
def scene(postgres: PostgresServer, broker: RabbitServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hushed]:
    """Every fate played to its end, through an outage of the backend and of the broker; nothing runs any more."""
    with opened(tmp_path_factory.mktemp("secrets"), postgres, broker) as scene:
        asyncio.run(_play(scene, broker))
        scene.pages = scene.shown()
        scene.fleet.stop()
        yield scene


async def _play(scene: Hushed, rabbit: RabbitServer) -> None:
    await scene.begin(**dict.fromkeys(FATES, "hushed"), **dict.fromkeys(ASKED, "asked"))
    await scene.people()
    scene.backend.status = int(TROUBLE)
    await scene.operators()
    await scene.liar()  # before the others: of one message five lines are written in ten seconds
    await scene.peers()
    await scene.poisoned()
    await scene.troubled()
    scene.backend.status = 200
    vhost = scene.amqp.rpartition("/")[2]
    await asyncio.to_thread(rabbit.ctl, "close_all_connections", "--vhost", vhost, "a test")
    await scene.begin(late="hushed")
    await scene.ended()
    await scene.exported(len(scene.sagas))


def leaked(text: str, *, allowed: frozenset[str] = frozenset()) -> set[str]:
    """The places whose secrets are in a text."""
    found = {place for place in PLACES if hush(place) in text}
    assert found or MARK not in text
    return found - allowed


def test_in_no_span(scene: Hushed) -> None:
    """Every byte that any process sent to the backend."""
    assert leaked(scene.everything_sent().decode(errors="replace")) == set()
    for form in ("otlp-json", "jaeger"):
        for fate in TELLING:
            assert leaked(scene.cli("trace", "export", scene.sagas[fate], "--format", form)) == set()


def test_in_no_metric(scene: Hushed) -> None:
    """Every byte of metrics that any process sent; and what went wrong was counted, with what was redriven or said."""
    assert leaked(scene.everything_measured().decode(errors="replace")) == set()
    values = {(each.service, each.name) for each in scene.backend.values() if each.value}
    names = ("saga.step.failures", "saga.step.parked", "saga.message.parked", "saga.operations")
    assert {("saga", name) for name in names} <= values
    assert (SERVICE, "saga.participant.commands") in values


def test_in_no_log_line(scene: Hushed) -> None:
    """Of any process, at any level; and what was to be logged was."""
    written = scene.logs()
    assert leaked(written) == set()
    messages = {line["message"] for line in lines(scene)}
    assert {
        "a handler failed",
        "a command is to be tried again",
        "a command is refused",
        "message parked",
        "cannot follow; trying again",
        "connection lost",
        "at work",
    } <= messages


def test_on_no_page(scene: Hushed) -> None:
    """Readiness and metrics, while all is well and while something is away."""
    for pages in (scene.pages, scene.pages_of_trouble):
        assert {name for name, page in pages.items() if leaked(page)} == set()
    assert any(TROUBLE in page for page in scene.pages_of_trouble.values())


def test_in_no_summary(scene: Hushed) -> None:
    """Lists and findings name a saga by its key, and say nothing else of what is in it."""
    key = frozenset({"key"})
    for arguments in (["list"], ["list", "-o", "json"], ["doctor"], ["doctor", "-o", "json"]):
        assert leaked(scene.said(*arguments), allowed=key) == set(), arguments


def test_secrets_of_addresses_are_shown_to_nobody(scene: Hushed) -> None:
    """What an operator asks for shows what a saga is about, and no password; nor does what fails."""
    asked = [
        *(["show", scene.sagas[fate]] for fate in TELLING),
        *(["history", scene.sagas[fate], "-o", "json"] for fate in TELLING),
        ["parked", "list"],
        ["config", "explain"],
    ]
    told = {tuple(arguments): scene.said(*arguments) for arguments in asked}
    assert any(leaked(text) for text in told.values())
    wrong = {
        "SAGA_AMQP": scene.amqp.replace(f"{SERVICE}:", "nobody:"),
        "SAGA_STORE": re.sub(r":\d+/", ":1/", scene.dsn),
        "SAGA_OTLP": f"ftp://me:{hush('otlp')}@nowhere",
    }
    for name, value in wrong.items():
        for arguments in (("doctor",), ("topology", "diff"), ("trace", "export", scene.sagas["late"])):
            told[(name, *arguments)] = scene.said(*arguments, **{name: value})
    assert {arguments for arguments, text in told.items() if leaked(text) & OF_ADDRESSES} == set()


def lines(scene: Hushed) -> list[dict[str, object]]:
    """Every line of every process: an object each."""
    return [json.loads(line) for line in scene.logs().splitlines()]


def test_every_line_about_a_saga_is_of_one_of_its_spans(scene: Hushed) -> None:
    """Those of the orchestrator, of the participant, and those that its handler wrote itself."""
    spans = {(each.span.trace, each.span.id): each for each in scene.backend.received()}
    of_sagas = [line for line in lines(scene) if line.get("saga_id") in scene.sagas.values()]
    for line in of_sagas:
        assert (line["trace_id"], line["span_id"]) in spans, line
        assert line["trace_id"] == str(line["saga_id"]).replace("-", "")
    assert [line["message"] for line in of_sagas if line["logger"] == "saga.engine"] == ["message parked"]
    own = [line for line in of_sagas if line["logger"] == "shop.hushed"]
    at_work = {
        spans[str(line["trace_id"]), str(line["span_id"])].span.name for line in own if line["message"] == "at work"
    }
    looking = {
        spans[str(line["trace_id"]), str(line["span_id"])].span.name for line in own if line["message"] == "looking"
    }
    names = {f"process saga.commands:{SERVICE}.{name}.v1:saga.commands.{SERVICE}" for name in ("Reserve", "Ship")}
    assert (at_work, looking) == (names, {"SELECT stock"})
    assert {(line["step"], line["saga_name"]) for line in own} >= {("reserve", "hushed"), ("ship", "asked")}
    assert {line["attempt"] for line in own} >= {1, 2}


def test_what_is_let_in_appears(postgres: PostgresServer, broker: RabbitServer, tmp_path: Path) -> None:
    """With both settings, so that the tests above can fail; payloads and passwords are let in by nothing."""
    settings = {"SAGA_LOG_TEXTS": "always", "SAGA_TRACE_TEXTS": "true"}
    with opened(tmp_path, postgres, broker, **settings) as scene:
        asyncio.run(_play_a_little(scene))
        scene.fleet.stop()
        in_logs, in_spans = leaked(scene.logs()), leaked(scene.everything_sent().decode(errors="replace"))
        in_metrics = leaked(scene.everything_measured().decode(errors="replace"))
    assert in_logs == {"later", "exception", "cause", "objection"}
    assert in_spans >= {"later", "exception", "key", "input"}
    assert not in_spans & (OF_ADDRESSES | {"reply", "failure"})
    assert in_metrics == set()


async def _play_a_little(scene: Hushed) -> None:
    await scene.begin(retried="hushed", crashed="hushed", failed="hushed", refused="hushed")
    await scene.ended(parked=1)
    await scene.exported(len(scene.sagas) - 1)
