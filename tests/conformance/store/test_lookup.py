"""Lookup: lists, filters, pages, one saga's history, parked messages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from saga.core.rows import INDEXED_BYTES_MAX, first_id_at, started_at
from saga.ports import Batch, SagaFilter, SagaRow, Store
from tests.conformance.store.places import (
    FUTURE,
    WEIRD_TEXTS,
    advance,
    changed,
    ids,
    new_saga,
    parked,
    started,
    stored,
    view,
)

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)


def id_at(moment: datetime, number: int = 0) -> str:
    return f"{first_id_at(moment)[:-12]}{number:012x}"


async def test_the_store_tells_its_time(store: Store) -> None:
    """The same that a commit tells."""
    before = (await store.commit(Batch())).now
    assert before <= await store.now() <= (await store.commit(Batch())).now


async def test_a_row_shows_what_was_committed(store: Store) -> None:
    """Every column of a saga that moved."""
    parent = ids.saga()
    start = new_saga(saga=id_at(NOON), root=parent, parent=parent, view=view(team="a"), wake_at=FUTURE)
    await store.commit(Batch(starts=[start]))
    moved = advance(start.saga, 1, view=view("compensating", "person", "refund parked", team="b", region="eu"))
    await store.commit(Batch(advances=[moved]))
    await store.dispatched({start.saga: 2})
    assert await store.sagas(SagaFilter()) == [
        SagaRow(
            saga=start.saga,
            name="order",
            start_key=start.start_key,
            definition=start.definition,
            definition_version=0,
            version=2,
            status="compensating",
            wait_kind="person",
            wait_text="refund parked",
            tags={"team": "b", "region": "eu"},
            root=parent,
            parent=parent,
            started_at=NOON,
            wake_at=FUTURE,
            dispatched_version=2,
        )
    ]


async def test_filters_narrow_the_list(store: Store) -> None:
    """Each field alone, and all together."""
    odd = new_saga(name="refund", start_key="k:odd", view=view("parked", "person", team="a", region="eu"))
    plain = [new_saga(view=view(team="a")) for _ in range(3)]
    await store.commit(Batch(starts=[*plain, odd]))
    everything: dict[str, Any] = {
        "ids": (odd.saga, "no id", ids.saga()),
        "name": "refund",
        "statuses": ("parked", "abandoned"),
        "wait_kind": "person",
        "start_key": "k:odd",
        "tags": {"region": "eu", "team": "a"},
    }
    for where in (*({field: value} for field, value in everything.items()), everything):
        assert [row.saga for row in await store.sagas(SagaFilter(**where))] == [odd.saga], where
    none: tuple[dict[str, Any], ...] = (
        {"ids": ("no id",)},
        {"name": "x"},
        {"statuses": ("x",)},
        {"wait_kind": ""},
        {"tags": {"team": "b"}},
    )
    for where in none:
        assert await store.sagas(SagaFilter(**where)) == [], where
    assert len(await store.sagas(SagaFilter(tags={"team": "a"}))) == 4


@pytest.mark.parametrize("text", WEIRD_TEXTS)
async def test_a_filter_may_hold_any_text(store: Store, text: str) -> None:
    """What a user types is data, and finds what was stored from the same text."""
    start = new_saga(name=f"n{text}", start_key=text, view=view(text, text, text, **{text: text}))
    await store.commit(Batch(starts=[start, new_saga()]))
    for where in (
        SagaFilter(name=f"n{text}"),
        SagaFilter(start_key=text),
        SagaFilter(statuses=(text,)),
        SagaFilter(wait_kind=text),
        SagaFilter(tags={text: text}),
    ):
        [row] = await store.sagas(where)
        assert (row.saga, row.status, row.wait_text) == (start.saga, stored(text), stored(text))


async def test_a_long_tag_is_found_by_its_whole_text(store: Store) -> None:
    """It is kept short, and a search is shortened alike; one that differs at its end is another."""
    long = "ü" * 2_000
    start = new_saga(view=view(customer=long))
    await store.commit(Batch(starts=[start, new_saga(view=view(customer=long + "x"))]))
    [row] = await store.sagas(SagaFilter(tags={"customer": long}))
    assert row.saga == start.saga
    assert len(row.tags["customer"].encode()) <= INDEXED_BYTES_MAX


async def test_a_list_is_read_page_by_page(store: Store) -> None:
    """Newest first; a page ends where the next begins, also while sagas are started in between."""
    sagas = sorted(await started(store, 25), reverse=True)
    seen: list[str] = []
    page = await store.sagas(SagaFilter(limit=10))
    while page:
        seen += [row.saga for row in page]
        await started(store)
        page = await store.sagas(SagaFilter(limit=10, before=seen[-1]))
    assert seen == sagas
    assert await store.sagas(SagaFilter(limit=0)) == []


async def test_a_list_can_be_cut_by_start_time(store: Store) -> None:
    """From a time on, and up to but not including a time, to the millisecond."""
    moments = [NOON + timedelta(milliseconds=number) for number in range(5)]
    sagas = [(await started(store, saga=id_at(moment, 1)))[0] for moment in moments]
    between = SagaFilter(started_after=moments[1], started_before=moments[3])
    assert [row.saga for row in await store.sagas(between)] == [sagas[2], sagas[1]]
    assert [row.started_at for row in await store.sagas(SagaFilter(started_after=moments[4]))] == [moments[4]]
    assert started_at(sagas[0]) == NOON


async def test_a_cursor_that_is_no_id_is_refused(store: Store) -> None:
    """The message says where a cursor comes from."""
    with pytest.raises(ValueError, match=r"before: 'page2'.*Fix: pass the last id"):
        await store.sagas(SagaFilter(before="page2"))


async def test_history_is_read_page_by_page(store: Store) -> None:
    """In order, with cause, time and data of each commit."""
    [saga] = await started(store)
    for version in range(1, 6):
        await store.commit(Batch(advances=[advance(saga, version, b"%d" % version, cause=f"tick {version}")]))
    first = await store.history(saga, limit=4)
    rest = await store.history(saga, after=first[-1].version)
    every = [*first, *rest]
    assert [len(first), len(rest)] == [4, 2]
    assert [(row.version, row.cause, row.data) for row in every][-2:] == [(5, "tick 4", b"4"), (6, "tick 5", b"5")]
    assert {row.saga for row in every} == {saga}
    assert [row.at for row in every] == sorted(row.at for row in every)
    assert await store.history(ids.saga()) == []


async def test_parked_messages_come_back_whole(store: Store) -> None:
    """Everything needed to send it again, bytes untouched, newest first, page by page."""
    messages = [parked(body=bytes([number, 0, 255]), headers={"b": "2", "a": "é"}) for number in range(5)]
    messages[0] = changed(messages[0], sender=None)
    for message in messages:
        await store.commit(Batch(parked=[message]))
    first = await store.parked(limit=2)
    rest = await store.parked(before=first[-1].id)
    assert [row.message for row in (*first, *rest)] == messages[::-1]
    assert [len(first), len(rest)] == [2, 3]
    assert all(row.at.tzinfo is not None for row in first)


async def test_the_same_message_is_parked_once(store: Store, rival: Store) -> None:
    """A redelivery is no second row; another reason is, and so is a message without an id."""
    message, nameless = parked(), parked(message_id="")
    for each in (store, rival, store):
        await each.commit(Batch(parked=[message, message, nameless]))
    await store.commit(Batch(parked=[changed(message, reason="sender-mismatch")]))
    reasons = [row.message.reason for row in await store.parked() if row.message.message_id]
    assert reasons == ["sender-mismatch", "unknown-saga"]
    assert len(await store.parked()) == 5


async def test_sagas_below_a_root_are_counted_and_listed(store: Store) -> None:
    """At any depth; a root is not below itself, and what is no id has nobody below it."""
    [root], [other] = await started(store), await started(store)
    [child] = await started(store, root=root, parent=root)
    [grandchild] = await started(store, root=root, parent=child)
    assert await store.count_children([root, other, child, "no id"]) == {root: 2}
    assert {row.saga for row in await store.sagas(SagaFilter(root=root))} == {child, grandchild}
    assert {row.saga for row in await store.sagas(SagaFilter(roots_only=True))} == {root, other}
    for nobody in (other, child, "no id", ""):
        assert await store.sagas(SagaFilter(root=nobody)) == []
