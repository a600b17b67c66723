"""A whole trace, made again from the histories in the store: the same spans that were exported as they closed."""

from saga.core import events as e
from saga.core.spans import Span
from saga.core.spans.tracing import rebuild
from saga.engine.catalog import Catalog
from saga.ports import Clock, SagaFilter, Store

PAGE_SAGAS = 1_000


async def whole_trace(store: Store, clock: Clock, saga: str, *, texts: bool = False) -> tuple[Span, ...] | None:
    """Every span that is closed by now, of the saga, of the root it belongs to and of everything below that; None if
    the store lacks the saga.

    Sagas come in the order of their starts, spans in the order in which they closed. Raises Unavailable, and
    UnusableDefinition for a saga whose definition the store has lost.
    """
    found = await store.sagas(SagaFilter(ids=(saga,)))
    if not found:
        return None
    catalog = Catalog(store, clock)
    spans: list[Span] = []
    for each in sorted({saga, found[0].root, *await _below(store, found[0].root)}):
        tail = (await store.load({each: 0})).get(each)
        if tail is not None:
            plan = await catalog.by_hash(tail.definition)
            spans += rebuild(plan, [e.decode(data) for data in tail.commits], texts=texts)
    return tuple(spans)


async def _below(store: Store, root: str) -> list[str]:
    """Ids of all sagas below a root."""
    ids: list[str] = []
    before: str | None = None
    while page := await store.sagas(SagaFilter(root=root, before=before, limit=PAGE_SAGAS)):
        ids += [row.saga for row in page]
        before = ids[-1]
        if len(page) < PAGE_SAGAS:
            break
    return ids
