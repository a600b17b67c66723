"""A trace made again: of the saga, its root and everything below, whichever of them is named."""

import msgspec
import pytest

from saga.core import events as e
from saga.core.definition import canonical
from saga.core.identity import span_id, traceparent
from saga.core.spans.tracing import rebuild
from saga.engine import retrace
from saga.engine.retrace import whole_trace
from saga.ports import Batch, StoredDefinition
from tests.builders import Case, plan, step
from tests.conformance.store.places import new_saga
from tests.spans import nested, tree
from tests.unit.engine.rig import FlakyStore, ManualClock

ROOT = "01930000-0000-7000-8000-000000000001"
CHILDREN = tuple(f"01930000-0000-7000-8000-00000000000{number}" for number in (2, 3, 4))
PLAN = plan(step("reserve"))


async def stored() -> FlakyStore:
    """A root, three children of its first step, and a stranger."""
    store = FlakyStore(ManualClock())
    definition = PLAN.definition
    await store.publish(StoredDefinition(PLAN.hash, definition.name, definition.version, canonical(definition)))
    parent = traceparent(ROOT, span_id(ROOT, 1, 1, "attempt"))
    stranger = "01930000-0000-7000-8000-00000000ffff"
    starts = []
    for number, saga in enumerate((ROOT, *CHILDREN, stranger)):
        below = saga in CHILDREN
        case = Case(PLAN, saga=saga, traceparent=parent if below else None)
        started, *rest = case.commits[0]
        assert isinstance(started, e.SagaStarted)
        if below:
            started = msgspec.structs.replace(started, root=ROOT, parent=ROOT)
        fields = {"root": started.root, "parent": started.parent, "definition": PLAN.hash, "start_key": f"k:{number}"}
        starts.append(new_saga(saga=saga, data=e.encode((started, *rest)), **fields))
    await store.commit(Batch(starts=starts))
    return store


async def test_the_whole_tree_from_any_of_its_sagas() -> None:
    """Root and children make one trace, in the order of their starts; a stranger is none of it."""
    store, clock = await stored(), ManualClock()
    found = await whole_trace(store, clock, ROOT)
    assert found is not None
    assert [span.name for span in found] == ["order started"] * 4
    assert {span.trace for span in found} == {ROOT.replace("-", "")}
    assert await whole_trace(store, clock, CHILDREN[1]) == found


async def test_children_come_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are."""
    store = await stored()
    monkeypatch.setattr(retrace, "PAGE_SAGAS", 2)
    assert sorted(await retrace._below(store, ROOT)) == list(CHILDREN)


async def test_what_is_not_there() -> None:
    """It has no trace."""
    assert await whole_trace(await stored(), ManualClock(), "01930000-0000-7000-8000-00000000dead") is None


def test_children_hang_under_the_attempt_that_asked() -> None:
    """As soon as that attempt is over and can be seen."""
    case = Case(PLAN, saga=ROOT)
    case.pass_time(1)
    case.ok()
    child = Case(PLAN, saga=CHILDREN[0], traceparent=traceparent(ROOT, span_id(ROOT, 1, 1, "attempt")))
    started = msgspec.structs.replace(child.commits[0][0], root=ROOT, parent=ROOT)
    below = rebuild(PLAN, [(started, *child.commits[0][1:])])
    found = tree((*rebuild(PLAN, case.commits), *below))
    nested(found)
    (attempt,) = found.find("send saga.commands:reserve-service.Reserve.v1")
    assert [node.span.name for node in attempt.children] == ["order started"]
