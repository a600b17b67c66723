"""The traces of real sagas, as a backend receives them: whole trees, also where processes were killed on the way."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.trace_scene import FATES, Scene
from tests.acceptance.traced import SECRET
from tests.otlp import Backend, Received, read
from tests.servers import PostgresServer, RabbitServer
from tests.spans import Node, attribute, nested, tree

KILLS = 20
ROUND_SECONDS = 0.8
PROCESS = "process saga.commands:guest.{}.v1:saga.commands.guest"
LIVE = frozenset({*(PROCESS.format(name) for name in ("Reserve", "Charge", "Ship", "Release", "Refund"))})
"""Spans of participants: of another clock, and a late one lies outside its attempt."""
OWN = ("SELECT stock", "UPDATE stock")

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def scene(postgres: PostgresServer, rabbit: RabbitServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One saga of every fate, at its end, with everything exported; nothing runs any more."""
    folder = tmp_path_factory.mktemp("traces")
    vhost = rabbit.fresh_vhost()
    with Backend() as backend:
        scene = Scene(folder, postgres, rabbit.url_of(vhost), backend)
        try:
            scene.prepare()
            scene.open()
            asyncio.run(_play(scene))
            scene.fleet.stop()
            yield scene
        finally:
            scene.close()
    rabbit.release_vhost(vhost)


async def _play(scene: Scene) -> None:
    await scene.start(list(FATES))
    await scene.start(["completed", "compensated"], name="quiet")
    await scene.ended(parked=2)
    scene.mend()
    about = ("--actor", "ann", "--reason", f"called {SECRET}")
    await asyncio.to_thread(scene.cli, "resolve", scene.sagas["repaired"], "charge", "retry", *about)
    await asyncio.to_thread(
        scene.cli, "resolve", scene.sagas["doubted"], "reserve", "not-applied", "--evidence", SECRET, *about
    )
    await scene.ended(parked=1)
    await asyncio.to_thread(scene.cli, "abandon", scene.sagas["doubted"], "--yes", *about)
    await scene.ended()
    await scene.exported(len(FATES) + 1)


def whole(scene: Scene, fate: str) -> Node:
    """The tree of a saga, looked at: one root, no orphan, ranges nested, every span once or the same again."""
    found = tree(each.span for each in scene.trace(fate))
    nested(found, foreign=LIVE)
    _live_spans_in_place(found)
    return found


def _live_spans_in_place(node: Node, above: Node | None = None) -> None:
    """A participant's span is the child of an attempt of its own command; its handler's spans are its children."""
    if node.span.name in LIVE:
        assert above is not None
        assert attribute(above.span, "messaging.message.id") == attribute(node.span, "messaging.message.id")
    if node.span.name in OWN:
        assert above is not None
        assert above.span.name in LIVE
    for child in node.children:
        _live_spans_in_place(child, node)


def steps(node: Node) -> list[str]:
    """The root's children by time, without the saga's own span."""
    return [
        f"{child.span.name} {attribute(child.span, 'saga.outcome') or ''}".rstrip()
        for child in node.children
        if child.span.name != "traced"
    ]


def test_completed(scene: Scene) -> None:
    """Attempts under steps, the participant's span under its attempt, the handler's own under that."""
    found = whole(scene, "completed")
    assert steps(found) == ["reserve ok", "charge ok", "ship ok"]
    (reserve,) = found.find("reserve")
    (attempt,) = reserve.children
    assert sorted(child.span.name for child in attempt.children) == [
        "handler", PROCESS.format("Reserve"), "queue wait",
    ]  # fmt: skip
    (live,) = attempt.find(PROCESS.format("Reserve"))
    assert [child.span.name for child in live.children] == ["SELECT stock"]
    services = {each.span.name: each.service for each in scene.trace("completed")}
    assert services[PROCESS.format("Reserve")] == services["SELECT stock"] == "guest"
    assert services["reserve"] == services["traced started"] == "saga"
    kinds = {each.span.name: each.kind for each in scene.trace("completed")}
    assert kinds["send saga.commands:guest.Reserve.v1"] == "producer"
    assert kinds[PROCESS.format("Reserve")] == "consumer"


def test_retried(scene: Scene) -> None:
    """Three attempts with the waits between them; a code that is no word is not shown."""
    (reserve,) = whole(scene, "retried").find("reserve")
    assert [(child.span.name.partition(" ")[0], child.span.error) for child in reserve.children] == [
        ("send", "other"), ("backoff", ""), ("send", "other"), ("backoff", ""), ("send", ""),
    ]  # fmt: skip
    assert [len(child.find(PROCESS.format("Reserve"))) for child in reserve.children] == [1, 0, 1, 0, 1]


def test_a_handler_that_raises_is_an_attempt_that_failed(scene: Scene) -> None:
    """Its own span says so too."""
    (charge,) = whole(scene, "crashed").find("charge")
    assert charge.children[0].span.error
    assert [node.span.error != "" for node in charge.find(PROCESS.format("Charge"))] == [True, False]


def test_compensated(scene: Scene) -> None:
    """Undone in reverse, each undo after the one before, linked to what it undoes."""
    found = whole(scene, "compensated")
    assert steps(found) == [
        "reserve ok", "charge ok", "ship failed", "compensation started Declined", "undo charge ok", "undo reserve ok",
    ]  # fmt: skip
    undone = [found.find(f"undo {path}")[0].span for path in ("charge", "reserve")]
    assert undone[0].end_ns <= undone[1].start_ns
    for path, undo in zip(("charge", "reserve"), undone, strict=True):
        (done,) = found.find(path)
        assert [(link.span, link.kind) for link in undo.links] == [(done.span.id, "compensates")]
    (saga,) = found.find("traced")
    assert (attribute(saga.span, "saga.status"), saga.span.error) == ("compensated", "Declined")


def test_timed_out_but_happened(scene: Scene) -> None:
    """The first attempt ends as a timeout, its late answer settles the step, and nothing of ours leaves its parent."""
    (charge,) = whole(scene, "happened").find("charge")
    attempts = [child for child in charge.children if child.span.name.startswith("send")]
    assert attempts[0].span.error == "timeout"
    assert attribute(charge.span, "saga.outcome") == "ok"
    (live,) = attempts[0].find(PROCESS.format("Charge"))
    assert live.span.end_ns > attempts[0].span.end_ns  # the participant's own clock says when it really ended


def test_operator_repair(scene: Scene) -> None:
    """What stood in front of a person, who moved it, and what came of it."""
    found = whole(scene, "repaired")
    (charge,), (operator,) = found.find("charge"), found.find("operator retry charge")
    (parked,) = charge.find("parked")
    assert parked.span.error == "exhausted"
    assert parked.span.end_ns == operator.span.start_ns
    assert attribute(operator.span, "saga.actor") == "ann"
    assert [(link.span, link.kind) for link in operator.span.links] == [(charge.span.id, "about")]
    assert attribute(charge.span, "saga.outcome") == "ok"
    assert len([child for child in charge.children if child.span.name.startswith("send")]) == 4


def test_abandoned(scene: Scene) -> None:
    """Two executions, the first one denied by an operator; the end says who gave up."""
    found = whole(scene, "doubted")
    assert [node.span.error for node in found.find("reserve")] == ["not-applied", ""]
    (saga,) = found.find("traced")
    assert attribute(saga.span, "saga.status") == "abandoned"
    assert found.find("operator abandon")[0].span.start_ns == saga.span.end_ns


def test_a_saga_that_is_not_sampled(scene: Scene) -> None:
    """Nothing of one that completed; all of one that failed, but its participants' spans, which were never made."""
    assert scene.trace("quiet-completed") == []
    found = scene.trace("quiet-compensated")
    assert {each.service for each in found} == {"saga"}
    assert all(attribute(each.span, "saga.rebuilt") is True for each in found)
    rebuilt = tree(each.span for each in found)
    nested(rebuilt)
    assert rebuilt.find("undo reserve")


def test_a_rebuild_gives_the_same_spans(scene: Scene) -> None:
    """What `saga trace export` makes of the history is what was exported as it happened, byte for byte each time."""
    for fate in ("completed", "happened", "repaired"):
        ours = [each.span for each in scene.trace(fate) if each.service == "saga"]
        files = [scene.folder / f"{fate}-{number}" for number in (1, 2)]
        for file in files:
            scene.cli("trace", "export", scene.sagas[fate], "--to", str(file), "--format", "otlp")
        assert files[0].read_bytes() == files[1].read_bytes()
        assert {each.span for each in read(files[0].read_bytes())} == set(ours)


def test_secrets_appear_nowhere(scene: Scene) -> None:
    """They were in every payload, error text, code, key, tag and reason."""
    assert SECRET.encode() not in scene.everything_sent()
    for form in ("otlp-json", "jaeger"):
        assert SECRET not in scene.cli("trace", "export", scene.sagas["repaired"], "--format", form)


def test_killed_twenty_times(postgres: PostgresServer, rabbit: RabbitServer, tmp_path: Path) -> None:
    """kill -9 on orchestrators and followers, whatever they were doing, while sagas run: every trace is whole."""
    vhost = rabbit.fresh_vhost()
    with Backend() as backend:
        scene = Scene(tmp_path, postgres, rabbit.url_of(vhost), backend)
        try:
            scene.prepare()
            scene.open_for_kills()
            assert asyncio.run(_kill_on(scene)) >= KILLS / 2
            scene.fleet.stop()
            for fate in scene.sagas:
                _same_or_other(scene.trace(fate))
                found = whole(scene, fate)
                assert len(found.find("traced")) == 1, found.lines()
                exported = {each.span for each in scene.trace(fate) if each.service == "saga"}
                scene.cli("trace", "export", scene.sagas[fate], "--to", str(tmp_path / "file"), "--format", "otlp")
                assert {each.span for each in read((tmp_path / "file").read_bytes())} == exported
        finally:
            scene.close()
    rabbit.release_vhost(vhost)


def _same_or_other(received: list[Received]) -> None:
    """A span that came twice is the same span."""
    by_id: dict[str, Received] = {}
    for each in received:
        assert by_id.setdefault(each.span.id, each) == each


async def _kill_on(scene: Scene) -> int:
    """Sagas go in while one of the two orchestrators, and one of the two followers, dies every round; how many times
    the backend was sent something before the last of them died."""
    fates = ["completed", "retried", "compensated", "happened", "crashed"]

    async def kill() -> None:
        for number in range(KILLS):
            await asyncio.sleep(ROUND_SECONDS)
            for kind in ("orchestrator", "follower"):
                await asyncio.to_thread(scene.fleet.kill, f"{kind}-{number % 2}")
            scene.fleet.start()

    async def feed() -> None:
        for fate in fates:
            await scene.start([fate])
            await asyncio.sleep(ROUND_SECONDS * KILLS / len(fates) / 1.5)

    await asyncio.gather(kill(), feed())
    sent_count = len(scene.backend.requests)
    await scene.ended()
    await scene.exported(len(fates))
    return sent_count
