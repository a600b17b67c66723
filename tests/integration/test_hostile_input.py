"""Bad input through a real broker, to every queue that reads from outside.

Each is parked or refused with a reason, comes to rest, and takes nobody with it.
"""

import asyncio
from collections.abc import AsyncIterator

import aiormq
import msgspec
import pytest
import pytest_asyncio

from saga import wire
from saga.core.messages import CancelMessage, Outcome, ReplyEffect, StartMessage
from saga.engine.receive import QUEUES
from saga.ports import Outgoing, ParkedMessage, SagaFilter
from tests.builders import reply
from tests.integration.hostile_scene import (
    ADDRESS,
    BODIES,
    HEADERS,
    IDS,
    NOBODY,
    Letter,
    Scene,
    Spoil,
    letter,
    staged,
)
from tests.integration.orders_place import SOON, SOON_SECONDS, order
from tests.integration.test_hostile_said import ATTACKED
from tests.servers import PostgresServer, RabbitServer
from tests.unit.participant.till import pay

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    postgres: PostgresServer, rabbit: RabbitServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    """One orchestrator process for all of it: what one message does to it, the next ones would feel."""
    async with staged(postgres, rabbit, tmp_path_factory.mktemp("hostile")) as scene:
        yield scene


# --------------------------------------------------------------------------------------------------------------- start


def start() -> Letter:
    """A start that would be accepted."""
    message_id = IDS.message()
    body = msgspec.json.encode(order(message_id))
    message = StartMessage(
        name="order", version=None, start_key=f"m:{message_id}", input=body, message_id=message_id, reply_to=ADDRESS
    )
    return letter(wire.start_to_wire(message))


STARTS: dict[str, tuple[Spoil, str]] = {
    **BODIES,
    **HEADERS,
    "no id and no key": (lambda each: each.but(message_id=None, headers={}), "missing-header"),
    "unknown saga": (lambda each: each.but(key="ordre", type="ordre"), "unknown-definition"),
    "unknown version": (lambda each: each.with_headers(saga_version="9"), "unknown-version"),
    "version is no number": (lambda each: each.with_headers(saga_version="nine"), "bad-header"),
    "name disagrees": (lambda each: each.with_headers(saga_name="note"), "header-disagrees-with-routing-key"),
    "lacks what the saga reads": (lambda each: each.but(body=b'{"number":1}'), "reads-mismatch"),
    "another type than the saga reads": (lambda each: each.but(body=b'{"id":1}'), "reads-mismatch"),
    "a list for an object": (lambda each: each.but(body=b"[]"), "reads-mismatch"),
    "a business key without end": (lambda each: each.but(body=b'{"id":"' + b"x" * 5_000 + b'"}'), "invalid-payload"),
}


@pytest.mark.parametrize("name", STARTS)
async def test_a_hostile_start(scene: Scene, name: str) -> None:
    """Refused where the caller can hear it, kept in any case; an order right after it completes."""
    spoil, reason = STARTS[name]
    bad, before = spoil(start()), len(await scene.parked())
    await scene.send(bad)
    [parked] = await scene.parked_after(before)
    assert (parked.origin, parked.reason) == ("saga.start", reason)
    assert parked.detail
    if bad.message_id is not None:
        answer = await scene.ear.answer_to(bad.message_id)
        assert (answer.kind, answer.code) == ("refused", reason)
        assert answer.reason
    await scene.healthy()
    assert len(await scene.parked()) == before + 1


async def test_answers_go_to_nobody_else(scene: Scene) -> None:
    """A `reply_to` under another user's name: parked, and that user hears nothing."""
    before = len(await scene.parked())
    await scene.send(start().but(reply_to="other.client"), start().but(reply_to="guest.#"))
    parked = await scene.parked_after(before, 2)
    assert {each.reason for each in parked} == {"bad-header"}
    await scene.healthy()


async def test_the_same_key_with_other_bytes(scene: Scene) -> None:
    """The caller hears it; without a `reply_to` it is parked; the saga stays one."""
    good = start()
    key = IDS.message()
    first = good.with_headers(saga_key=key)
    other = first.but(message_id=IDS.message(), body=b'{"id":"other"}')
    before = len(await scene.parked())
    await scene.send(first)
    accepted = await scene.ear.answer_to(first.message_id or "")
    await scene.send(other, other.but(message_id=IDS.message(), reply_to=None))
    refused = await scene.ear.answer_to(other.message_id or "")
    assert (accepted.kind, refused.kind, refused.code) == ("accepted", "refused", "key-reused")
    [parked] = await scene.parked_after(before)
    assert parked.reason == "key-reused"
    assert [row.saga for row in await scene.store.sagas(SagaFilter(start_key=f"k:{key}"))] == [accepted.saga]
    await scene.healthy()


# -------------------------------------------------------------------------------------------------------------- replies


REPLIES: dict[str, tuple[Spoil, str]] = {
    **BODIES,
    **{name: HEADERS[name] for name in HEADERS if name != "a key without end"},
    "no headers": (lambda each: each.but(headers={}), "missing-header"),
    "no correlation id": (lambda each: each.but(correlation_id=None), "missing-header"),
    "no saga id": (lambda each: each.but(correlation_id="../1"), "bad-header"),
    "unknown saga": (lambda each: each.but(correlation_id=NOBODY), "unknown-saga"),
    "nobody vouches for it": (lambda each: each.but(user_id=None), "forged-sender"),
    "speaks for another service": (
        lambda each: each.but(key="charge-service.ok", type="charge-service.Done.v1"),
        "forged-sender",
    ),
    "another service's type": (lambda each: each.but(key="charge-service.ok"), "header-disagrees-with-routing-key"),
    "outcome disagrees": (lambda each: each.with_headers(saga_outcome="failed"), "header-disagrees-with-routing-key"),
    "no outcome": (lambda each: each.but(key="ask-service.perhaps"), "bad-header"),
    "a guessed key": (lambda each: each.with_headers(saga_idempotency_key="0" * 32), "unknown-execution"),
    "an attempt that was never sent": (lambda each: each.with_headers(saga_attempt="7"), "unknown-execution"),
    "an execution that was never issued": (lambda each: each.with_headers(saga_execution="7"), "unknown-execution"),
    "an undo that was never issued": (lambda each: each.with_headers(saga_kind="compensation"), "unknown-execution"),
    "a step that is none": (lambda each: each.with_headers(saga_step="charge/x"), "unknown-execution"),
    "a number of many digits": (lambda each: each.with_headers(saga_attempt="9" * 5_000), "bad-header"),
}


@pytest.mark.parametrize("name", REPLIES)
async def test_a_hostile_reply(scene: Scene, name: str) -> None:
    """Parked with the reason; the saga it speaks of does not move, and completes when the honest answer comes."""
    spoil, reason = REPLIES[name]
    started = await scene.caller.start("victim", order(IDS.message()), within=SOON)
    honest = letter(wire.reply_to_wire(reply(await scene.command(), Outcome.OK, effect=ReplyEffect.APPLIED)))
    before = len(await scene.parked())
    await scene.send(spoil(honest))
    [parked] = await scene.parked_after(before)
    assert (parked.origin, parked.reason) == ("saga.replies", reason)
    assert (await scene.row(started.saga)).version == 1
    await scene.send(honest)
    assert (await scene.caller.result(started, within=SOON)).status == "completed"
    await scene.healthy()
    assert len(await scene.parked()) == before + 1


async def test_a_reply_that_lacks_what_the_saga_reads(scene: Scene) -> None:
    """It is the participant's own answer, so it is no message to park: the step waits for a person, with the reason."""
    started = await scene.caller.start("reading", order(1), within=SOON)
    command = await scene.command()
    await scene.send(letter(wire.reply_to_wire(reply(command, Outcome.OK, effect=ReplyEffect.APPLIED))))
    async with asyncio.timeout(SOON_SECONDS):
        while (row := await scene.row(started.saga)).status != "parked":
            await asyncio.sleep(0.02)
    assert "ask.ref" in row.wait_text
    await scene.healthy()


async def test_replies_to_a_saga_that_has_ended(scene: Scene) -> None:
    """A late copy says nothing new; a contradiction is recorded once and moves nothing; a forgery is parked."""
    started = await scene.caller.start("victim", order(1), within=SOON)
    command = await scene.command()
    honest = letter(wire.reply_to_wire(reply(command, Outcome.OK, effect=ReplyEffect.APPLIED)))
    await scene.send(honest)
    assert (await scene.caller.result(started, within=SOON)).status == "completed"
    ended = await scene.row(started.saga)
    before = len(await scene.parked())
    contradiction = letter(wire.reply_to_wire(reply(command, Outcome.FAILED, code="Declined")))
    await scene.send(honest, contradiction, contradiction, honest, honest.but(user_id=None))
    [parked] = await scene.parked_after(before)
    assert parked.reason == "forged-sender"
    await scene.healthy()
    row = await scene.row(started.saga)
    assert (row.status, row.version) == ("completed", ended.version + 1)


# -------------------------------------------------------------------------------------------------------------- control


CONTROLS: dict[str, tuple[Spoil, str]] = {
    **{name: spoiled for name, spoiled in BODIES.items() if name != "empty"},  # a cancel needs no reason
    **{name: HEADERS[name] for name in HEADERS if name != "a key without end"},
    "neither id nor key": (lambda each: each.but(correlation_id=None, headers={}), "missing-header"),
    "no id of its own": (lambda each: each.but(message_id=None), "missing-header"),
    "unknown saga": (lambda each: each, "unknown-saga"),
    "no saga id": (lambda each: each.but(correlation_id="order"), "bad-header"),
    "unknown key": (
        lambda each: each.but(correlation_id=None).with_headers(saga_name="order", saga_key="nobody"),
        "unknown-saga",
    ),
    "nobody vouches for it": (lambda each: each.but(user_id=None), "forged-sender"),
    "unknown verb": (lambda each: each.but(key="explode"), "unknown-verb"),
    "another type of body": (lambda each: each.but(body=b'{"reason":7}'), "invalid-payload"),
}


@pytest.mark.parametrize("name", CONTROLS)
async def test_a_hostile_control_message(scene: Scene, name: str) -> None:
    """Refused where the caller can hear it, kept in any case; an order right after it completes."""
    spoil, reason = CONTROLS[name]
    wish = CancelMessage(
        saga=NOBODY, name=None, business_key=None, message_id=IDS.message(), reason="r", reply_to=ADDRESS
    )
    bad, before = spoil(letter(wire.cancel_to_wire(wish))), len(await scene.parked())
    await scene.send(bad)
    [parked] = await scene.parked_after(before)
    assert (parked.origin, parked.reason) == ("saga.control", reason)
    if bad.message_id is not None:
        answer = await scene.ear.answer_to(bad.message_id)
        assert (answer.kind, answer.code) == ("refused", reason)
    await scene.healthy()
    assert len(await scene.parked()) == before + 1


# --------------------------------------------------------------------------------------------- parking and dead letters


@pytest.mark.parametrize("name", [*BODIES, *HEADERS, "nothing at all"])
async def test_a_hostile_message_to_parking(scene: Scene, name: str) -> None:
    """Where everything ends anything is kept: nothing comes back to where it cannot be read."""
    spoil = (BODIES | HEADERS).get(name, (lambda each: each.but(headers={}, message_id=None, type=None), ""))[0]
    message = Outgoing("saga.parking", "saga.commands.bank", b"{}", IDS.message(), "bank.Pay.v1", {})
    before = len(await scene.parked())
    await scene.send(
        spoil(letter(message).with_headers(saga_park_reason="not-json", saga_origin_queue="saga.commands.bank"))
    )
    [parked] = await scene.parked_after(before)
    assert parked.origin in {"saga.commands.bank", "saga.parking"}
    assert parked.reason in {"not-json", "bad-header"}
    await scene.healthy()
    assert len(await scene.parked()) == before + 1


# ------------------------------------------------------------------------------------------------------------- commands


COMMANDS: dict[str, tuple[Spoil, str]] = {
    **BODIES,
    **HEADERS,
    "no headers": (lambda each: each.but(headers={}), "missing-header"),
    "no saga": (lambda each: each.but(correlation_id=None), "missing-header"),
    "a key that is none": (lambda each: each.with_headers(saga_idempotency_key="../etc/passwd"), "bad-header"),
    "a date that is none": (lambda each: each.with_headers(saga_expires_at="tomorrow"), "bad-header"),
    "an undo of nothing": (lambda each: each.with_headers(saga_kind="compensation"), "missing-header"),
}


def command(**changes: object) -> Letter:
    """A command that would be carried out."""
    key = IDS.message()
    return letter(wire.command_to_wire(msgspec.structs.replace(pay(), key=key, message_id=IDS.message(), **changes)))


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_hostile_command(scene: Scene, name: str) -> None:
    """The participant parks it, through the broker, and answers its neighbour."""
    spoil, reason = COMMANDS[name]
    before = len(await scene.parked())
    await scene.send(spoil(command()), command(saga=NOBODY))
    # What it answers is about sagas nobody started, so the answers are parked too: that is how we see them.
    found = await scene.parked_after(before, 2)
    while not {reason, "ok"} <= {_said(each) for each in found}:
        found = await scene.parked_after(before, len(found) + 1)
    await scene.healthy()
    assert [_said(each) for each in (await scene.parked())[before:]].count(reason) == 1


def _said(message: ParkedMessage) -> str:
    """Why a command was parked, or how a parked reply answered."""
    if message.origin == "saga.replies":
        return message.headers.get("saga-code") or message.headers["saga-outcome"]
    return message.reason


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (lambda first: first.but(key="bank.Pay.v9", type="bank.Pay.v9"), "unknown-command"),
        (lambda first: first.but(key="bank.Rob.v1", type="bank.Rob.v1"), "unknown-command"),
        (lambda first: first.but(body=b'{"amount":"many"}'), "invalid-payload"),
    ],
)
async def test_a_command_that_cannot_be_carried_out(scene: Scene, second: Spoil, said: str) -> None:
    """Readable, but not for this participant: it says so."""
    before = len(await scene.parked())
    await scene.send(second(command()))
    found = await scene.parked_after(before)
    while said not in {_said(each) for each in found}:
        found = await scene.parked_after(before, len(found) + 1)
    await scene.healthy()


async def test_the_same_command_key_with_other_bytes(scene: Scene) -> None:
    """The effect stays one; the second sender hears that the key was used."""
    first = command()
    before = len(await scene.parked())
    await scene.send(first)
    await scene.parked_after(before)
    await scene.send(first.but(body=b'{"amount":9999}', message_id=IDS.message()))
    found = await scene.parked_after(before, 2)
    assert [_said(each) for each in found] == ["ok", "key-reused"]
    await scene.healthy()


# --------------------------------------------------------------------------------------------------- a header of 140 kB


async def test_our_own_publishing_refuses_a_huge_header(scene: Scene) -> None:
    """Before a byte is written: the connection and everything else on it live on."""
    huge = Outgoing("saga.start", "order", b"{}", "m", "order", {"saga-key": "x" * 140_000})
    async with scene.place.bus("honest") as bus:
        [sent] = await bus.publish([huge])
        assert sent.outcome == "refused"
        assert "16384" in sent.detail
        [good] = await bus.publish(
            [msgspec.structs.replace(huge, headers={}, body=b'{"id":"fits"}', message_id="fits")]
        )
        assert good.outcome == "confirmed"
    await scene.healthy()


@pytest.mark.parametrize("queue", ["saga.start", "saga.replies", "saga.control", "saga.parking", "saga.commands"])
async def test_a_bare_client_with_a_huge_header_is_cut_off(scene: Scene, queue: str) -> None:
    """The broker closes its connection; nothing arrives, and nobody else notices."""
    before = len(await scene.parked())
    with pytest.raises((aiormq.exceptions.AMQPError, ConnectionError, asyncio.CancelledError)):
        async with asyncio.timeout(SOON_SECONDS):
            await scene.send(start().but(exchange=queue, key="bank.Pay.v1").with_headers(saga_key="x" * 140_000))
    await scene.healthy()
    assert len(await scene.parked()) == before
    assert "connection lost" not in scene.process.log


async def test_a_flood_of_everything_at_once(scene: Scene) -> None:
    """All of it in one go, mixed with healthy orders: all orders complete, all poison is parked."""
    before = len(await scene.parked())
    poison = [spoil(start()) for name, (spoil, _) in STARTS.items() if name != "10 MB"]
    runs = [asyncio.create_task(scene.caller.run("order", order(IDS.message()), within=SOON)) for _ in range(20)]
    await scene.send(*poison, *poison[:3])
    assert {each.status for each in await asyncio.gather(*runs)} == {"completed"}
    parked = await scene.parked_after(before, len(poison))
    assert {each.reason for each in parked} == {reason for name, (_, reason) in STARTS.items() if name != "10 MB"}
    await scene.healthy()


async def test_every_queue_that_is_read_is_attacked() -> None:
    """A queue that orchestrators begin to read from needs its own hostile messages here."""
    attacked = {"saga.start", "saga.replies", "saga.control", "saga.parking", *ATTACKED}
    assert set(QUEUES) - attacked == {"saga.dead"}, "only the broker writes there, and it is read as saga.parking is"
