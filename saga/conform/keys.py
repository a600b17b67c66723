"""Trying what a participant does about keys: repeats, other bytes, expiry, many at once."""

from datetime import timedelta

import msgspec

from saga.conform.judging import (
    APPLIED,
    BUSY,
    CANCELLED,
    EXPIRED,
    FAILED,
    KEY_REUSED,
    REPLAYED,
    UNKNOWN,
    kind_of,
    want,
    want_same,
)
from saga.conform.report import Broken
from saga.conform.talk import Talk, wires
from saga.conform.target import filled
from saga.wire import command_to_wire, fields

COPIES = 8
LONG_AGO = timedelta(hours=1)
VERSION_NOBODY_HAS = 9_999


async def answers(talk: Talk) -> None:
    """The happy path."""
    want(await talk.ask(talk.action()), APPLIED, when="the command with the body that was given")


async def same_attempt(talk: Talk) -> None:
    """The broker delivers again what was not acknowledged."""
    command = talk.action()
    first = await talk.ask(command)
    await talk.send(command_to_wire(command))
    second = await talk.reply(command)
    want(second, REPLAYED, when="the same attempt for the second time")
    want_same(first, second, when="the same attempt for the second time")


async def next_attempt(talk: Talk) -> None:
    """The engine asks again when it heard nothing."""
    command = talk.action()
    first = await talk.ask(command)
    for _ in range(2):
        repeated = await talk.ask(talk.again(command))
        want(repeated, REPLAYED, when="a further attempt")
        want_same(first, repeated, when="a further attempt")


async def other_bytes(talk: Talk) -> None:
    """Somebody's mistake, which must not overwrite what was done."""
    command = talk.action()
    first = await talk.ask(command)
    other = msgspec.structs.replace(command, body=_other(talk, command.body))
    want(await talk.ask(talk.again(other)), KEY_REUSED, when="the same key with another body")
    repeated = await talk.ask(talk.again(command))
    want(repeated, REPLAYED, when="the first body again, after another one was refused")
    want_same(first, repeated, when="the first body again, after another one was refused")


async def bytes_as_sent(talk: Talk) -> None:
    """The hash is of bytes: whoever compares meanings would accept what another participant refuses."""
    command = talk.action()
    await talk.ask(command)
    spaced = msgspec.structs.replace(command, body=command.body + b" ")
    want(await talk.ask(talk.again(spaced)), KEY_REUSED, when="the same key and JSON with one more space at its end")


async def other_command(talk: Talk) -> None:
    """A key belongs to one command."""
    command = talk.action()
    await talk.ask(command)
    _, name, version = fields.command_type(talk.target.undo or "")
    other = msgspec.structs.replace(command, command=name, command_version=version)
    want(await talk.ask(talk.again(other)), KEY_REUSED, when=f"the same key and body for {name}")


async def at_once(talk: Talk) -> None:
    """Deliveries of one key in many hands at the same time."""
    command = talk.action()
    attempts = [command, *(talk.again(command) for _ in range(COPIES - 1))]
    await talk.send(*wires(attempts))
    replies = [await talk.reply(attempt) for attempt in attempts]
    for reply in replies:
        want(reply, APPLIED, REPLAYED, BUSY, when=f"one key {COPIES} times at once")
    applied = [reply for reply in replies if kind_of(reply) == APPLIED]
    if len(applied) > 1:
        raise Broken(f"one key {COPIES} times at once: {len(applied)} say `applied`, wanted one", *applied)
    last = await talk.ask(talk.again(command))
    want(last, REPLAYED, when="the same key once more, afterwards")
    for reply in (*applied, *(reply for reply in replies if kind_of(reply) == REPLAYED)):
        want_same(last, reply, when=f"one key {COPIES} times at once")


async def expired_known(talk: Talk) -> None:
    """The answer is there: whether the question is old does not matter any more."""
    command = talk.action()
    first = await talk.ask(command)
    late = msgspec.structs.replace(command, expires_at=talk.ago(LONG_AGO))
    repeated = await talk.ask(talk.again(late))
    want(repeated, REPLAYED, when="an answered command again, after its saga-expires-at")
    want_same(first, repeated, when="an answered command again, after its saga-expires-at")


async def expired_unknown(talk: Talk) -> None:
    """Nobody waits for it any more, and its key may have been forgotten."""
    late = msgspec.structs.replace(talk.action(), expires_at=talk.ago(LONG_AGO))
    want(await talk.ask(late), EXPIRED, when="a new command whose saga-expires-at has passed")


async def refused_forgotten(talk: Talk) -> None:
    """A refusal is about a delivery; the execution is still open."""
    command = talk.action()
    late = msgspec.structs.replace(command, expires_at=talk.ago(LONG_AGO))
    want(await talk.ask(late), EXPIRED, when="a new command whose saga-expires-at has passed")
    want(await talk.ask(talk.again(command)), APPLIED, when="the next attempt of what was refused")


async def failed(talk: Talk) -> None:
    """Business says no."""
    want(await talk.ask(talk.action(talk.target.declined_body)), FAILED, when="the body that is to be declined")


async def failed_remembered(talk: Talk) -> None:
    """No is an answer too: it may not become a yes for the same key."""
    command = talk.action(talk.target.declined_body)
    first = await talk.ask(command)
    repeated = await talk.ask(talk.again(command))
    want(repeated, FAILED, when="a further attempt of what was declined")
    want_same(first, repeated, when="a further attempt of what was declined")


async def unknown_command(talk: Talk) -> None:
    """The contract moved on, or the participant lags behind."""
    command = talk.action()
    newer = msgspec.structs.replace(command, command_version=VERSION_NOBODY_HAS)
    want(await talk.ask(newer), UNKNOWN, when=f"version {VERSION_NOBODY_HAS} of the command")
    stranger = msgspec.structs.replace(talk.action(), command="NobodyHandlesThis")
    want(await talk.ask(stranger), UNKNOWN, when="the command NobodyHandlesThis.v1")


async def restart(talk: Talk) -> None:
    """The inbox outlives the process."""
    command, never = talk.action(), talk.action()
    first = await talk.ask(command)
    if talk.target.undo is not None:
        await talk.ask(talk.undo_of(never, "unknown"))
    await talk.restart()
    repeated = await talk.ask(talk.again(command))
    want(repeated, REPLAYED, when="an answered command again, after a restart")
    want_same(first, repeated, when="an answered command again, after a restart")
    if talk.target.undo is not None:
        want(await talk.ask(never), CANCELLED, when="an action whose compensation came before a restart")


def _other(talk: Talk, body: bytes) -> bytes:
    """Another valid body, where the target's holds `$UNIQUE`; else the same with a line break."""
    other = filled(talk.target.body, "conform-other")
    return other if other != body else body + b"\n"
