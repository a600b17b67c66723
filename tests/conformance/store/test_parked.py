"""Parked messages: found by what they are, settled by operators, never deleted."""

import pytest

from saga.ports import Batch, ParkedAction, ParkedCount, ParkedFilter, SagaFilter, Store
from tests.conformance.store.places import FUTURE, PAST, WEIRD_TEXTS, new_saga, parked, started, stored, view

REDRIVEN = ParkedAction("redriven", "ann", "the definition is published now")


async def keep(store: Store, **changes: str) -> int:
    """The number of a newly parked message."""
    await store.commit(Batch(parked=[parked(**changes)]))
    return (await store.parked(limit=1))[0].id


async def test_filters_narrow_the_list(store: Store) -> None:
    """Each field alone, and all together; what is no number matches nothing."""
    other = [await keep(store) for _ in range(2)]
    mine = await keep(store, origin="saga.start", reason="not-json")
    assert await store.note_parked(mine, REDRIVEN)
    for where in (
        ParkedFilter(ids=(mine, 10**30, -1)),
        ParkedFilter(origin="saga.start"),
        ParkedFilter(reason="not-json"),
        ParkedFilter(settled=True),
        ParkedFilter(ids=(mine,), origin="saga.start", reason="not-json", settled=True, after=other[-1]),
    ):
        assert [row.id for row in await store.parked(where)] == [mine], where
    assert [row.id for row in await store.parked(ParkedFilter(settled=False))] == other[::-1]
    for nothing in (ParkedFilter(ids=(10**30,)), ParkedFilter(origin="x"), ParkedFilter(after=10**30)):
        assert await store.parked(nothing) == []
    assert await store.parked(before=-(10**30)) == []


async def test_pages_go_both_ways(store: Store) -> None:
    """Newest first, or from the oldest on."""
    numbers = [await keep(store) for _ in range(5)]
    assert [row.id for row in await store.parked(before=numbers[3], limit=2)] == [numbers[2], numbers[1]]
    oldest = await store.parked(ParkedFilter(after=0), limit=2)
    assert [row.id for row in oldest] == numbers[:2]
    assert [row.id for row in await store.parked(ParkedFilter(after=numbers[1]))] == numbers[2:]


async def test_actions_are_added_in_order(store: Store, rival: Store) -> None:
    """Who, when, why; a message that is only being sent is not settled yet."""
    number = await keep(store)
    assert await store.note_parked(number, ParkedAction("redriving", "ann", "a"))
    [row] = await rival.parked()
    assert (row.settled, [action.verb for action in row.actions]) == (None, ["redriving"])
    assert await rival.note_parked(number, ParkedAction("redriven", "ann", "a"))
    assert await store.note_parked(number, ParkedAction("redriving", "bob", "b"))
    [row] = await store.parked()
    assert row.settled == "redriven"
    assert [(one.verb, one.actor, one.reason) for one in row.actions] == [
        ("redriving", "ann", "a"),
        ("redriven", "ann", "a"),
        ("redriving", "bob", "b"),
    ]
    moments = [action.at for action in row.actions]
    assert all(at is not None and at >= row.at for at in moments)
    assert await store.note_parked(number, ParkedAction("discarded", "bob", "b"))
    assert (await store.parked())[0].settled == "discarded"
    assert (await store.parked())[0].message == row.message


async def test_no_action_without_a_message(store: Store) -> None:
    """A number nobody has, however large, is an answer."""
    number = await keep(store)
    for nobody in (number + 1, 0, -1, 10**30):
        assert not await store.note_parked(nobody, REDRIVEN)


@pytest.mark.parametrize("text", WEIRD_TEXTS)
async def test_a_reason_may_be_any_text(store: Store, text: str) -> None:
    """What an operator types is data."""
    number = await keep(store)
    assert await store.note_parked(number, ParkedAction("discarded", text, text))
    [row] = await store.parked()
    assert (row.actions[0].actor, row.actions[0].reason) == (stored(text), stored(text))


async def test_what_was_sent_again_in_vain_is_parked_anew(store: Store) -> None:
    """The same message is one row until an operator acts on it; parked after that it is seen again."""
    message = parked()
    await store.commit(Batch(parked=[message]))
    [row] = await store.parked()
    await store.note_parked(row.id, ParkedAction("redriving", "ann", "a"))
    await store.commit(Batch(parked=[message]))  # before the sending could be noted
    await store.note_parked(row.id, REDRIVEN)
    await store.commit(Batch(parked=[message]))
    [unsettled] = await store.parked(ParkedFilter(settled=False))
    assert unsettled.message == message
    assert len(await store.parked()) == 2


async def test_counts_say_what_is_to_be_decided(store: Store) -> None:
    """By reason and queue, most numerous first, with the oldest of each; settled ones do not count."""
    first = await keep(store, reason="not-json")
    for _ in range(2):
        await keep(store, reason="not-json")
    start = await keep(store, reason="unknown-saga", origin="saga.start")
    await store.note_parked(await keep(store, reason="nul"), REDRIVEN)
    moments = {row.id: row.at for row in await store.parked()}
    assert await store.parked_counts() == [
        ParkedCount("saga.replies", "not-json", 3, first, moments[first]),
        ParkedCount("saga.start", "unknown-saga", 1, start, moments[start]),
    ]
    assert [(count.reason, count.count) for count in await store.parked_counts(newest=2)] == [
        ("not-json", 1),
        ("unknown-saga", 1),
    ]


async def test_sagas_can_be_listed_from_the_oldest(store: Store) -> None:
    """Those that wait longest, and those whose alarm is overdue, come first."""
    sagas = sorted(await started(store, 3, view=view("parked", "parked")))
    where = SagaFilter(statuses=("parked",), oldest_first=True, limit=2)
    assert [row.saga for row in await store.sagas(where)] == sagas[:2]
    alarms = [new_saga(wake_at=at) for at in (FUTURE, PAST, PAST.replace(year=2000))]
    await store.commit(Batch(starts=alarms))
    overdue = await store.sagas(SagaFilter(due_before=FUTURE))
    assert [row.saga for row in overdue] == [alarms[2].saga, alarms[1].saga]
