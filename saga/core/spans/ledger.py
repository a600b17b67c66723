"""The books of a trace: which spans are open, and what later ones point to."""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from saga.core.identity import span_id, trace_id
from saga.core.messages import Kind
from saga.core.plan import Plan
from saga.core.spans.data import Attributes, Link, Span, SpanKind
from saga.cost import Cost, added

Place = tuple[str, ...]
"""Where an open span is found: its role, then what it is about, e.g. `("attempt", "charge", "action")`."""

SAGA: Final[Place] = ("saga",)
PAUSED: Final[Place] = ("paused",)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Open(msgspec.Struct, frozen=True):
    """A span that has begun."""

    id: str
    parent: str
    name: str
    start_ns: int
    attributes: Attributes
    kind: SpanKind = SpanKind.INTERNAL
    links: tuple[Link, ...] = ()
    error: str = ""
    """Why it is an error however it ends."""


class Run(msgspec.Struct, frozen=True):
    """An execution that is under way: its number and the spans of its attempts, first one first."""

    number: int
    unknown: bool
    """A compensation that was made for an outcome nobody knew."""
    attempts: tuple[str, ...]


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be known of a saga's spans so far to make those of the next commit."""

    saga: str
    root: str
    """Trace id."""
    anchor: str
    """Span id."""
    untraced: bool
    attributes: Attributes
    """Of every span."""
    version: int
    now_ns: int
    open: dict[Place, Open]
    runs: dict[tuple[str, Kind], Run]
    executions: dict[tuple[str, Kind, int], str]
    """Span ids of every execution there was."""
    failed: bool = False
    """Somebody will want to see it: it was parked, it compensates, it was abandoned, or a participant lied."""
    because: str = ""
    cost: Cost | None = None
    """What answers told so far."""
    undone_for: tuple[Link, ...] = ()
    """The attempt with which the parent asked last that this saga is undone."""

    @property
    def ended(self) -> bool:
        """The saga is over; a late answer may still add a fact."""
        return SAGA not in self.open


class Ledger:
    """The books while one commit is recorded. Starts from a `Trace`, which it never changes, and ends in a new one."""

    def __init__(self, plan: Plan, trace: Trace, *, texts: bool) -> None:
        self.plan = plan
        self.texts = texts
        self.closed: list[Span] = []
        self.index = -1
        """Of the event being recorded, in its commit."""
        self.open = dict(trace.open)
        self.runs = dict(trace.runs)
        self.executions = dict(trace.executions)
        self.book = trace

    @classmethod
    def after(cls, plan: Plan, trace: Trace | None, *, texts: bool) -> "Ledger":
        """The books, about to take the events of the next commit."""
        if trace is None:
            return cls(plan, _BLANK, texts=texts)
        return cls(plan, msgspec.structs.replace(trace, version=trace.version + 1), texts=texts)

    def trace(self) -> Trace:
        """The books after this commit. Raises ValueError if the saga never began."""
        if not self.book.saga:
            raise ValueError("a history begins with SagaStarted")
        return msgspec.structs.replace(self.book, open=self.open, runs=self.runs, executions=self.executions)

    def turn(self, at: datetime) -> None:
        """The next event of the commit. Time never goes back."""
        self.index += 1
        now_ns = (at - _EPOCH) // _MICROSECOND * 1_000
        if now_ns > self.book.now_ns:
            self.book = msgspec.structs.replace(self.book, now_ns=now_ns)

    def fail(self, because: str = "") -> None:
        """From here somebody will want to see the trace."""
        self.book = msgspec.structs.replace(self.book, failed=True, because=because or self.book.because)

    def spend(self, cost: Cost) -> None:
        """An answer told what it cost."""
        self.book = msgspec.structs.replace(self.book, cost=added((self.book.cost or {}, cost)))

    def id(self, role: str) -> str:
        """The id of the span that the current event opens."""
        return span_id(self.book.saga, self.book.version, self.index, role)

    def begin(
        self,
        place: Place,
        name: str,
        attributes: Attributes,
        *,
        parent: Place | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        links: tuple[Link, ...] = (),
        error: str = "",
    ) -> Open:
        """Open a span here and now; under the anchor, unless the parent is open."""
        above = self.open.get(parent) if parent is not None else None
        found = Open(
            id=self.id(place[0]),
            parent=self.book.anchor if above is None else above.id,
            name=name,
            start_ns=self.book.now_ns,
            attributes=attributes,
            kind=kind,
            links=links,
            error=error,
        )
        self.open[place] = found
        return found

    def end(
        self, place: Place, attributes: Attributes = (), *, error: str = "", links: tuple[Link, ...] = ()
    ) -> Open | None:
        """Close the span, if it is open."""
        found = self.open.pop(place, None)
        if found is not None:
            self.write(found, self.book.now_ns, attributes, error=error, links=links)
        return found

    def moment(
        self, role: str, name: str, attributes: Attributes, *, error: str = "", links: tuple[Link, ...] = ()
    ) -> None:
        """A span of no length under the anchor."""
        here = Open(self.id(role), self.book.anchor, name, self.book.now_ns, ())
        self.write(here, self.book.now_ns, attributes, error=error, links=links)

    def write(
        self, span: Open, end_ns: int, attributes: Attributes = (), *, error: str = "", links: tuple[Link, ...] = ()
    ) -> None:
        """A span is complete."""
        self.closed.append(
            Span(
                trace=self.book.root,
                id=span.id,
                parent=span.parent,
                name=span.name,
                kind=span.kind,
                start_ns=span.start_ns,
                end_ns=end_ns,
                attributes=self.book.attributes + span.attributes + attributes,
                error=error or span.error,
                links=span.links + links,
            )
        )

    def link(self, span: str, kind: str) -> Link:
        """To a span of this saga."""
        return Link(self.book.root, span, kind)

    def about(self, path: str, kind: Kind, number: int | None = None) -> tuple[Link, ...]:
        """A link to an execution of a step, the latest unless its number is given; nothing if there is none."""
        if number is None:
            number = max((n for p, k, n in self.executions if (p, k) == (path, kind)), default=0)
        found = self.executions.get((path, kind, number))
        return () if found is None else (self.link(found, "about"),)


_BLANK: Final = Trace(
    saga="", root=trace_id(""), anchor="", untraced=False, attributes=(), version=1, now_ns=0, open={}, runs={},
    executions={},
)  # fmt: skip
