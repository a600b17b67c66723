"""Journal: who wins, what is written, what comes back."""

import asyncio
import hashlib
import itertools

import pytest

from saga.ports import Batch, Store
from tests.conformance.store.places import (
    FUTURE,
    PAST,
    WEIRD_TEXTS,
    advance,
    changed,
    commits,
    ids,
    new_saga,
    parked,
    started,
    stored,
    view,
)

PAYLOAD_BYTES = 256 * 1024


async def test_a_start_is_the_first_commit(store: Store) -> None:
    """What was started can be loaded: version 1, its data, its row."""
    start = new_saga(wake_at=FUTURE, definition="abc")
    done = await store.commit(Batch(starts=[start]))
    tail = (await store.load({start.saga: 0}))[start.saga]
    assert done.sagas == {start.saga}
    assert (tail.saga, tail.name, tail.definition, tail.version) == (start.saga, "order", "abc", 1)
    assert (tail.wake_at, tail.dispatched_version, tail.commits) == (FUTURE, 0, (b"started",))


async def test_a_key_is_taken_for_ever(store: Store) -> None:
    """A second start under the same name and key loses, and `find` tells whose the key is."""
    first = new_saga(start_key="k:1", input_hash=b"hash of the first")
    await store.commit(Batch(starts=[first]))
    await store.commit(Batch(advances=[advance(first.saga, 1, view=view("completed"))]))
    second = new_saga(start_key="k:1")
    assert (await store.commit(Batch(starts=[second]))).sagas == frozenset()
    known = await store.find([("order", "k:1"), ("order", "k:2"), ("other", "k:1")])
    assert list(known) == [("order", "k:1")]
    found = known["order", "k:1"]
    assert (found.saga, found.input_hash, found.version, found.status) == (
        first.saga,
        b"hash of the first",
        2,
        "completed",
    )
    assert await store.load({second.saga: 0}) == {}


async def test_the_same_key_under_another_name_is_another_saga(store: Store) -> None:
    """Keys are unique within a definition's name."""
    starts = [new_saga(name=name, start_key="k:1") for name in ("order", "refund")]
    assert (await store.commit(Batch(starts=starts))).sagas == {start.saga for start in starts}


async def test_of_two_starts_with_one_key_in_a_batch_the_first_wins(store: Store) -> None:
    """A caller's duplicate that arrives in the same batch does not fail it."""
    first, second, other = new_saga(start_key="k:1"), new_saga(start_key="k:1"), new_saga()
    done = await store.commit(Batch(starts=[first, second, other]))
    assert done.sagas == {first.saga, other.saga}


async def test_two_processes_start_the_same_key_at_once(store: Store, rival: Store) -> None:
    """One of them wins, and the loser finds the winner."""
    for number in range(20):
        pair = [new_saga(start_key=f"k:race{number}") for _ in range(2)]
        one, two = await asyncio.gather(store.commit(Batch(starts=[pair[0]])), rival.commit(Batch(starts=[pair[1]])))
        [winner] = one.sagas | two.sagas
        for each in (store, rival):
            known = await each.find([("order", f"k:race{number}")])
            assert known["order", f"k:race{number}"].saga == winner


async def test_an_advance_counts_up(store: Store) -> None:
    """Each commit is one version, and the tail after any version is what followed it."""
    [saga] = await started(store)
    for version in range(1, 5):
        done = await store.commit(Batch(advances=[advance(saga, version, b"%d" % (version + 1))]))
        assert done.sagas == {saga}
    assert [(await store.load({saga: since}))[saga].commits for since in (0, 3, 5, 9)] == [
        (b"started", b"2", b"3", b"4", b"5"),
        (b"4", b"5"),
        (),
        (),
    ]
    assert (await store.load({saga: 9}))[saga].version == 5


async def test_who_expects_an_older_version_loses(store: Store) -> None:
    """A decision on stale state writes nothing."""
    [saga] = await started(store)
    await store.commit(Batch(advances=[advance(saga, 1, b"first")]))
    for expected in (1, 0, 3):
        assert (await store.commit(Batch(advances=[advance(saga, expected, b"other")]))).sagas == frozenset()
    assert await commits(store, saga) == (b"started", b"first")


async def test_one_loser_does_not_stop_the_others(store: Store) -> None:
    """Losers of a batch are left out one by one; the rest is written."""
    first, second, third = await started(store, 3)
    await store.commit(Batch(advances=[advance(second, 1, b"faster")]))
    taken, fresh = new_saga(start_key="k:taken"), new_saga()
    await store.commit(Batch(starts=[changed(taken, saga=ids.saga())]))
    unknown = ids.saga()
    done = await store.commit(
        Batch(
            starts=[taken, fresh],
            advances=[advance(saga, 1, b"batch") for saga in (third, second, unknown, first)],
            parked=[parked()],
        )
    )
    assert done.sagas == {first, third, fresh.saga}
    assert await commits(store, second) == (b"started", b"faster")
    assert await commits(store, first) == (b"started", b"batch")
    assert len(await store.parked()) == 1


async def test_a_batch_sent_again_counts_as_won(store: Store) -> None:
    """After a lost answer the same batch is safe: nothing is written twice and every saga of it won."""
    [saga] = await started(store)
    batch = Batch(starts=[new_saga(), new_saga()], advances=[advance(saga, 1)], parked=[parked()])
    first = await store.commit(batch)
    again = await store.commit(batch)
    assert again.sagas == first.sagas == {saga, *(start.saga for start in batch.starts)}
    assert await commits(store, saga) == (b"started", b"moved")
    assert len(await store.parked()) == 1


async def test_a_batch_sent_again_after_others_went_on_still_counts_as_won(store: Store) -> None:
    """The row at our version decides, not the version the saga has now."""
    [saga] = await started(store)
    batch = Batch(starts=[new_saga()], advances=[advance(saga, 1)])
    won = (await store.commit(batch)).sagas
    await store.commit(Batch(advances=[advance(one, 2 if one == saga else 1, b"later") for one in won]))
    assert (await store.commit(batch)).sagas == won
    assert (await store.load({saga: 0}))[saga].version == 3


async def test_another_commit_at_our_version_is_no_success(store: Store) -> None:
    """Sent again with other data it lost."""
    start = new_saga()
    await store.commit(Batch(starts=[start]))
    await store.commit(Batch(advances=[advance(start.saga, 1, b"theirs")]))
    retried = Batch(starts=[changed(start, data=b"changed")])
    assert (await store.commit(retried)).sagas == frozenset()
    assert (await store.commit(Batch(advances=[advance(start.saga, 1, b"ours")]))).sagas == frozenset()


async def test_three_writers_neither_fork_nor_block(place_stores: list[Store]) -> None:
    """Overlapping batches in any order: each version is written once, and the winners' counts add up."""
    sagas = await started(place_stores[0], 30)
    won: list[tuple[str, int]] = []

    async def write(number: int, store: Store) -> None:
        known = dict.fromkeys(sagas, 1)
        for turn in range(25):
            chosen = [sagas[(number * 7 + turn * 11 + step * (number + 1)) % 30] for step in range(12)]
            chosen = list(dict.fromkeys(chosen))
            known |= {saga: tail.version for saga, tail in (await store.load(known)).items()}
            data = b"%d/%d" % (number, turn)
            done = await store.commit(Batch(advances=[advance(saga, known[saga], data) for saga in chosen]))
            won.extend((saga, known[saga] + 1) for saga in done.sagas)
            # What else an orchestrator writes to the same rows, in another order.
            await store.dispatched({saga: known[saga] for saga in reversed(chosen)})
            await store.rearm({saga: (known[saga], PAST) for saga in chosen})
            await store.claim(10, 0)

    await asyncio.wait_for(asyncio.gather(*itertools.starmap(write, enumerate(place_stores))), 60)
    assert len(won) == len(set(won))
    for saga, tail in (await place_stores[0].load(dict.fromkeys(sagas, 0))).items():
        assert len(tail.commits) == tail.version == 1 + sum(1 for one, _ in won if one == saga)


async def test_payloads_come_back_byte_for_byte(store: Store) -> None:
    """Bytes are kept as they are: NUL, invalid UTF-8, 256 KiB."""
    blob = hashlib.shake_256(b"any bytes").digest(PAYLOAD_BYTES)
    payloads = [b"", b"\x00", b"\x00\xff\xfe\x80", b"\\x00", blob]
    starts = [new_saga(data=data, input_hash=data[:64]) for data in payloads]
    await store.commit(Batch(starts=starts))
    await store.commit(Batch(advances=[advance(start.saga, 1, start.data[::-1]) for start in starts]))
    tails = await store.load({start.saga: 0 for start in starts})
    assert [tails[start.saga].commits for start in starts] == [(data, data[::-1]) for data in payloads]
    known = await store.find([(start.name, start.start_key) for start in starts])
    assert [known[start.name, start.start_key].input_hash for start in starts] == [data[:64] for data in payloads]


@pytest.mark.parametrize("text", WEIRD_TEXTS)
async def test_no_text_poisons_a_batch(store: Store, text: str) -> None:
    """A NUL in one saga's text costs that text a character and nobody else anything."""
    other = new_saga()
    odd = new_saga(start_key=f"k:{text}", cause=text, view=view("running", "person", text, **{f"tag {text}": text}))
    message = parked(detail=text, routing_key=text, headers={f"saga-{text}": text}, sender=text, message_id=f"m{text}")
    done = await store.commit(Batch(starts=[other, odd], parked=[message]))
    assert done.sagas == {other.saga, odd.saga}
    moved = Batch(advances=[advance(odd.saga, 1, cause=text, view=view(wait_text=text)), advance(other.saga, 1)])
    assert (await store.commit(moved)).sagas == done.sagas
    assert (await store.find([("order", f"k:{text}")]))["order", f"k:{text}"].saga == odd.saga
    assert [row.cause for row in await store.history(odd.saga)] == [stored(text)] * 2
    [row] = await store.parked()
    assert row.message.headers == {stored(f"saga-{text}"): stored(text)}
    assert (row.message.detail, row.message.sender) == (stored(text), stored(text))


async def test_a_key_of_any_length_is_a_key(store: Store) -> None:
    """Keys too long for an index are told apart all the same."""
    keys = ["k:" + "é" * 5_000 + end for end in "ab"]
    starts = [new_saga(start_key=key, view=view("s" * 9_000, "w" * 9_000)) for key in keys]
    assert len((await store.commit(Batch(starts=starts))).sagas) == 2
    known = await store.find([("order", key) for key in keys])
    assert [known["order", key].saga for key in keys] == [start.saga for start in starts]


async def test_an_id_that_is_none_is_unknown(store: Store) -> None:
    """An id made up by a peer finds nothing and disturbs nobody."""
    [saga] = await started(store)
    made_up = dict.fromkeys(["", "x", "\x00", saga.upper(), f"{{{saga}}}", saga.replace("-", ""), "\ud800"], 0)
    assert list(await store.load({**made_up, saga: 0})) == [saga]
    await store.dispatched({**made_up, saga: 1})
    await store.rearm({**dict.fromkeys(made_up, (1, FUTURE)), saga: (1, FUTURE)})
    assert (await store.load({saga: 0}))[saga].wake_at == FUTURE
    for one in made_up:
        assert await store.history(one) == []


async def test_a_batch_names_a_saga_once(store: Store) -> None:
    """Two commits of one saga in a batch would be decided on the same state: refused before anything is written."""
    [saga] = await started(store)
    for batch in (
        Batch(advances=[advance(saga, 1), advance(saga, 2)]),
        Batch(starts=[new_saga(saga=saga)], advances=[advance(saga, 1)]),
        Batch(advances=[advance("order-42", 1)]),
    ):
        with pytest.raises(ValueError, match=r"Fix: "):
            await store.commit(batch)
    assert await commits(store, saga) == (b"started",)


async def test_an_empty_batch_tells_the_time(store: Store) -> None:
    """A commit of nothing is allowed; store time does not go back."""
    first, second = await store.commit(Batch()), await store.commit(Batch())
    assert first.sagas == second.sagas == frozenset()
    assert first.now <= second.now
    assert first.now.utcoffset() is not None
