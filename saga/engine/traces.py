"""The sink that makes traces: spans of committed events, for a backend.

It may be killed between two exports: what it knows of a saga is read again from its history, and what is exported
twice carries the same ids. A backend that is away raises Unavailable, the cursor stays, and the history is the buffer.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import msgspec

from saga.core import events as e
from saga.core.errors import Unavailable
from saga.core.plan import Plan
from saga.core.spans import Span
from saga.core.spans.ledger import Trace
from saga.core.spans.tracing import rebuild, trace_commit
from saga.engine.catalog import Catalog
from saga.engine.follow import Recorded, about
from saga.ports import Journal, Tail, TraceBackend

log = logging.getLogger("saga.engine")

TURN_COMMITS = 50
"""Told without a break: some milliseconds, in which the process does nothing else."""


class Book(msgspec.Struct, frozen=True):
    """A saga's trace up to the last commit that was exported."""

    plan: Plan
    trace: Trace


class Told(msgspec.Struct, frozen=True):
    """What a saga's commits of one batch come to."""

    book: Book
    spans: tuple[Span, ...]
    whole: bool
    """Everything before is to be exported too: it was not sampled, and has failed now."""


class TraceSink:
    """Exports the spans of each commit. Keeps the books of open sagas, of a bounded number of them."""

    def __init__(
        self, journal: Journal, catalog: Catalog, backend: TraceBackend, *, texts: bool, sagas_max: int
    ) -> None:
        self._journal = journal
        self._catalog = catalog
        self._backend = backend
        self._texts = texts
        self._sagas_max = sagas_max
        self._books: OrderedDict[str, Book] = OrderedDict()

    async def deliver(self, commits: Sequence[Recorded]) -> None:
        """Export what closed with these commits. Raises Unavailable: nothing counts as exported then."""
        by_saga: dict[str, list[Recorded]] = {}
        for commit in commits:
            by_saga.setdefault(commit.saga, []).append(commit)
        told = await self._tell_all(by_saga)
        if spans := [span for each in told for span in each.spans]:
            await self._backend.export(spans)
        for each in told:
            if each.whole:
                await self._export_whole(each.book)
        for each in told:
            self._keep(each.book)

    async def _tell_all(self, by_saga: Mapping[str, Sequence[Recorded]]) -> list[Told]:
        tails = await self._journal.load({s: 0 for s, recorded in by_saga.items() if self._lacks(s, recorded[0])})
        told: list[Told] = []
        commits_count = 0
        for saga, recorded in by_saga.items():
            commits_count += len(recorded)
            if commits_count >= TURN_COMMITS:
                commits_count = 0
                await asyncio.sleep(0)
            try:
                told.append(await self._tell(recorded, tails.get(saga)))
            except Unavailable:
                raise
            except Exception:  # one bad history must not stop the others
                log.exception("a saga cannot be traced", extra=about(recorded))
        return told

    def _lacks(self, saga: str, first: Recorded) -> bool:
        """Whether what was before this commit has to be read."""
        book = self._books.get(saga)
        return first.version > (1 if book is None else book.trace.version + 1)

    async def _tell(self, recorded: Sequence[Recorded], tail: Tail | None) -> Told:
        before = self._books.get(recorded[0].saga)
        if before is None or tail is not None:
            before = None if tail is None else await self._read(tail, recorded[0].version - 1)
        plan = before.plan if before is not None else await self._plan(recorded[0])
        trace = None if before is None else before.trace
        spans: list[Span] = []
        for commit in recorded:
            if trace is None or commit.version > trace.version:  # else this process has told it already
                trace, closed = trace_commit(plan, trace, commit.events, texts=self._texts)
                spans += closed
        assert trace is not None
        shown = not trace.untraced or (before is not None and before.trace.failed)
        return Told(Book(plan, trace), tuple(spans) if shown else (), trace.failed and not shown)

    async def _plan(self, first: Recorded) -> Plan:
        started = first.events[0]
        if not isinstance(started, e.SagaStarted):
            raise ValueError(f"the history of {first.saga} has no beginning")  # noqa: TRY004 - bad data
        return await self._catalog.by_hash(started.definition)

    async def _read(self, tail: Tail, version: int) -> Book:
        """The book as it was after this commit, from the history."""
        plan = await self._catalog.by_hash(tail.definition)
        trace: Trace | None = None
        for data in tail.commits[:version]:
            trace, _ = trace_commit(plan, trace, e.decode(data), texts=self._texts)
        if trace is None or trace.version != version:
            raise ValueError(f"the history of {tail.saga} ends before commit {version}")
        return Book(plan, trace)

    async def _export_whole(self, book: Book) -> None:
        """Everything there was of a saga, up to where the book is."""
        saga = book.trace.saga
        tail = (await self._journal.load({saga: 0}))[saga]
        commits = [e.decode(data) for data in tail.commits[: book.trace.version]]
        await self._backend.export(rebuild(book.plan, commits, texts=self._texts))

    def _keep(self, book: Book) -> None:
        saga = book.trace.saga
        if book.trace.ended:
            self._books.pop(saga, None)
            return
        self._books[saga] = book
        self._books.move_to_end(saga)
        while len(self._books) > self._sagas_max:
            self._books.popitem(last=False)
