"""Wakes: what is due is claimed once, and what was dispatched is never forgotten."""

import asyncio
from datetime import UTC, datetime, timedelta

from saga.ports import Batch, Store
from tests.conformance.store.places import FUTURE, PAST, advance, later, new_saga, started

LEASE_SECONDS = 60.0


async def wake_at(store: Store, saga: str) -> datetime | None:
    return (await store.load({saga: 0}))[saga].wake_at


async def test_a_due_saga_is_claimed_once(store: Store, rival: Store) -> None:
    """The lease pushes it out: nobody else is told about it meanwhile."""
    before = datetime.now(UTC)
    [saga] = await started(store, wake_at=PAST)
    [due] = await store.claim(10, LEASE_SECONDS)
    assert (due.saga, due.wake_at) == (saga, PAST)
    assert await rival.claim(10, LEASE_SECONDS) == []
    leased = await wake_at(store, saga)
    assert leased is not None
    assert timedelta(seconds=0) <= leased - later(before, LEASE_SECONDS) < timedelta(minutes=1)


async def test_a_claim_tells_the_time_of_the_store(store: Store) -> None:
    """The time by which it found the saga due: between the commits before and after it."""
    await started(store, wake_at=PAST)
    before = (await store.commit(Batch())).now
    [due] = await store.claim(10, LEASE_SECONDS)
    assert before <= due.now <= (await store.commit(Batch())).now


async def test_a_lease_that_ended_is_due_again(store: Store, rival: Store) -> None:
    """Who claimed and died is replaced."""
    [saga] = await started(store, wake_at=PAST)
    await store.claim(10, -1)
    assert [due.saga for due in await rival.claim(10, LEASE_SECONDS)] == [saga]


async def test_what_is_not_due_is_left_alone(store: Store) -> None:
    """The future and no time at all are not due."""
    await started(store, wake_at=FUTURE)
    await started(store, wake_at=None)
    assert await store.claim(10, LEASE_SECONDS) == []


async def test_the_earliest_are_claimed_first(store: Store) -> None:
    """A limit takes the most overdue; the rest is for the next claim, so no saga starves."""
    order = [3, 1, 4, 0, 2]
    sagas = {number: (await started(store, wake_at=later(PAST, number)))[0] for number in order}
    first = await store.claim(2, LEASE_SECONDS)
    rest = await store.claim(10, LEASE_SECONDS)
    assert [due.saga for due in first] == [sagas[0], sagas[1]]
    assert [due.saga for due in rest] == [sagas[2], sagas[3], sagas[4]]
    assert await store.claim(0, LEASE_SECONDS) == []


async def test_orchestrators_share_what_is_due(place_stores: list[Store]) -> None:
    """Claims at the same moment hand out every due saga exactly once."""
    sagas = await started(place_stores[0], 60, wake_at=PAST)
    claimed = []
    for _ in range(4):
        shares = await asyncio.gather(*(store.claim(10, LEASE_SECONDS) for store in place_stores))
        claimed += [due.saga for share in shares for due in share]
    assert sorted(claimed) == sorted(sagas)


async def test_a_commit_leaves_the_time_alone_sets_or_clears_it(store: Store) -> None:
    """UNSET, a time and None are three different things."""
    [saga] = await started(store, wake_at=FUTURE)
    await store.commit(Batch(advances=[advance(saga, 1)]))
    assert await wake_at(store, saga) == FUTURE
    exact = PAST.replace(microsecond=123_457)
    await store.commit(Batch(advances=[advance(saga, 2, wake_at=exact)]))
    assert await wake_at(store, saga) == exact
    await store.commit(Batch(advances=[advance(saga, 3, wake_at=None)]))
    assert await wake_at(store, saga) is None


async def test_an_earlier_alarm_survives_a_commit_that_did_not_see_it(store: Store) -> None:
    """Between reading a row and committing, another process may have set its alarm; no timer may be lost by that."""
    [saga] = await started(store, wake_at=PAST)
    for version, given in enumerate((FUTURE, None), start=1):
        await store.commit(Batch(advances=[advance(saga, version, wake_at=given, only_earlier=True)]))
        assert await wake_at(store, saga) == PAST
    sooner = later(PAST, -60)
    await store.commit(Batch(advances=[advance(saga, 3, wake_at=sooner, only_earlier=True)]))
    assert await wake_at(store, saga) == sooner
    await store.commit(Batch(advances=[advance(saga, 4, wake_at=None)]))
    await store.commit(Batch(advances=[advance(saga, 5, wake_at=FUTURE, only_earlier=True)]))
    assert await wake_at(store, saga) == FUTURE
    assert await store.claim(10, LEASE_SECONDS) == []


async def test_a_loser_does_not_touch_the_time(store: Store) -> None:
    """Neither a lost commit nor one that was sent again writes `wake_at`."""
    [saga] = await started(store)
    batch = Batch(advances=[advance(saga, 1, wake_at=PAST)])
    await store.commit(batch)
    await store.rearm({saga: (2, FUTURE)})
    assert (await store.commit(batch)).sagas == {saga}
    await store.commit(Batch(advances=[advance(saga, 1, b"stale", wake_at=None)]))
    assert await wake_at(store, saga) == FUTURE


async def test_rearm_writes_only_where_the_version_still_stands(store: Store) -> None:
    """Who went on has set its own time."""
    still, moved = await started(store, 2, wake_at=PAST)
    await store.commit(Batch(advances=[advance(moved, 1)]))
    await store.rearm({still: (1, FUTURE), moved: (1, FUTURE)})
    assert (await wake_at(store, still), await wake_at(store, moved)) == (FUTURE, PAST)
    await store.rearm({still: (1, None)})
    assert await wake_at(store, still) is None
    await store.rearm({})


async def test_rearming_earlier_makes_it_due_again(store: Store) -> None:
    """A time set back into the past is found, however often it was set before."""
    [saga] = await started(store, wake_at=PAST)
    for _ in range(3):
        assert [due.saga for due in await store.claim(10, LEASE_SECONDS)] == [saga]
        await store.rearm({saga: (1, PAST)})
    assert [due.wake_at for due in await store.claim(10, LEASE_SECONDS)] == [PAST]
    assert await store.claim(10, LEASE_SECONDS) == []


async def test_dispatched_only_rises(store: Store) -> None:
    """A slow confirm of an older commit does not undo a newer one, and a commit does not touch it."""
    [saga] = await started(store)
    other = new_saga()
    await store.commit(Batch(starts=[other]))
    seen = []
    for version in (1, 3, 2, 3):
        await store.dispatched({saga: version})
        seen.append((await store.load({saga: 0}))[saga].dispatched_version)
    await store.commit(Batch(advances=[advance(saga, 1)]))
    tails = await store.load({saga: 0, other.saga: 0})
    assert seen == [1, 3, 3, 3]
    assert (tails[saga].dispatched_version, tails[other.saga].dispatched_version) == (3, 0)
    await store.dispatched({})
