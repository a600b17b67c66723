"""Feed: everything committed is read once, in the order of each saga, by whoever holds the cursor."""

import asyncio
from itertools import pairwise

from saga.ports import BEGINNING, Batch, Feed, HistoryRow, Store
from tests.conformance.feed.conftest import Opening
from tests.conformance.store.places import Place, advance, new_saga, started

LEASE_SECONDS = 60.0
ENDED = 0.0
SHORT_SECONDS = 0.1
PATIENCE_SECONDS = 20.0
WRITERS = 4
SAGAS = 12
VERSIONS = 8

Key = tuple[str, int]


def keys(rows: list[HistoryRow] | tuple[HistoryRow, ...]) -> list[Key]:
    """Which commits these are."""
    return [(row.saga, row.version) for row in rows]


async def read_on(feed: Feed, position: str = BEGINNING, limit: int = 100) -> tuple[list[HistoryRow], str]:
    """Everything there is after the position, and the position after it."""
    found: list[HistoryRow] = []
    while True:
        page = await feed.read_after(position, limit)
        assert len(page.rows) <= limit
        assert page.restarted == ""
        found += page.rows
        position = page.position
        if not page.more:
            return found, position


async def moved(store: Store, saga: str, *versions: int) -> None:
    """Commit further versions, one after the other."""
    for version in versions:
        await store.commit(Batch(advances=[advance(saga, version - 1, f"v{version}".encode())]))


async def recorded(store: Store, sagas: list[str]) -> set[Key]:
    """What the journal itself says about these sagas."""
    return {key for saga in sagas for key in keys(list(await store.history(saga)))}


# -------------------------------------------------------------------------------------------------------------- reading


async def test_every_commit_is_read_with_all_it_says(store: Store, feed: Feed) -> None:
    """A row of the feed is the row of the history."""
    [saga] = await started(store)
    await moved(store, saga, 2, 3)
    found, _ = await read_on(feed)
    assert found == list(await store.history(saga))


async def test_an_empty_history_has_nothing(store: Store, feed: Feed) -> None:
    """And what is committed later follows on the position that was read there."""
    found, position = await read_on(feed)
    assert found == []
    sagas = await started(store, 3)
    found, _ = await read_on(feed, position)
    assert sorted(keys(found)) == sorted((saga, 1) for saga in sagas)


async def test_a_page_is_no_larger_than_asked_for(store: Store, feed: Feed) -> None:
    """However few a page holds, the pages together hold everything once, though one commit wrote it all."""
    sagas = await started(store, 7)
    for limit in (1, 2, 3, 7, 100):
        found, _ = await read_on(feed, limit=limit)
        assert sorted(keys(found)) == sorted((saga, 1) for saga in sagas)


async def test_pages_go_on_inside_a_batch(store: Store, feed: Feed) -> None:
    """The same holds for batches that are committed while somebody follows."""
    _, position = await read_on(feed)
    starts = [new_saga() for _ in range(5)]
    await store.commit(Batch(starts=starts))
    await store.commit(Batch(advances=[advance(start.saga, 1) for start in starts]))
    found, _ = await read_on(feed, position, limit=2)
    assert sorted(keys(found)) == sorted((start.saga, version) for start in starts for version in (1, 2))


async def test_nothing_is_read_twice(store: Store, feed: Feed, open_feed: Opening) -> None:
    """After a position comes what is newer, for this follower and for the one that continues."""
    sagas = await started(store, 4)
    found, position = await read_on(feed, limit=3)
    again, position = await read_on(feed, position)
    assert again == []
    await moved(store, sagas[0], 2)
    newer, _ = await read_on(await open_feed(), position)
    assert keys(newer) == [(sagas[0], 2)]
    assert len(found) == 4


async def test_the_versions_of_a_saga_come_in_order(store: Store, feed: Feed) -> None:
    """Whether they are read as they come or long after, by small pages."""
    _, begun = await read_on(feed)
    sagas = await started(store, 3)
    for version in range(2, 6):
        await store.commit(Batch(advances=[advance(saga, version - 1) for saga in reversed(sagas)]))
    for start in (BEGINNING, begun):
        found, _ = await read_on(feed, start, limit=4)
        for saga in sagas:
            assert [row.version for row in found if row.saga == saga] == [1, 2, 3, 4, 5]


async def test_nothing_is_skipped_while_many_write(place: Place, store: Store, feed: Feed) -> None:
    """Several processes commit; a follower beside them reads each commit once, and each saga in order."""
    writers = [await place.open() for _ in range(WRITERS)]
    sagas: list[str] = []
    done = asyncio.Event()

    async def write(writer: Store) -> None:
        for _ in range(SAGAS):
            [saga] = await started(writer)
            sagas.append(saga)
            await moved(writer, saga, *range(2, VERSIONS + 1))

    async def follow() -> list[Key]:
        position, found = BEGINNING, []
        while True:
            finished = done.is_set()
            rows, position = await read_on(feed, position, limit=5)
            found += keys(rows)
            if finished and not rows:
                return found
            await asyncio.sleep(0)

    following = asyncio.create_task(follow())
    await asyncio.gather(*map(write, writers))
    done.set()
    found = await following
    assert len(found) == len(set(found))
    assert set(found) == await recorded(store, sagas)
    for saga in sagas:
        versions = [version for key, version in found if key == saga]
        assert all(later == earlier + 1 for earlier, later in pairwise(versions))


# -------------------------------------------------------------------------------------------------------------- cursors


async def test_a_cursor_has_one_owner(feed: Feed, rival: Feed) -> None:
    """While the lease runs nobody else gets it; its owner gets it as often as it asks."""
    assert await feed.take_cursor("events", "one", LEASE_SECONDS) == BEGINNING
    assert await rival.take_cursor("events", "two", LEASE_SECONDS) is None
    assert await feed.take_cursor("events", "one", LEASE_SECONDS) == BEGINNING


async def test_of_many_who_ask_at_once_one_gets_it(open_feed: Opening) -> None:
    """Ten processes start together."""
    feeds = [await open_feed() for _ in range(10)]
    taken = await asyncio.gather(*(each.take_cursor("events", str(n), LEASE_SECONDS) for n, each in enumerate(feeds)))
    assert sorted(position is None for position in taken) == [False] + [True] * 9


async def test_a_lease_that_ended_is_taken_over(store: Store, feed: Feed, rival: Feed) -> None:
    """Who died is replaced, and its successor begins where it saved."""
    await started(store, 2)
    _, position = await read_on(feed)
    await feed.take_cursor("events", "one", LEASE_SECONDS)
    assert await feed.save_cursor("events", "one", position, ENDED)
    assert await rival.take_cursor("events", "two", LEASE_SECONDS) == position
    assert await feed.take_cursor("events", "one", LEASE_SECONDS) is None


async def test_a_lease_ends_by_itself(feed: Feed, rival: Feed) -> None:
    """Nobody has to give it up: whoever asks long enough gets it, by the store's clock."""
    await feed.take_cursor("events", "one", SHORT_SECONDS)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await rival.take_cursor("events", "two", LEASE_SECONDS) is None:
            await asyncio.sleep(SHORT_SECONDS)
    assert await feed.take_cursor("events", "one", SHORT_SECONDS) is None


async def test_who_lost_the_cursor_does_not_move_it(feed: Feed, rival: Feed) -> None:
    """A process that slept through its lease is told so, and what its successor saved stays."""
    await feed.take_cursor("events", "one", ENDED)
    await rival.take_cursor("events", "two", LEASE_SECONDS)
    assert await rival.save_cursor("events", "two", "7", LEASE_SECONDS)
    assert not await feed.save_cursor("events", "one", "3", LEASE_SECONDS)
    assert await rival.take_cursor("events", "two", LEASE_SECONDS) == "7"
    assert not await feed.save_cursor("nobody's", "one", "3", LEASE_SECONDS)


async def test_saving_prolongs_the_lease(feed: Feed, rival: Feed) -> None:
    """Who works need not ask for the cursor again."""
    await feed.take_cursor("events", "one", ENDED)
    assert await feed.save_cursor("events", "one", "1", LEASE_SECONDS)
    assert await rival.take_cursor("events", "two", LEASE_SECONDS) is None


async def test_a_cursor_survives_a_restart(store: Store, feed: Feed, open_feed: Opening) -> None:
    """What was saved is where the next process goes on: nothing twice, nothing left out."""
    sagas = await started(store, 5)
    await feed.take_cursor("events", "one", LEASE_SECONDS)
    page = await feed.read_after(BEGINNING, 2)
    await feed.save_cursor("events", "one", page.position, ENDED)
    await feed.close()
    successor = await open_feed()
    position = await successor.take_cursor("events", "two", LEASE_SECONDS)
    assert position is not None
    rest, _ = await read_on(successor, position)
    assert sorted(keys(page.rows) + keys(rest)) == sorted((saga, 1) for saga in sagas)


async def test_what_was_not_saved_is_read_again(store: Store, feed: Feed, rival: Feed) -> None:
    """A crash between delivering and saving: the successor delivers it once more."""
    await started(store, 3)
    await feed.take_cursor("events", "one", ENDED)
    page = await feed.read_after(BEGINNING, 2)
    position = await rival.take_cursor("events", "two", LEASE_SECONDS)
    assert position == BEGINNING
    assert (await rival.read_after(position, 2)).rows == page.rows


async def test_followers_of_two_names_do_not_know_of_each_other(store: Store, feed: Feed, rival: Feed) -> None:
    """Each has its own lease and its own position."""
    await started(store)
    _, position = await read_on(feed)
    await feed.take_cursor("events", "one", LEASE_SECONDS)
    await feed.save_cursor("events", "one", position, LEASE_SECONDS)
    assert await rival.take_cursor("traces", "two", LEASE_SECONDS) == BEGINNING
    assert await feed.take_cursor("events", "one", LEASE_SECONDS) == position
