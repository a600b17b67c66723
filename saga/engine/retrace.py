"""A whole trace, made again from the histories in the store: the same spans that were exported as they closed."""

from saga.core import events as e
from saga.core.spans import Span
from saga.core.spans.tracing import rebuild
from saga.engine.catalog import Catalog
from saga.ports import Clock, Store


async def whole_trace(store: Store, clock: Clock, saga: str, *, texts: bool = False) -> tuple[Span, ...] | None:
    """Every span of a saga that is closed by now, in the order in which they closed; None if the store lacks it.

    Raises Unavailable, and UnusableDefinition for a saga whose definition the store has lost.
    """
    tail = (await store.load({saga: 0})).get(saga)
    if tail is None:
        return None
    plan = await Catalog(store, clock).by_hash(tail.definition)
    return rebuild(plan, [e.decode(data) for data in tail.commits], texts=texts)
