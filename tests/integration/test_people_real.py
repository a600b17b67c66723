"""Signals and decisions over real servers: by a bare AMQP client, by the library's client and by the command line."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import aiormq
import msgspec
import pytest
from aiormq import spec

from saga.adapters.system import SystemIds
from saga.client import Client, Refused
from saga.client.reading import Approvals
from saga.core.definition import Approval, Await, Step, StepKind
from saga.core.expression import Object, Ref, ScalarType
from saga.core.pending import ApprovalDetail
from saga.engine.settings import EngineSettings, Trust
from saga.ports import Subscription
from saga.wire import result_from_wire
from tests.builders import INPUT_ID, plan, step, template
from tests.integration.orders_place import (
    BROKER_USER,
    POLL_SECONDS,
    ROOT,
    SERVICES,
    SOON,
    SOON_SECONDS,
    Place,
    order,
    trusted,
)

IDS = SystemIds()
EDITORS: dict[str, frozenset[str]] = dict.fromkeys(("ada", "bo", "cy"), frozenset({"editor"}))
TRUST = Trust(gateways=frozenset({"guest"}), approvers=EDITORS)
SETTINGS = EngineSettings(trust=TRUST, wake_interval_seconds=0.05)
PAID = plan(Await(path="paid", signal="paid"), trusted("reserve"), name="paid", key=INPUT_ID)


def sent(path: str) -> Step:
    """The step that sends what was approved."""
    body = Ref("review", ("subject",), ScalarType.OBJECT)
    service = f"{path}-service"
    return step(
        path,
        command=template(service, path.title(), senders=BROKER_USER, body=body),
        undo=template(service, f"Undo{path.title()}", senders=BROKER_USER),
    )


def review(**changes: Any) -> Approval:
    """Editors look at the letter."""
    fields: dict[str, Any] = {
        "path": "review",
        "subject": Object({"order": INPUT_ID}),
        "subject_type": "charge-service.Charge.v1",
        "guards": "charge",
        "roles": ("editor",),
        "editable": ("order",),
        "exclude_requester": True,
    }
    return Approval(**{**fields, **changes})


LETTER = plan(review(), sent("charge"), name="letter", key=INPUT_ID)
PROMISED = plan(
    step("go", StepKind.PIVOT, command=template("reserve-service", "Go", senders=BROKER_USER), undo=None),
    review(guards=None, editable=()),
    name="promised",
    key=INPUT_ID,
)
"""Decided on when there is no way back: a rejection parks, and may be asked again."""
HASTY = plan(review(expires=timedelta(seconds=1)), sent("charge"), name="hasty", key=INPUT_ID)


class Bare:
    """A client without our library: what the wire contract says, and nothing else."""

    def __init__(self, place: Place, channel: Any, answers: Subscription) -> None:
        self.place = place
        self._channel = channel
        self._answers = answers

    async def publish(self, exchange: str, key: str, type_: str, body: object, **fields: Any) -> dict[str, Any]:
        """One message; what came back, as JSON with its type."""
        message_id = fields.pop("message_id", None) or IDS.message()
        properties = spec.Basic.Properties(
            delivery_mode=2,
            message_id=message_id,
            message_type=type_,
            reply_to="guest.bare",
            user_id="guest",
            correlation_id=fields.pop("correlation_id", None),
            headers=fields,
        )
        await self._channel.basic_publish(
            msgspec.json.encode(body), exchange=exchange, routing_key=key, properties=properties, mandatory=True
        )
        async with asyncio.timeout(SOON_SECONDS):
            while True:
                deliveries = await self._answers.receive()
                await self._answers.settle(deliveries)
                for each in deliveries:
                    if each.headers["saga-in-reply-to"] == message_id and each.type != "saga.ended.v1":
                        assert result_from_wire(each).in_reply_to == message_id
                        return {"type": each.type, **msgspec.json.decode(each.body)}

    async def decide(self, asked: ApprovalDetail, decision: str, actor: str, **more: Any) -> dict[str, Any]:
        """A click."""
        message_id = more.pop("message_id", None)
        body = {"path": asked.path, "decision": decision, "digest": asked.digest, **more}
        headers = {"saga-actor": actor}
        return await self.publish(
            "saga.control",
            "decide",
            "saga.decide.v1",
            body,
            correlation_id=asked.saga,
            message_id=message_id,
            **headers,
        )


@pytest.fixture
async def place(database: str, vhost: str) -> AsyncIterator[Place]:
    """A migrated store, a declared broker, the definitions, and an orchestrator that knows people."""
    place = Place(database, vhost)
    await place.prepare()
    await place.publish(PAID, LETTER, PROMISED, HASTY)
    async with place.orchestrating(SETTINGS):
        yield place


@pytest.fixture
async def bare(place: Place) -> AsyncIterator[Bare]:
    """A client of no library."""
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(place.bus("bare"))
        queue, _ = await bus.declare_results("bare")
        connection = await aiormq.connect(place.amqp)
        stack.push_async_callback(connection.close)
        yield Bare(place, await connection.channel(), await bus.consume(queue, 100))


async def asked_for(place: Place, caller: Client, name: str, number: int = 1) -> tuple[Any, ApprovalDetail]:
    """A letter by ada that waits for its review."""
    started = await caller.start(name, order(number), actor="ada", within=SOON)
    return started, await open_request(place, started.saga)


async def open_request(place: Place, saga: str) -> ApprovalDetail:
    """Of this saga, as soon as there is one."""
    async with place.store() as store, asyncio.timeout(SOON_SECONDS):
        while True:
            found = [each for each in await Approvals(store).waiting() if each.saga == saga]
            if found:
                return found[0]
            await asyncio.sleep(POLL_SECONDS)


# -------------------------------------------------------------------------------------------------------------- signals


async def test_a_signal_by_bare_amqp_after_its_wait_and_before_its_saga(place: Place, bare: Bare) -> None:
    """By id and by key; a repeat counts once; too early it is held, and parked when nothing comes."""
    async with place.calling() as caller, place.serving():
        started = await caller.start("paid", order(1), within=SOON)
        for existing in (False, True):
            heard = await bare.publish(
                "saga.signals", "paid", "paid", {"by": "ada"}, correlation_id=started.saga, message_id="s-1"
            )
            assert (heard["type"], heard.get("existing", False)) == ("saga.accepted.v1", existing)
        assert (await caller.result(started, within=SOON)).status == "completed"
        again = await bare.publish(
            "saga.signals", "paid", "paid", {"by": "ada"}, correlation_id=started.saga, message_id="s-1"
        )
        assert (again["type"], again["existing"]) == ("saga.accepted.v1", True)
        early = asyncio.create_task(bare.publish("saga.signals", "paid", "paid", {}, **{"saga-key": "o2"}))
        await asyncio.sleep(0.5)
        assert not early.done()
        second = await caller.start("paid", order(2), key="o2", within=SOON)
        assert (await early)["saga"] == second.saga
        assert (await caller.result(second, within=SOON)).status == "completed"
    heard = await bare.publish("saga.signals", "paid", "payed", {}, correlation_id=started.saga)
    assert heard["code"] == "ended"


async def test_a_signal_to_nobody_is_parked_in_the_end(place: Place, bare: Bare) -> None:
    """Held for ten seconds without holding up anybody else."""
    nobody = asyncio.create_task(bare.publish("saga.signals", "paid", "paid", {}, **{"saga-key": "nobody"}))
    async with place.calling() as caller, place.serving():
        assert (await caller.run("order", order(1), within=SOON)).status == "completed"
    assert not nobody.done()
    assert (await nobody)["code"] == "unknown-saga"
    assert [each.reason for each in await place.parked()] == ["unknown-saga"]


# ------------------------------------------------------------------------------------------------------------ decisions


async def test_every_way_to_click(place: Place, bare: Bare) -> None:
    """Not allowed, the requester, contradictory, double, replayed: each with the sentence that a person reads."""
    async with place.calling() as caller, place.serving("charge-service") as seen:
        started, asked = await asked_for(place, caller, "letter")
        eve = await bare.decide(asked, "approve", "eve")
        assert eve["reason"] == "deciding needs the role editor; eve has: none. Ask somebody who has it"
        ada = await bare.decide(asked, "approve", "ada")
        assert ada["reason"] == "ada asked for this and may not decide on it: somebody else must"
        changed = msgspec.structs.replace(asked, digest="0" * 64)
        assert (await bare.decide(changed, "approve", "bo"))["code"] == "changed"
        first = await bare.decide(asked, "approve", "bo", message_id="click-1")
        assert (first["type"], first["saga"]) == ("saga.accepted.v1", asked.saga)
        for again in ("click-1", "click-2"):
            double = await bare.decide(asked, "approve", "bo", message_id=again)
            assert (double["type"], double["existing"]) == ("saga.accepted.v1", True)
        contradiction = await bare.decide(asked, "reject", "bo")
        assert contradiction["code"] == "already-decided"
        assert contradiction["reason"].startswith("bo approved this at ")
        assert contradiction["reason"].endswith("the first one counts. To stop the saga all the same, cancel it")
        assert "approved by bo (approve, " in (await bare.decide(asked, "reject", "cy"))["reason"]
        assert (await caller.result(started, within=SOON)).status == "completed"
    assert len(seen) == 1
    assert await place.parked() == []


async def test_what_was_edited_is_sent_and_a_late_click_hears_so(place: Place, bare: Bare) -> None:
    """The bytes of the approver; and after the time there is nothing to decide on."""
    async with place.calling() as caller:
        _, asked = await asked_for(place, caller, "letter")
        await bare.decide(asked, "approve", "bo", edited={"order": "edited"})
        async with place.bus("reader") as bus:
            commands = await bus.consume("saga.commands.charge-service", 1)
            async with asyncio.timeout(SOON_SECONDS):
                (command,) = await commands.receive()
        assert command.body == b'{"order":"edited"}'
        late, slow = await asked_for(place, caller, "hasty", 2)
        assert (await caller.result(late, within=SOON)).status == "compensated"
        assert (await bare.decide(slow, "approve", "bo"))["code"] == "approval-expired"


async def test_clicks_that_race_the_expiry(place: Place, bare: Bare) -> None:
    """Whoever was in time sends it once, for all who ask; else nothing is sent, and everybody hears that it is late."""
    async with place.calling() as caller, place.serving("charge-service") as seen:
        letters = [await asked_for(place, caller, "hasty", number) for number in range(10, 16)]
        answers: dict[str, list[dict[str, Any]]] = {}
        for delay, who in ((0.1, "bo"), (0.3, "cy"), (0.3, "bo"), (0.3, "cy"), (0.3, "bo")):
            await asyncio.sleep(delay)
            for _, asked in letters:
                answers.setdefault(asked.saga, []).append(await bare.decide(asked, "approve", who))
        ended = {started.saga: await caller.result(started, within=SOON) for started, _ in letters}
    in_time = {saga for saga, said in answers.items() if any(each["type"] == "saga.accepted.v1" for each in said)}
    assert {saga for saga, each in ended.items() if each.status == "completed"} == in_time
    assert {each.status for saga, each in ended.items() if saga not in in_time} <= {"compensated"}
    assert len(seen) == len(set(seen)) == len(in_time)
    refused = [each for said in answers.values() for each in said if each["type"] != "saga.accepted.v1"]
    assert {each["code"] for each in refused} <= {"approval-expired", "already-decided", "ended"}


async def test_a_click_on_an_older_request(place: Place, bare: Bare) -> None:
    """Rejected, and asked again by an operator about the same bytes: who still looks at the first request is told so,
    whatever they click; the first decision, delivered again, is known; the second request is open as it was."""
    async with place.calling() as caller, place.serving(*SERVICES):
        started, first = await asked_for(place, caller, "promised")
        assert first.number == 1
        await bare.decide(first, "reject", "bo", message_id="click-1", number=1)
        [row] = await place.rows(ids=(started.saga,))
        assert (row.status, row.wait_kind) == ("parked", "parked")
        retried = await saga(place, "resolve", started.saga, "review", "retry", "--reason", "they talked")
        assert retried.returncode == 0, retried.stderr
        second = await open_request(place, started.saga)
        assert (second.number, second.digest) == (2, first.digest)
        for who, choice in (("cy", "approve"), ("bo", "approve"), ("cy", "reject")):
            stale = await bare.decide(first, choice, who, number=1)
            assert stale["type"] == "saga.refused.v1"
            assert stale["code"] == "changed"
            assert stale["reason"] == "request 1 is not the one to decide on: it is request 2; look again"
        again = await bare.decide(first, "reject", "bo", message_id="click-1", number=1)
        assert (again["type"], again["existing"]) == ("saga.accepted.v1", True)
        early = await bare.decide(first, "approve", "cy", number=3)
        assert early["code"] == "changed"
        assert [row.status for row in await place.rows(ids=(started.saga,))] == ["running"]
        assert (await bare.decide(second, "approve", "bo", number=2))["type"] == "saga.accepted.v1"
        assert (await caller.result(started, within=SOON)).status == "completed"
    assert await place.parked() == []


async def test_the_requester_must_be_known(place: Place) -> None:
    """Four eyes cannot be kept with a start that names nobody."""
    async with place.calling() as caller:
        with pytest.raises(Refused, match=r"no-requester: review of letter excludes whoever asks"):
            await caller.start("letter", order(1), within=SOON)


# --------------------------------------------------------------------------------------------------------- command line


async def saga(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command as a process of its own."""
    command = [sys.executable, "-m", "saga.cli", "--amqp", place.amqp, "--store", place.dsn, *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SAGA_APPROVERS": "bo=editor,cy=editor,ada=editor"}
    return await asyncio.to_thread(
        subprocess.run, command, env=env, capture_output=True, text=True, timeout=60, check=False
    )


async def test_the_command_line_decides_and_tells(place: Place) -> None:
    """List, show, approve by digest; the opposite is exit code 4 with the text; a signal by key."""
    async with place.calling() as caller, place.serving(*SERVICES):
        started, asked = await asked_for(place, caller, "letter")
        listed = await saga(place, "approvals", "list", "-o", "json")
        assert [each["digest"] for each in msgspec.json.decode(listed.stdout)] == [asked.digest], listed.stderr
        given = ("letter/o1", "review", "--digest", asked.digest[:20], "--actor")
        refused = await saga(place, "approvals", "approve", *given, "ada")
        assert (refused.returncode, "SAGA-5306 ada asked for this" in refused.stderr) == (5, True)
        done = await saga(place, "approvals", "approve", *given, "bo", "--reason", "fine", "-o", "json")
        assert (done.returncode, msgspec.json.decode(done.stdout)["state"]) == (0, "approved"), done.stderr
        late = await saga(place, "approvals", "reject", *given, "cy", "--reason", "rude")
        assert (late.returncode, "this was approved by bo" in late.stderr) == (4, True)
        assert (await caller.result(started, within=SOON)).status == "completed"
        paid = await caller.start("paid", order(7), key="o7", within=SOON)
        for reference in ("paid/o7", paid.saga):
            told = await saga(place, "signal", reference, "paid", "--data", '{"by":"ada"}', "--id", "s-7")
            assert told.returncode in {0, 4}, told.stderr
        assert (await caller.result(paid, within=SOON)).status == "completed"
        lost = await saga(place, "signal", "paid/o7", "paid", "--id", "s-8")
        assert (lost.returncode, "SAGA-5021 ended: the saga has ended" in lost.stderr) == (4, True)
