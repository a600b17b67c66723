"""Bad signals, decisions and commands to the engine: parked or refused, and nobody else notices."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from saga import wire
from saga.core.children import SERVICE
from saga.core.definition import Approval, Await
from saga.core.messages import Choice, CommandMessage, DecideMessage, Kind, SignalMessage
from saga.ports import SagaRow
from tests.builders import INPUT_ID, plan
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
from tests.integration.orders_place import SOON, order
from tests.servers import PostgresServer, RabbitServer
from tests.unit.engine.family import asking

pytestmark = pytest.mark.asyncio(loop_scope="module")

ATTACKED = {"saga.signals", "saga.commands.saga"}
"""Read queues that are attacked here, beside `saga.control`."""
TOLD = plan(Await(path="paid", signal="paid"), name="told", reads={"input.id": "str", "paid.by": "str"})
ASKS = plan(Approval(path="gate", subject=INPUT_ID, subject_type="str", roles=("editor",)), name="asks")
PARENT = plan(asking("access", "told"), name="parent")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    postgres: PostgresServer, rabbit: RabbitServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    """One orchestrator process for all of it. The only broker user is no gateway."""
    async with staged(postgres, rabbit, tmp_path_factory.mktemp("hostile"), TOLD, ASKS, PARENT) as scene:
        yield scene


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(scene: Scene) -> str:
    """A saga that waits for a signal, to the end."""
    return (await scene.caller.start("told", order("told"), within=SOON)).saga


def but(names: dict[str, tuple[Spoil, str]], *left_out: str) -> dict[str, tuple[Spoil, str]]:
    """All the others."""
    return {name: spoiled for name, spoiled in names.items() if name not in left_out}


async def parked_once(scene: Scene, bad: Letter, origin: str, reason: str) -> None:
    """Kept with its reason; an order right after it completes."""
    before = len(await scene.parked())
    await scene.send(bad)
    [parked] = await scene.parked_after(before)
    assert (parked.origin, parked.reason) == (origin, reason)
    assert parked.detail
    await scene.healthy()
    assert len(await scene.parked()) == before + 1


# -------------------------------------------------------------------------------------------------------------- signals

SIGNALS: dict[str, tuple[Spoil, str]] = {
    **BODIES,
    **but(HEADERS, "type disagrees"),
    "neither id nor key": (lambda each: each.but(correlation_id=None), "missing-header"),
    "no id of its own": (lambda each: each.but(message_id=None), "missing-header"),
    "no name": (lambda each: each.but(type=None), "missing-header"),
    "no saga id": (lambda each: each.but(correlation_id="told"), "bad-header"),
    "another saga's name": (lambda each: each.but(key="order"), "header-disagrees-with-routing-key"),
    "a name that disagrees": (
        lambda each: each.with_headers(saga_name="order"),
        "header-disagrees-with-routing-key",
    ),
    "a saga that is not there": (lambda each: each.but(correlation_id=NOBODY), "unknown-saga"),
}


def signal(saga: str, **changes: Any) -> Letter:
    """A signal that would be taken."""
    fields: dict[str, Any] = {"name": "told", "business_key": None, "signal": "paid", "body": b'{"by":"ada"}'}
    fields |= {"saga": saga, "message_id": IDS.message(), "reply_to": ADDRESS}
    return letter(wire.signal_to_wire(SignalMessage(**{**fields, **changes})))


@pytest.mark.parametrize("name", SIGNALS)
async def test_a_hostile_signal(scene: Scene, told: str, name: str) -> None:
    """Refused where the sender can hear it, kept in any case; the saga goes on waiting."""
    spoil, reason = SIGNALS[name]
    good = signal(told)
    bad = spoil(good.but(correlation_id=None) if name == "a key without end" else good)
    await parked_once(scene, bad, "saga.signals", reason)
    if bad.message_id is not None:
        answer = await scene.ear.answer_to(bad.message_id)
        assert (answer.kind, answer.code) == ("refused", reason)
    assert (await scene.row(told)).wait_kind == "signal"


@pytest.mark.parametrize(
    ("changes", "reason"), [({"signal": "payed"}, "unknown-signal"), ({"body": b"[]"}, "reads-mismatch")]
)
async def test_a_signal_that_does_not_fit(scene: Scene, told: str, changes: dict[str, Any], reason: str) -> None:
    """Answered; without a `reply_to` it is parked."""
    before = len(await scene.parked())
    heard = signal(told, **changes)
    await scene.send(heard)
    assert (await scene.ear.answer_to(heard.message_id or "")).code == reason
    assert len(await scene.parked()) == before
    await parked_once(scene, signal(told, **changes).but(reply_to=None), "saga.signals", reason)


# ------------------------------------------------------------------------------------------------------------ decisions

DECISIONS: dict[str, tuple[Spoil, str]] = {
    **BODIES,
    **but(HEADERS, "a key without end"),
    "nobody vouches for it": (lambda each: each.but(user_id=None), "forged-sender"),
    "no approver": (lambda each: each.but(headers={}), "missing-header"),
    "an approver without end": (lambda each: each.with_headers(saga_actor="x" * 300), "bad-header"),
    "another choice": (lambda each: each.but(body=each.body.replace(b"approve", b"perhaps")), "invalid-payload"),
    "no digest": (lambda each: each.but(body=each.body.replace(b"digest", b"digset")), "invalid-payload"),
    "a digest that is none": (lambda each: each.but(body=each.body.replace(b"0000", b"zzzz")), "invalid-payload"),
    "a path without end": (lambda each: each.but(body=each.body.replace(b"gate", b"g" * 300)), "invalid-payload"),
    "a number that is none": (
        lambda each: each.but(body=each.body.replace(b'{"path"', b'{"number":0,"path"')),
        "invalid-payload",
    ),
    "unknown saga": (lambda each: each.but(correlation_id=NOBODY), "unknown-saga"),
    "no gateway": (lambda each: each, "forbidden"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asks(scene: Scene) -> str:
    """A saga that waits for a decision, to the end."""
    return (await scene.caller.start("asks", order("asks"), within=SOON)).saga


@pytest.mark.parametrize("name", DECISIONS)
async def test_a_hostile_decision(scene: Scene, asks: str, name: str) -> None:
    """Refused where the gateway can hear it, kept in any case; nothing is decided."""
    spoil, reason = DECISIONS[name]
    wish = DecideMessage(
        saga=asks,
        name=None,
        business_key=None,
        path="gate",
        choice=Choice.APPROVE,
        digest="0" * 64,
        message_id=IDS.message(),
        reply_to=ADDRESS,
        actor="bo",
    )
    bad = spoil(letter(wire.decide_to_wire(wish)))
    await parked_once(scene, bad, "saga.control", reason)
    answer = await scene.ear.answer_to(bad.message_id or "")
    assert (answer.kind, answer.code) == ("refused", reason)
    assert (await scene.row(asks)).wait_kind == "approval"


# ---------------------------------------------------------------------------------------------- commands to the engine

COMMANDS: dict[str, tuple[Spoil, str]] = {
    **but(BODIES, "empty"),
    **HEADERS,
    "empty": (lambda each: each.but(body=b""), "not-json"),
    "no headers": (lambda each: each.but(headers={}), "missing-header"),
    "no parent": (lambda each: each.but(correlation_id=None), "missing-header"),
    "a parent that is not there": (lambda each: each.but(correlation_id=NOBODY), "unknown-saga"),
    "an input of one's own": (lambda each: each.but(body=b'{"id":"forged"}'), "unknown-execution"),
    "a key of one's own": (lambda each: each.with_headers(saga_idempotency_key="0" * 32), "unknown-execution"),
    "another saga": (
        lambda each: each.but(key="saga.order.v1", type="saga.order.v1"),
        "unknown-execution",
    ),
    "an undo that nobody asked for": (
        lambda each: each.with_headers(saga_kind="compensation", saga_undoes="0" * 32, saga_undoes_outcome="unknown"),
        "unknown-execution",
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def family(scene: Scene) -> tuple[SagaRow, SagaRow]:
    """A parent and its child, which wait for each other and for a signal, to the end."""
    parent = (await scene.caller.start("parent", order("parent"), within=SOON)).saga
    while not (below := await scene.place.rows(root=parent)):
        pass
    return await scene.row(parent), below[0]


def asked(family: tuple[SagaRow, SagaRow], **changes: object) -> Letter:
    """The command that started the child, as it was."""
    parent, child = family
    command = CommandMessage(
        saga=parent.saga,
        saga_name=parent.name,
        saga_version=1,
        business_key="",
        path="access",
        kind=Kind.ACTION,
        execution=1,
        attempt=1,
        service=SERVICE,
        command="told",
        command_version=1,
        message_id=IDS.message(),
        key=child.start_key[2:],
        body=b'{"id":"oparent"}',
    )
    return letter(wire.command_to_wire(msgspec.structs.replace(command, **changes)))


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_hostile_command_to_the_engine(scene: Scene, family: tuple[SagaRow, SagaRow], name: str) -> None:
    """Whoever gets at the queue can only repeat what a parent's history says."""
    spoil, reason = COMMANDS[name]
    await parked_once(scene, spoil(asked(family)), "saga.commands.saga", reason)
    assert len(await scene.place.rows(root=family[0].saga)) == 1


async def test_a_repeated_command_changes_nothing(scene: Scene, family: tuple[SagaRow, SagaRow]) -> None:
    """As it was: there is one child, and nothing is parked."""
    before = len(await scene.parked())
    await scene.send(asked(family), asked(family))
    await scene.healthy()
    assert len(await scene.place.rows(root=family[0].saga)) == 1
    assert len(await scene.parked()) == before
