"""Spans of a sub-saga's life: what its parent asked for is linked to the attempt that asked."""

import pytest

from saga.core import inputs as i
from saga.core.identity import span_id, trace_id, traceparent
from saga.core.messages import Kind
from saga.core.spans import Link, Span
from saga.core.spans.tracing import rebuild
from tests.builders import Case, plan, step

PARENT = "01930000-0000-7000-8000-0000000000ff"
FIRST, SECOND = span_id(PARENT, 7, 0, "attempt"), span_id(PARENT, 9, 1, "attempt")


def child() -> Case:
    """A sub-saga of two steps that was just started."""
    link = i.ParentOf(saga=PARENT, root=PARENT, path="access", kind=Kind.ACTION, execution=1, attempt=1)
    return Case(plan(step("a"), step("b")), parent=link)


def undo(case: Case, span: str, attempt: int = 1, *, wait: bool = False) -> None:
    """The parent's command to undo it arrives, from this span of its trace."""
    asking = traceparent(PARENT, span)
    given = i.ParentAsks(
        now=case.now,
        path="access",
        kind=Kind.COMPENSATION,
        execution=1,
        attempt=attempt,
        traceparent=asking,
        wait=wait,
    )
    case.when(given)


def links(case: Case, name: str) -> tuple[Link, ...]:
    """Of the one span of that name."""
    found: list[Span] = [span for span in rebuild(case.plan, case.commits) if span.name == name]
    (span,) = found
    return span.links


def asked_by(span: str) -> tuple[Link, ...]:
    """The attempt of the parent's undo."""
    return (Link(trace_id(PARENT), span, "asked_by"),)


def end(case: Case, *paths: str) -> Case:
    """These answer ok."""
    for path in paths:
        case.ok(path)
    return case


def test_a_completed_child_that_is_undone_says_for_whom() -> None:
    """Its second life, and the moment in which it begins, point to the attempt that asked."""
    case = end(child(), "a", "b")
    undo(case, FIRST)
    end(case, "b", "a")
    assert links(case, "order undone") == links(case, "compensation started") == asked_by(FIRST)
    assert links(case, "order") == ()


def test_a_running_child_that_is_undone_says_for_whom() -> None:
    """It is cancelled by its parent, and what was asked again later changes nothing of it."""
    case = end(child(), "a")
    undo(case, FIRST)
    undo(case, SECOND, 2)
    end(case, "b", "a")
    assert links(case, "compensation started") == asked_by(FIRST)


def test_a_child_that_is_waited_for_says_who_asked_last() -> None:
    """It goes on to its end, and is undone then."""
    case = child()
    undo(case, FIRST, wait=True)
    undo(case, SECOND, 2, wait=True)
    end(case, "a", "b")
    assert links(case, "compensation started") == asked_by(SECOND)


def test_a_child_that_fails_by_itself_is_not_undone_for_anybody() -> None:
    """Though its parent waits to undo it: the link is to the step that failed."""
    case = child()
    undo(case, FIRST, wait=True)
    case.ok("a")
    case.failed("b")
    assert [link.kind for link in links(case, "compensation started")] == ["about"]


@pytest.mark.parametrize("kind", Kind)
def test_only_an_undo_records_who_asked(kind: Kind) -> None:
    """A start has it already, and asking again costs no more room."""
    case = child()
    asking = traceparent(PARENT, FIRST)
    (heard, *_) = case.when(
        i.ParentAsks(now=case.now, path="access", kind=kind, execution=1, attempt=2, traceparent=asking)
    )
    assert heard.traceparent == (asking if kind is Kind.COMPENSATION else None)  # type: ignore[union-attr]  # ParentAsked


def test_a_parent_that_names_no_span_is_heard_all_the_same() -> None:
    """A history of an earlier release has none."""
    case = end(child(), "a", "b")
    case.when(i.ParentAsks(now=case.now, path="access", kind=Kind.COMPENSATION, execution=1, attempt=1))
    end(case, "b", "a")
    assert links(case, "order undone") == ()
