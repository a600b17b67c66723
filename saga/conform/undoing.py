"""Trying what a participant does with compensations, in every order they can come."""

from saga.conform.judging import (
    APPLIED,
    CANCELLED,
    FAILED,
    IN_DOUBT,
    NOTHING,
    REPLAYED,
    kind_of,
    want,
    want_same,
)
from saga.conform.report import Broken
from saga.conform.sight import shown
from saga.conform.talk import Talk, wires
from saga.wire import names

RACES = 4


async def undo(talk: Talk) -> None:
    """Done, then undone, with the outcome known and unknown."""
    for outcome in ("ok", "unknown"):
        action = talk.action()
        want(await talk.ask(action), APPLIED, when="the action")
        undone = await talk.ask(talk.undo_of(action, outcome))
        want(undone, APPLIED, when=f"the compensation of an action that was ok, {names.UNDOES_OUTCOME} {outcome}")


async def undo_again(talk: Talk) -> None:
    """A compensation is a command like any other: it happens once."""
    action = talk.action()
    await talk.ask(action)
    compensation = talk.undo_of(action, "ok")
    first = await talk.ask(compensation)
    repeated = await talk.ask(talk.again(compensation))
    want(repeated, REPLAYED, when="the compensation again")
    want_same(first, repeated, when="the compensation again")


async def undo_first(talk: Talk) -> None:
    """The action was lost, or is still on its way."""
    compensation = talk.undo_of(talk.action(), "unknown")
    want(await talk.ask(compensation), NOTHING, when="the compensation of an action that never came")
    again = await talk.ask(talk.again(compensation))
    want(again, NOTHING, REPLAYED, when="the compensation of an action that never came, again")


async def late_action(talk: Talk) -> None:
    """It was undone before it came: it must never run."""
    action = talk.action()
    await talk.ask(talk.undo_of(action, "unknown"))
    for _ in range(2):
        want(await talk.ask(talk.again(action)), CANCELLED, when="an action after its compensation")


async def undo_forgotten(talk: Talk) -> None:
    """The engine knows that it happened, the inbox does not: saying `none` would keep the customer's money."""
    answer = await talk.ask(talk.undo_of(talk.action(), "ok"))
    when = "the compensation of an action that answered ok, by a participant that does not know its key"
    want(answer, APPLIED, IN_DOUBT, when=when)


async def undo_failed(talk: Talk) -> None:
    """What was declined had no effect."""
    action = talk.action(talk.target.declined_body)
    want(await talk.ask(action), FAILED, when="the body that is to be declined")
    want(await talk.ask(talk.undo_of(action, "unknown")), NOTHING, when="the compensation of a failed action")


async def undo_race(talk: Talk) -> None:
    """Both are on the queue at the same time, in either order."""
    for race in range(RACES):
        action = talk.action()
        compensation = talk.undo_of(action, "unknown")
        pair = [action, compensation] if race % 2 else [compensation, action]
        await talk.send(*wires(pair))
        await talk.reply(action)
        undone = await talk.reply(compensation)
        if kind_of(undone).startswith("retry/"):
            undone = await talk.ask(talk.again(compensation))
        done = await talk.ask(talk.again(action))
        want(undone, APPLIED, REPLAYED, NOTHING, when="a compensation at once with its action")
        want(done, REPLAYED, CANCELLED, when="an action at once with its compensation, asked once more afterwards")
        nothing_was_undone = kind_of(undone) == NOTHING
        if nothing_was_undone != (kind_of(done) == CANCELLED):
            raise Broken(
                f"an action and its compensation at once: the compensation says {shown(undone)}, "
                f"the action afterwards {shown(done)}: what happened stays, or what never happened was undone",
                undone,
                done,
            )
