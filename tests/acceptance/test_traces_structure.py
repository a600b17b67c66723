"""Traces of branches, items, sub-sagas and people, as a backend receives them from real processes: whole trees."""

import asyncio
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from saga.core.spans import Span
from tests.acceptance.shapes import EDITOR, MORTALS, ROOT_NAMES, Shapes
from tests.acceptance.structure_law import after
from tests.otlp import Backend
from tests.servers import PostgresServer, RabbitServer
from tests.spans import Node, attribute, is_anchor, nested, tree

PROCESS = "process saga.commands:guest.{}.v1:saga.commands.guest"
LIVE = frozenset({PROCESS.format("Work"), PROCESS.format("Unwork")})
"""Spans of the service: of another clock, which no three days pass for."""
CHILDREN = {"access": "ready", "slowly": "slow"}
DAY_NS = 86_400 * 10**9
KILLS = 20
ROUND_SECONDS = 0.4

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def shapes(
    postgres: PostgresServer, rabbit: RabbitServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shapes]:
    """One saga of each kind at its end, with everything exported; nothing runs any more."""
    vhost = rabbit.fresh_vhost()
    with Backend() as backend:
        found = Shapes(tmp_path_factory.mktemp("shapes"), postgres, rabbit.url_of(vhost), backend)
        try:
            asyncio.run(_play(found))
            found.fleet.stop()
            yield found
        finally:
            found.fleet.close()
    rabbit.release_vhost(vhost)


async def _play(shapes: Shapes) -> None:
    await shapes.prepare()
    await shapes.open()
    for which in ("whole", "failing"):
        await shapes.start(which)
    await shapes.ended()
    await shapes.start("letter")
    await shapes.until_recorded("letter", "ApprovalRequested")
    await shapes.days_pass(3, "letter")
    await shapes.approve("letter")
    await shapes.ended()
    for which in shapes.sagas:
        await shapes.rebuilt(which)


def whole(shapes: Shapes, which: str) -> Node:
    """The tree of a family, looked at: one root, no orphan, ranges nested, every span once or the same again."""
    found = tree(each.span for each in shapes.trace(which))
    nested(found, foreign=LIVE)
    assert len([node for node in walk(found) if node.span.name in ROOT_NAMES]) == 1
    for node in walk(found):
        _children_in_place(node)
    return found


def walk(node: Node) -> Iterator[Node]:
    """All of it."""
    yield node
    for child in node.children:
        yield from walk(child)


def _children_in_place(node: Node) -> None:
    """A live span and a sub-saga hang under an attempt, the one that sent exactly this command; steps under anchors."""
    for child in node.children:
        if child.span.name in LIVE:
            assert attribute(node.span, "messaging.message.id") == attribute(child.span, "messaging.message.id")
        elif is_anchor(child):
            name = child.span.name.removesuffix(" started")
            assert node.span.name == f"send saga.commands:saga.{name}.v1"
        elif attribute(child.span, "saga.step.attempt") is None and attribute(child.span, "saga.step.execution"):
            inside = child.span.name in {"backoff", "undelivered"}
            assert is_anchor(node) != inside


def steps(node: Node, kind: str) -> dict[str, Span]:
    """Spans of executions of one kind in a saga, by path; `node` is its anchor."""
    return {
        str(attribute(child.span, "saga.step.name")): child.span
        for child in node.children
        if attribute(child.span, "saga.step.kind") == kind and attribute(child.span, "saga.step.attempt") is None
        and child.span.name.removeprefix("undo ") == attribute(child.span, "saga.step.name")
    }  # fmt: skip


def in_order(done: dict[str, Span], undone: dict[str, Span], *, within: str = "") -> None:
    """Each undo is linked to what it undoes, begins when that is over, and when what stands behind it is undone."""
    for path, undo in undone.items():
        assert [(link.span, link.kind) for link in undo.links] == [(done[path].id, "compensates")]
        assert done[path].end_ns <= undo.start_ns
    for later, earlier in product(undone, undone):
        if after(within + later, within + earlier):
            assert undone[later].end_ns <= undone[earlier].start_ns, (later, earlier)


def test_branches_and_items(shapes: Shapes) -> None:
    """Side by side what stands side by side, each item with its steps, one after the other what stands so."""
    found = whole(shapes, "whole")
    assert attribute(found.find("built")[0].span, "saga.status") == "completed"
    done = steps(found, "action")
    assert len(done) == 16
    assert {f"items[{n}]/{step}" for n in range(3) for step in ("mark", "stamp")} < done.keys()
    for later, earlier in product(done, done):
        if after(later, earlier):
            assert done[earlier].end_ns <= done[later].start_ns, (later, earlier)
    together = ["first", "second", "try", "slowly", "items[0]/mark", "items[1]/mark", "items[2]/mark"]
    assert len({done[path].start_ns for path in together}) == 1
    (begins,) = found.find("items begins")
    assert attribute(begins.span, "saga.items") == 3
    for path, span in done.items():
        (node,) = (child for child in found.children if child.span == span)
        (attempt,) = node.children
        assert len([live for live in walk(attempt) if live.span.name in LIVE]) == (2 if path in CHILDREN else 1)


def test_a_failing_branch(shapes: Shapes) -> None:
    """What was in flight is unknown and undone first; then each branch backwards, side by side, and what was before."""
    found = whole(shapes, "failing")
    done, undone = steps(found, "action"), steps(found, "compensation")
    in_order(done, undone)
    assert undone.keys() == done.keys() - {"fail"}
    unknown = {path for path, span in undone.items() if attribute(span, "saga.compensates.outcome") == "unknown"}
    assert unknown == {"held", "slowly", "items[1]/stamp"}
    assert {attribute(done[path], "saga.outcome") for path in unknown} == {"unknown"}
    first = min(span.start_ns for path, span in undone.items() if path not in unknown)
    assert all(undone[path].start_ns <= first for path in unknown)
    (turn,) = (child for child in found.children if child.span.name == "compensation started")
    assert [(link.span, link.kind) for link in turn.span.links] == [(done["fail"].id, "about")]
    assert turn.span.start_ns == done["fail"].end_ns
    (saga,) = found.find("built")
    assert (attribute(saga.span, "saga.status"), saga.span.error) == ("compensated", "Declined")
    late = [child.span for child in found.children if child.span.name == "late answer"]
    assert {link.span for span in late for link in span.links} == {done[path].id for path in unknown - CHILDREN.keys()}
    assert {link.kind for span in late for link in span.links} == {"about"}


def test_a_sub_saga_is_undone_as_a_unit(shapes: Shapes) -> None:
    """It hangs under the attempt that asked for it, in the same trace; it is undone inside its undo, and says whose."""
    found = whole(shapes, "failing")
    undos = steps(found, "compensation")
    for path, name in CHILDREN.items():
        (anchor,) = found.find(f"{name} started")
        assert attribute(anchor.span, "saga.id") != attribute(found.span, "saga.id")
        inner_done, inner = steps(anchor, "action"), steps(anchor, "compensation")
        in_order(inner_done, inner, within=f"{path}/")
        assert inner.keys() == inner_done.keys()
        (turn,) = (child.span for child in anchor.children if child.span.name == "compensation started")
        (asking,) = (link.span for link in turn.links if link.kind == "asked_by")
        assert asking in {node.span.id for node in walk(found) if node.span.parent == undos[path].id}
        assert all(
            undos[path].start_ns <= each.start_ns <= each.end_ns <= undos[path].end_ns for each in inner.values()
        )
    (ready,), (undone,), (slow,) = found.find("ready"), found.find("ready undone"), found.find("slow")
    assert [attribute(node.span, "saga.status") for node in (ready, undone, slow)] == [
        "completed", "compensated", "compensated",
    ]  # fmt: skip
    assert [node.span.error for node in (ready, undone, slow)] == ["", "parent", "cancelled"]
    assert ready.span.end_ns < undone.span.start_ns
    assert [link.kind for link in undone.span.links] == ["asked_by"]


def test_approved_after_three_days(shapes: Shapes) -> None:
    """The store's clock was put forward thrice: the request lasts three days, and nothing else does."""
    found = whole(shapes, "letter")
    (review,), (decided,), (send,) = found.find("approval review"), found.find("approve review"), found.find("send")
    assert 3 * DAY_NS <= review.span.end_ns - review.span.start_ns < 4 * DAY_NS
    assert (attribute(review.span, "saga.outcome"), review.span.error) == ("approved", "")
    assert (attribute(decided.span, "saga.actor"), attribute(decided.span, "saga.asserted_by")) == (EDITOR, "guest")
    reminded = found.find("review reminded")
    assert len(reminded) == 3
    for node in (decided, *reminded):
        assert node.span.start_ns == node.span.end_ns
        assert [(link.span, link.kind) for link in node.span.links] == [(review.span.id, "about")]
    assert review.span.start_ns <= reminded[0].span.start_ns - DAY_NS < reminded[1].span.start_ns
    assert decided.span.start_ns == review.span.end_ns <= send.span.start_ns
    (draft,) = found.find("draft")
    assert draft.span.end_ns - draft.span.start_ns < DAY_NS
    assert draft.span.end_ns <= review.span.start_ns
    (saga,) = found.find("letter")
    assert saga.span.start_ns == found.span.start_ns
    assert saga.span.end_ns == send.span.end_ns


def test_a_rebuild_gives_the_same_spans(shapes: Shapes) -> None:
    """Of the whole family, whichever of it is named."""
    for which in shapes.sagas:
        ours = {each.span for each in shapes.trace(which) if each.service == "saga"}
        assert asyncio.run(shapes.rebuilt(which)) == ours


def test_killed_twenty_times(postgres: PostgresServer, rabbit: RabbitServer, tmp_path: Path) -> None:
    """kill -9 on orchestrators and followers while branches, items and sub-sagas run and are undone: whole traces."""
    vhost = rabbit.fresh_vhost()
    with Backend() as backend:
        shapes = Shapes(tmp_path, postgres, rabbit.url_of(vhost), backend)
        try:
            asyncio.run(_kill_on(shapes))
            for which in shapes.sagas:
                found = whole(shapes, which)
                done, undone = steps(found, "action"), steps(found, "compensation")
                in_order(done, undone)
                assert (attribute(found.find("built")[0].span, "saga.status") == "compensated") == bool(undone)
        finally:
            shapes.fleet.close()
    rabbit.release_vhost(vhost)


async def _kill_on(shapes: Shapes) -> None:
    """Sagas go in while an orchestrator and a follower die every round."""
    await shapes.prepare()
    hatchery = await shapes.open_for_kills()
    try:
        for number in range(KILLS):
            if number % 5 == 0:
                await shapes.start("failing" if number % 2 == 0 else "whole", number)
            await asyncio.sleep(ROUND_SECONDS)
            for kind in ("orchestrator", "follower"):
                name = f"{kind}-{number % 2}"
                assert name in MORTALS
                hatchery.kill9(name)
                hatchery.start(name, "tests.acceptance.impatient", kind)
        assert shapes.backend.requests, "something was sent before the last of them died"
        await shapes.ended()
        for which in shapes.sagas:
            assert await shapes.rebuilt(which) == {e.span for e in shapes.trace(which) if e.service == "saga"}
    finally:
        hatchery.close()
