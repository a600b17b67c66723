"""Trying what a participant does with what it cannot read."""

import msgspec

from saga.conform.judging import APPLIED, INVALID, want
from saga.conform.report import Broken
from saga.conform.talk import Silent, Talk
from saga.core.messages import CommandMessage
from saga.ports import Outgoing
from saga.wire import command_to_wire, names

NOT_JSON = b'{"conform": '
BAD_UTF8 = b'{"conform": "\xff\xfe"}'
NUL = b'{"conform": "\x00"}'
NO_OBJECT = b'["conform", null, 1e3]'
NEEDED = (names.STEP, names.KIND, names.EXECUTION, names.ATTEMPT)
"""Headers without which no command can be answered; a key is another matter."""


async def not_json(talk: Talk) -> None:
    """Cut off in the middle."""
    await _unreadable(talk, NOT_JSON, "a body that is no JSON")


async def bad_utf8(talk: Talk) -> None:
    """Written by a client in another encoding. Whoever decodes with replacement characters accepts it."""
    await _unreadable(talk, BAD_UTF8, "a body that is no UTF-8")


async def nul(talk: Talk) -> None:
    """No store takes it as text."""
    await _unreadable(talk, NUL, "a body with a NUL byte")


async def wrong_shape(talk: Talk) -> None:
    """JSON, but not the command's."""
    command = talk.action()
    wrong = msgspec.structs.replace(command, body=NO_OBJECT)
    when = "JSON that is no object"
    want(await talk.ask(wrong), INVALID, when=when)
    want(await talk.ask(talk.again(command)), APPLIED, when=f"the right body, after {when} was refused")


async def missing_headers(talk: Talk) -> None:
    """Nobody knows whom to answer what; whoever did something all the same would do it twice."""
    for name in NEEDED:
        command = talk.action()
        await _put_aside(talk, _without(command, name), f"a command without {name}")
        want(await talk.ask(talk.again(command)), APPLIED, when=f"the whole command, after one without {name}")
    await _put_aside(talk, _without(talk.action(), names.IDEMPOTENCY_KEY), "a command without its key")


async def alive(talk: Talk) -> None:
    """One message must not cost the others."""
    poison = [_with_body(talk.action(), body) for body in (NOT_JSON, BAD_UTF8, NUL, NO_OBJECT, b"")]
    poison += [_without(talk.action(), name) for name in (*NEEDED, names.IDEMPOTENCY_KEY)]
    await talk.send(*poison)
    try:
        want(await talk.ask(talk.action()), APPLIED, when="a good command behind unreadable ones")
    except Silent as silent:
        raise Broken(f"a good command behind {len(poison)} unreadable ones: {silent.reason}") from None


async def _unreadable(talk: Talk, body: bytes, when: str) -> None:
    """Parked and refused; afterwards the key can still be used."""
    command = talk.action()
    await _put_aside(talk, _with_body(command, body), when)
    want(await talk.reply(command), INVALID, when=when)
    want(await talk.ask(talk.again(command)), APPLIED, when=f"the right body, after {when} was refused")


async def _put_aside(talk: Talk, message: Outgoing, when: str) -> None:
    await talk.send(message)
    try:
        parked = await talk.parked(message)
    except Silent as silent:
        raise Broken(f"{when}: {silent.reason}") from None
    queue = names.command_queue(talk.target.service)
    wanted = {
        "the routing key": (parked.routing_key, queue),
        "the body": (parked.body, message.body),
        names.ORIGIN_QUEUE: (parked.headers.get(names.ORIGIN_QUEUE), queue),
        names.ORIGIN_EXCHANGE: (parked.headers.get(names.ORIGIN_EXCHANGE), message.exchange),
        names.ORIGIN_ROUTING_KEY: (parked.headers.get(names.ORIGIN_ROUTING_KEY), message.routing_key),
    }
    for name, (there, right) in wanted.items():
        if there != right:
            raise Broken(f"{when}: {name} of the parked message is {there!r}, wanted {right!r}", parked)
    if not parked.headers.get(names.PARK_REASON):
        raise Broken(f"{when}: the parked message has no {names.PARK_REASON}", parked)


def _with_body(command: CommandMessage, body: bytes) -> Outgoing:
    return msgspec.structs.replace(command_to_wire(command), body=body)


def _without(command: CommandMessage, header: str) -> Outgoing:
    whole = command_to_wire(command)
    return msgspec.structs.replace(whole, headers={n: v for n, v in whole.headers.items() if n != header})
