"""The deliveries that every participant must survive, each with the rule it is about.

The numbers are those of what a participant must do, in the wire contract.
"""

from collections.abc import Awaitable, Callable

from saga.contract import Effect
from saga.core.messages import Outcome, RefusedCode, ReplyEffect, ReplyMessage
from saga.testing.deliveries import CANCELLED, IN_DOUBT, Broken, Life, MayDoubt, said, spelt

ONCE = "a known key is answered again from the inbox, and nothing is done twice (2)"
TOGETHER = "of deliveries at the same time one is worked on, the others are told to come back (2)"
ATOMIC = "what an interrupted run did is undone by its transaction, found by its key or probe, or in doubt (2, 4)"
OTHER_BYTES = "a key with other bytes is refused as key-reused (2)"
EXPIRED = "the key is looked up before the expiry; an unknown key that has expired is refused as expired (3)"
UNREADABLE = "a body that is no such command is refused as invalid-payload (1)"
TOMBSTONE = "an undo that comes first leaves a tombstone, answers ok/none, and the late command is refused (5)"
UNDONE = "an undo takes the effect back, once (5)"
UNDO_IN_DOUBT = "an undo ends what an interrupted run left, and nothing of it comes after (5)"
FORGOTTEN = "the undo of a forgotten command works from its own fields or is in doubt, and never answers none (5)"
REFUSAL = "a declared refusal has no effect, and there is nothing to undo (2, 5)"
CHANGES_NOTHING = "a read_only command changes nothing, however often it comes"
AWAITS_MAX = 300

Story = Callable[[Life], Awaitable[None]]
Deadly = Callable[[Life, int], Awaitable[bool]]
"""With the await at which the process dies; False when it was done before."""


async def comes_again(life: Life) -> None:
    """The reply was lost, or the broker delivered it twice."""
    first = await life.do()
    again = await life.do(process=1)
    effect = ReplyEffect.REPLAYED if first.outcome is Outcome.OK else None
    said(again, first.outcome, effect, rule=ONCE)
    if again.body != first.body:
        raise Broken(ONCE, f"the stored answer {first.body.decode()}", again.body.decode())
    await life.stands(1, ONCE)


async def comes_at_the_same_time(life: Life) -> None:
    """Two processes take it at once."""
    await life.together(life.do(), life.do(process=1), life.do(process=1), life.do())
    await life.stands(1, TOGETHER)
    await life.until_settled(life.do)
    await life.stands(1, TOGETHER)


async def dies_and_comes_again(life: Life, at: int) -> bool:
    """The process is killed, and another one gets the command."""
    died = await life.die(at)
    reply = await life.until_settled(lambda: life.do(process=1))
    if _in_doubt(life, reply):
        await life.done_or_not(ATOMIC)
    else:
        if reply.outcome is Outcome.REFUSED:
            raise Broken(ATOMIC, "a definite answer", f"the answer {spelt(reply)}")
        await life.stands(1, ATOMIC)
    await life.do()
    await life.done_or_not(ATOMIC)
    return died


async def other_bytes(life: Life) -> None:
    """The same key with another body."""
    await life.do()
    again = await life.do(process=1, body=life.action.body + b" ")
    said(again, Outcome.REFUSED, code=RefusedCode.KEY_REUSED, rule=OTHER_BYTES)
    await life.stands(1, OTHER_BYTES)


async def expired(life: Life) -> None:
    """It comes too late; then in time; then a repeat comes too late."""
    said(await life.do(expired=True), Outcome.REFUSED, code=RefusedCode.EXPIRED, rule=EXPIRED)
    await life.stands(0, EXPIRED)
    first = await life.do()
    said(await life.do(expired=True), first.outcome, rule=EXPIRED)
    await life.stands(1, EXPIRED)


async def unreadable(life: Life) -> None:
    """A body that is something else."""
    reply = await life.do(body=b'"something else"')
    said(reply, Outcome.REFUSED, code=RefusedCode.INVALID_PAYLOAD, rule=UNREADABLE)
    await life.stands(0, UNREADABLE)


async def undone_first(life: Life) -> None:
    """The compensation overtakes the command."""
    said(await life.undo("unknown"), Outcome.OK, ReplyEffect.NONE, rule=TOMBSTONE)
    await life.stands(0, TOMBSTONE)
    said(await life.do(process=1), Outcome.REFUSED, code=CANCELLED, rule=TOMBSTONE)
    await life.stands(0, TOMBSTONE)
    said(await life.undo("unknown", process=1), Outcome.OK, ReplyEffect.NONE, rule=TOMBSTONE)
    await life.stands(0, TOMBSTONE)


async def undone_twice(life: Life) -> None:
    """Done, undone, undone again; then the command comes once more."""
    await life.do()
    said(await life.undo("ok", process=1), Outcome.OK, ReplyEffect.APPLIED, rule=UNDONE)
    await life.stands(0, UNDONE)
    said(await life.undo("ok"), Outcome.OK, ReplyEffect.REPLAYED, rule=UNDONE)
    await life.stands(0, UNDONE)
    await life.do(process=1)
    await life.stands(0, UNDONE)


async def undone_at_the_same_time(life: Life) -> None:
    """Done; then two processes undo it at once."""
    await life.do()
    await life.together(life.undo("ok"), life.undo("ok", process=1))
    await life.until_settled(lambda: life.undo("ok"))
    await life.stands(0, UNDONE)


async def undone_while_done(life: Life) -> None:
    """The command and its compensation arrive together."""
    await life.together(life.do(), life.undo("unknown", process=1))
    reply = await life.until_settled(lambda: life.undo("unknown"))
    if not _in_doubt(life, reply):
        said(reply, Outcome.OK, rule=UNDO_IN_DOUBT)
        await life.until_settled(lambda: life.do(process=1))
        await life.stands(0, UNDO_IN_DOUBT)


async def dies_and_is_undone(life: Life, at: int) -> bool:
    """The process is killed, the saga gives up and undoes; then the command comes again."""
    died = await life.die(at)
    reply = await life.until_settled(lambda: life.undo("unknown", process=1))
    if _in_doubt(life, reply):
        await life.done_or_not(UNDO_IN_DOUBT)
        return died
    said(reply, Outcome.OK, rule=UNDO_IN_DOUBT)
    await life.stands(0, UNDO_IN_DOUBT)
    await life.until_settled(life.do)
    await life.stands(0, UNDO_IN_DOUBT)
    return died


async def dies_while_undoing(life: Life, at: int) -> bool:
    """The process is killed in the middle of the undo, and another one gets it."""
    await life.do()
    died = await life.die(at, undoing=True)
    said(await life.until_settled(lambda: life.undo("ok", process=1)), Outcome.OK, rule=UNDONE)
    await life.stands(0, UNDONE)
    return died


async def undone_after_it_was_forgotten(life: Life) -> None:
    """The engine waited so long that the inbox forgot."""
    await life.do()
    if not await life.forget():
        return
    reply = await life.undo("ok")
    if reply.outcome is Outcome.REFUSED:
        said(reply, Outcome.REFUSED, code=IN_DOUBT, rule=FORGOTTEN)
        await life.stands(1, FORGOTTEN)
    else:
        said(reply, Outcome.OK, ReplyEffect.APPLIED, rule=FORGOTTEN)
        await life.stands(0, FORGOTTEN)


async def undone_though_refused(life: Life) -> None:
    """The command was refused for a declared reason; an undo comes nevertheless."""
    await life.do()
    said(await life.undo("unknown", process=1), Outcome.OK, ReplyEffect.NONE, rule=REFUSAL)
    await life.stands(0, REFUSAL)


async def only_reads(life: Life) -> None:
    """It comes three times, once too late."""
    first = await life.do()
    said(await life.do(process=1), first.outcome, rule=CHANGES_NOTHING)
    said(await life.do(expired=True), Outcome.REFUSED, code=RefusedCode.EXPIRED, rule=EXPIRED)
    await life.stands(0, CHANGES_NOTHING)


def stories_of(effect: Effect, *, refused: bool, undone: bool) -> tuple[list[Story], list[Deadly]]:
    """What a command with this effect is to be told; `refused` where it answers with a declared failure."""
    if effect is Effect.READ_ONLY:
        return [only_reads, unreadable], []
    plain: list[Story] = [comes_again, comes_at_the_same_time, other_bytes, expired, unreadable]
    if not undone:
        return plain, [dies_and_comes_again]
    if refused:
        return [*plain, undone_first, undone_though_refused], [dies_and_comes_again, dies_and_is_undone]
    undos: list[Story] = [
        undone_first,
        undone_twice,
        undone_at_the_same_time,
        undone_while_done,
        undone_after_it_was_forgotten,
    ]
    return [*plain, *undos], [dies_and_comes_again, dies_and_is_undone, dies_while_undoing]


def _in_doubt(life: Life, reply: ReplyMessage) -> bool:
    is_doubt = reply.outcome is Outcome.REFUSED and reply.code == IN_DOUBT
    return is_doubt and life.contract.effect in MayDoubt
