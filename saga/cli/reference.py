"""How people name a saga: by its id, or by what it was started as."""

from saga.core.rows import is_saga_id
from saga.engine.operate import NoSuchSaga
from saga.ports import Store
from saga.wire.callers import BY_KEY, BY_MESSAGE


async def saga_id(store: Store, reference: str) -> str:
    """The id behind `<id>` or `<definition>/<key>`. Raises NoSuchSaga, Unavailable."""
    if is_saga_id(reference):
        return reference
    name, slash, key = reference.partition("/")
    if not slash:
        raise NoSuchSaga(f"{reference!r} names no saga. Fix: its id, or DEFINITION/KEY as in order/o-1; see saga list")
    asked = [(name, BY_KEY + key), (name, BY_MESSAGE + key)]
    known = await store.find(asked)
    for each in asked:
        if each in known:
            return known[each].saga
    raise NoSuchSaga(f"there is no saga {name} with the key {key!r} in this store. Fix: saga list --name {name}")
