"""A trace as a tree, and what must hold of every one: for spans made here, and for spans that came over OTLP."""

from collections.abc import Iterable, Sequence

import msgspec

from saga.core.spans import Span


class Node(msgspec.Struct, frozen=True):
    """A span among its family."""

    span: Span
    children: tuple["Node", ...]

    def find(self, name: str) -> list["Node"]:
        """Every span of this name below, in order of time."""
        found = [self] if self.span.name == name else []
        return found + [node for child in self.children for node in child.find(name)]

    def lines(self, depth: int = 0) -> list[str]:
        """The tree as text, a line a span."""
        line = f"{'  ' * depth}{self.span.name}{f' !{self.span.error}' if self.span.error else ''}"
        return [line] + [text for child in self.children for text in child.lines(depth + 1)]


def tree(spans: Iterable[Span]) -> Node:
    """The one tree these spans make. Fails for an orphan, a second root, or two different spans with one id."""
    by_id: dict[str, Span] = {}
    for span in spans:
        assert by_id.setdefault(span.id, span) == span, f"two different spans are {span.id}"
    roots = [span for span in by_id.values() if not span.parent]
    assert len(roots) == 1, [span.name for span in roots]
    assert len({span.trace for span in by_id.values()}) == 1
    orphans = [span.name for span in by_id.values() if span.parent and span.parent not in by_id]
    assert not orphans, orphans
    return _node(roots[0], sorted(by_id.values(), key=_by_time))


def _by_time(span: Span) -> tuple[int, bool, int]:
    """What begins together: moments first, then the longest."""
    return span.start_ns, span.end_ns > span.start_ns, -span.end_ns


def _node(span: Span, ordered: Sequence[Span]) -> Node:
    return Node(span, tuple(_node(child, ordered) for child in ordered if child.parent == span.id))


def nested(node: Node, *, foreign: frozenset[str] = frozenset()) -> None:
    """Ranges nest from the step downwards: below the root's children, and below those of each sub-saga.

    Spans named in `foreign` are of other clocks.
    """
    for step in node.children:
        _within(step, foreign)


def _within(node: Node, foreign: frozenset[str]) -> None:
    for child in node.children:
        if child.span.name in foreign:
            continue
        if is_anchor(child):
            nested(child, foreign=foreign)  # it has a history of its own
            continue
        assert node.span.start_ns <= child.span.start_ns <= child.span.end_ns <= node.span.end_ns, (
            node.span.name,
            child.span.name,
        )
        _within(child, foreign)


def is_anchor(node: Node) -> bool:
    """Whether a sub-saga begins here."""
    return node.span.name == f"{attribute(node.span, 'saga.name')} started"


def attribute(span: Span, name: str) -> object:
    """Its value, or None."""
    return dict(span.attributes).get(name)
