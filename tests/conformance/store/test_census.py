"""The census: open sagas counted exactly, and the oldest waits among those that were started first."""

from datetime import timedelta

from saga.core.rows import first_id_at
from saga.ports import Batch, OpenCount, Store
from saga.ports.census import OLDEST_LOOKED_AT
from tests.conformance.store.places import PAST, advance, new_saga, started, view


def id_of(number: int) -> str:
    """Of the saga that was started as the so many-th."""
    return f"{first_id_at(PAST + timedelta(days=number))[:-12]}{number:012x}"


async def test_an_empty_store_has_nothing_open(store: Store) -> None:
    """And says what time it is."""
    before = (await store.commit(Batch())).now
    found = await store.standing()
    assert (found.open, found.oldest) == ((), ())
    assert before <= found.now <= (await store.commit(Batch())).now


async def test_open_sagas_are_counted_by_definition_status_and_wait(store: Store) -> None:
    """Those that ended wait for nothing, and are not among them."""
    await started(store, 3, view=view("running", "approval"))
    await started(store, 2, view=view("running", "reply"), name="refund")
    await started(store, 1, view=view("parked", "parked"))
    [ending] = await started(store, 1, view=view("running", "reply"))
    await started(store, 4, view=view("completed", ""))
    await store.commit(Batch(advances=[advance(ending, 1, view=view("compensated", ""))]))
    found = await store.standing()
    assert sorted(found.open, key=str) == sorted(
        [
            OpenCount("order", "running", "approval", 3),
            OpenCount("refund", "running", "reply", 2),
            OpenCount("order", "parked", "parked", 1),
        ],
        key=str,
    )
    assert {each.wait_kind for each in found.oldest} == {"approval", "reply", "parked"}
    assert all(each.since <= found.now for each in found.oldest)


async def test_the_oldest_wait_is_that_of_the_saga_that_did_not_move(store: Store) -> None:
    """Not that of the oldest saga: it moved since."""
    old, still = id_of(1), id_of(2)
    for saga in (old, still):
        await store.commit(Batch(starts=[new_saga(saga=saga, view=view("running", "approval"))]))
    await store.commit(Batch(advances=[advance(old, 1, view=view("running", "approval"))]))
    [stood] = await store.history(still)
    [found] = (await store.standing()).oldest
    assert (found.wait_kind, found.since) == ("approval", stood.at)


async def test_only_the_first_started_are_looked_at(store: Store) -> None:
    """However many wait: one that was started later than a hundred others is not asked how long."""
    await store.commit(
        Batch(starts=[new_saga(saga=id_of(500 + n), view=view("running", "signal")) for n in range(OLDEST_LOOKED_AT)])
    )
    [first] = await store.history(id_of(500))
    for number in range(OLDEST_LOOKED_AT):
        await store.commit(Batch(advances=[advance(id_of(500 + number), 1, view=view("running", "signal"))]))
    moved = [(await store.history(id_of(500 + number)))[-1].at for number in range(OLDEST_LOOKED_AT)]
    await store.commit(Batch(starts=[new_saga(saga=id_of(1_000), view=view("running", "signal"))]))
    found = await store.standing()
    assert found.open == (OpenCount("order", "running", "signal", OLDEST_LOOKED_AT + 1),)
    assert [each.since for each in found.oldest] == [min(moved)]
    assert first.at <= min(moved)
