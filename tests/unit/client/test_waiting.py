"""Who waits for what, and the ends that are at hand."""

import asyncio

from saga.client.waiting import Shelf, Waits
from saga.core.messages import ResultKind, ResultMessage


def end(of: str, output: bytes = b"{}") -> ResultMessage:
    """How the saga of a start ended."""
    return ResultMessage(
        kind=ResultKind.ENDED, reply_to="shop.desk", in_reply_to=of, saga="s", status="completed", output=output
    )


async def test_an_answer_reaches_all_who_wait_and_nobody_else() -> None:
    """The first to leave takes nothing from the second; after the last one nobody waits."""
    waits = Waits()
    with waits.waiting("a") as second:
        with waits.waiting("a") as first, waits.waiting("b") as other:
            assert first is second
        assert len(waits) == 1
        assert waits.hear(end("a"))
        assert waits.hear(end("a"))  # at least once
        assert not waits.hear(end("b"))
        assert (await second, other.done()) == (end("a"), False)
    assert not waits.hear(end("a"))
    assert not waits


async def test_one_who_is_cancelled_leaves_too() -> None:
    """However the block ends."""
    waits = Waits()

    async def wait() -> None:
        with waits.waiting("a") as answer:
            await asyncio.wait({answer})

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    assert len(waits) == 1
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not waits


def test_the_shelf_is_bounded_by_count_and_by_bytes() -> None:
    """The oldest goes first; what is taken or replaced makes room."""
    shelf = Shelf(count_max=3, bytes_max=10)
    for of in ("a", "b", "c", "a", "d"):
        shelf.put(end(of))
    assert [of for of in "abcd" if of in shelf] == ["a", "c", "d"]
    shelf.put(end("e", b"1234567"))
    assert [of for of in "acde" if of in shelf] == ["d", "e"]
    assert shelf.take("e") == end("e", b"1234567")
    assert shelf.take("e") is None
    shelf.put(end("f", b"12345678"))
    assert [of for of in "df" if of in shelf] == ["d", "f"]
