"""Least privilege on a broker that loaded our definitions file: what each user may do works, all else is refused."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiormq
import pytest
from aiormq.exceptions import ChannelAccessRefused
from pamqp import commands as spec

from saga.adapters.rabbitmq import RabbitBus
from saga.adapters.rabbitmq.topology import apply, missing
from saga.core.definitions_file import definitions_file, password_hash, read_definitions
from saga.core.difference import difference
from saga.core.topology import (
    User,
    caller,
    deploy,
    orchestrator,
    participant,
    seen_by_orchestrator,
    seen_by_participant,
    subscriber,
    wanted_topology,
)
from saga.ports import Outgoing, Unavailable
from tests.servers import PrivateRabbit

SERVICES = ("payments", "shipping")
USERS = (
    User("guest", ".*", ".*", ".*", tags=("administrator",)),
    participant("payments"),
    participant("shipping"),
    caller("shop", starts=["order"], signals=["order"], controls=["cancel"]),
    caller("desk", controls=["decide"]),
    caller("report", starts=["report"]),
    subscriber("warehouse"),
    orchestrator(),
    deploy(),
)
TOPOLOGY = wanted_topology(SERVICES, USERS)
SOON_SECONDS = 10.0


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("broker") / "definitions.json"
    hashes = {user.name: password_hash(user.name, b"salt") for user in USERS}
    path.write_bytes(definitions_file(TOPOLOGY, vhost="/", password_hashes=hashes))
    return path


@pytest.fixture(scope="module")
def broker(definitions: Path) -> Iterator[PrivateRabbit]:
    with PrivateRabbit(definitions=definitions) as broker:
        yield broker


@pytest.fixture
async def bus_of(broker: PrivateRabbit) -> AsyncIterator[dict[str, RabbitBus]]:
    buses = {user.name: await RabbitBus.open(url(broker, user.name), name=user.name) for user in USERS}
    yield buses
    await asyncio.gather(*(bus.close() for bus in buses.values()))


def url(broker: PrivateRabbit, user: str) -> str:
    return f"amqp://{user}:{user}@{broker.host}:{broker.port}/"


def message(exchange: str, key: str, message_id: str = "m") -> Outgoing:
    return Outgoing(exchange, key, b"{}", f"{message_id}-{exchange}-{key}", "t", {})


ALLOWED = [
    ("payments", "saga.replies", "payments.ok"),
    ("payments", "saga.parking", "saga.commands.payments"),
    ("shop", "saga.start", "order"),
    ("shop", "saga.signals", "order"),
    ("desk", "saga.control", "decide"),
    ("shop", "saga.control", "cancel"),
    ("orchestrator", "saga.commands", "payments.A.v1"),
    ("orchestrator", "saga.results", "shop.cli"),
    ("orchestrator", "saga.events", "order.ended"),
    ("orchestrator", "saga.start", "order"),
    ("orchestrator", "saga.replies", "saga.ok"),
]
FORBIDDEN = [
    ("payments", "saga.replies", "shipping.ok"),  # another service's answer
    ("payments", "saga.replies", "paymentsx.ok"),
    ("payments", "saga.replies", "payments"),
    ("payments", "saga.parking", "saga.commands.shipping"),
    ("payments", "saga.commands", "payments.A.v1"),
    ("payments", "saga.commands", "shipping.A.v1"),
    ("payments", "saga.start", "order"),
    ("payments", "saga.signals", "paid"),
    ("payments", "saga.control", "cancel"),
    ("payments", "saga.results", "shop.cli"),
    ("payments", "saga.events", "order.ended"),
    ("payments", "saga.dead", ""),
    ("payments", "", "saga.commands.payments"),  # the default exchange reaches every queue
    ("payments", "amq.topic", "x"),
    ("shop", "saga.start", "report"),
    ("shop", "saga.start", "orders"),
    ("shop", "saga.control", "decide"),
    ("shop", "saga.signals", "report"),
    ("desk", "saga.control", "cancel"),
    ("desk", "saga.start", "order"),
    ("shop", "saga.commands", "payments.A.v1"),
    ("shop", "saga.replies", "payments.ok"),
    ("shop", "saga.results", "report.cli"),
    ("shop", "saga.parking", "saga.start"),
    ("report", "saga.signals", "paid"),
    ("report", "saga.control", "cancel"),
    ("warehouse", "saga.events", "order.ended"),
    ("orchestrator", "saga.replies", "payments.ok"),  # not even the engine answers for a service
    ("orchestrator", "saga.signals", "paid"),
    ("orchestrator", "saga.control", "cancel"),
]


async def test_everybody_may_do_what_it_is_for(bus_of: dict[str, RabbitBus]) -> None:
    """Each granted publish is confirmed; those without a listener say so, which takes the same right."""
    for user, exchange, key in ALLOWED:
        [sent] = await bus_of[user].publish([message(exchange, key)])
        assert sent.outcome in {"confirmed", "returned"}, f"{user} -> {exchange} {key}: {sent}"


@pytest.mark.parametrize(("user", "exchange", "key"), FORBIDDEN)
async def test_nobody_may_publish_anything_else(
    bus_of: dict[str, RabbitBus], user: str, exchange: str, key: str
) -> None:
    """The broker refuses it, and the message beside it goes through."""
    allowed = next(
        (e, k) for u, e, k in [*ALLOWED, ("report", "saga.start", "report"), ("", "", "")] if u in {user, ""}
    )
    beside = [message(*allowed)] if allowed[0] else []
    sent = await bus_of[user].publish([*beside, message(exchange, key)])
    assert sent[-1].outcome == "refused"
    assert "ACCESS_REFUSED" in sent[-1].detail
    assert all(one.outcome in {"confirmed", "returned"} for one in sent[:-1])


@pytest.mark.parametrize("queue", ["saga.commands.shipping", "saga.replies", "saga.start", "saga.parking", "saga.dead"])
async def test_a_participant_reads_only_its_own_queue(bus_of: dict[str, RabbitBus], queue: str) -> None:
    """Other queues are refused, its own is served."""
    with pytest.raises(Unavailable, match="ACCESS_REFUSED"):
        await bus_of["payments"].consume(queue, 1)
    await bus_of["orchestrator"].publish([message("saga.commands", "payments.A.v1", "read")])
    subscription = await bus_of["payments"].consume("saga.commands.payments", 10)
    got = await asyncio.wait_for(subscription.receive(), SOON_SECONDS)
    assert got[0].sender == "orchestrator"
    await subscription.settle(got)
    await subscription.close()


CONFIGURING = {
    "declare a queue": spec.Queue.Declare(queue="saga.commands.new", durable=True),
    "delete its queue": spec.Queue.Delete(queue="saga.commands.payments"),
    "purge another queue": spec.Queue.Purge(queue="saga.commands.shipping"),
    "bind another service's commands": spec.Queue.Bind(
        queue="saga.commands.payments", exchange="saga.commands", routing_key="shipping.#"
    ),
    "unbind its queue": spec.Queue.Unbind(
        queue="saga.commands.payments", exchange="saga.commands", routing_key="payments.#"
    ),
    "declare an exchange": spec.Exchange.Declare(exchange="saga.new", exchange_type="topic"),
    "delete an exchange": spec.Exchange.Delete(exchange="saga.replies"),
    "get from another queue": spec.Basic.Get(queue="saga.commands.shipping"),
}


@pytest.mark.parametrize("action", CONFIGURING)
async def test_a_participant_configures_nothing(broker: PrivateRabbit, action: str) -> None:
    """Every attempt is refused by the broker."""
    connection = await aiormq.connect(url(broker, "payments"))
    try:
        channel = await connection.channel()
        assert isinstance(channel, aiormq.Channel)
        with pytest.raises(ChannelAccessRefused):
            await asyncio.wait_for(channel.rpc(CONFIGURING[action]), SOON_SECONDS)
    finally:
        await connection.close()


async def test_a_sender_cannot_pretend_to_be_somebody_else(broker: PrivateRabbit) -> None:
    """The broker verifies the user of a message."""
    connection = await aiormq.connect(url(broker, "payments"))
    try:
        channel = await connection.channel()
        forged = spec.Basic.Properties(message_id="m", user_id="shipping")
        with pytest.raises(aiormq.exceptions.ChannelPreconditionFailed):
            await channel.basic_publish(b"", exchange="saga.replies", routing_key="payments.ok", properties=forged)
    finally:
        await connection.close()


async def test_a_caller_owns_its_results_and_nobody_elses(bus_of: dict[str, RabbitBus], broker: PrivateRabbit) -> None:
    """It declares, binds and reads under its own name only."""
    queue, reply_to = await bus_of["shop"].declare_results("cli")
    assert (queue, reply_to) == ("saga.results.shop.cli", "shop.cli")
    subscription = await bus_of["shop"].consume(queue, 10)
    [sent] = await bus_of["orchestrator"].publish([message("saga.results", reply_to)])
    assert sent.outcome == "confirmed"
    got = await asyncio.wait_for(subscription.receive(), SOON_SECONDS)
    assert got[0].sender == "orchestrator"
    await bus_of["report"].declare_results("cli")
    with pytest.raises(Unavailable, match="ACCESS_REFUSED"):
        await bus_of["report"].consume(queue, 1)
    connection = await aiormq.connect(url(broker, "report"))
    try:
        for binding in (
            spec.Queue.Bind(queue="saga.results.report.cli", exchange="saga.results", routing_key="shop.cli"),
            spec.Queue.Bind(queue="saga.results.report.cli", exchange="saga.results", routing_key="#"),
            spec.Queue.Bind(queue="saga.results.report.cli", exchange="saga.events", routing_key="#"),
            spec.Queue.Declare(queue="saga.results.shop.other", durable=True),
        ):
            channel = await connection.channel()
            assert isinstance(channel, aiormq.Channel)
            with pytest.raises(ChannelAccessRefused):
                await asyncio.wait_for(channel.rpc(binding), SOON_SECONDS)
    finally:
        await connection.close()


async def test_readiness_needs_no_more_rights_than_work_does(broker: PrivateRabbit) -> None:
    """Each role can look for what it needs."""
    assert await missing(url(broker, "payments"), seen_by_participant("payments")) == []
    assert await missing(url(broker, "orchestrator"), seen_by_orchestrator(SERVICES)) == []
    assert await missing(url(broker, "orchestrator"), seen_by_orchestrator(["nobody"])) == [
        "queue saga.commands.nobody"
    ]


async def test_deploy_may_apply_and_a_participant_may_not(broker: PrivateRabbit) -> None:
    """A new service is one `apply` away, for those who may."""
    new = wanted_topology([*SERVICES, "billing"])
    await apply(url(broker, "deploy"), new)
    assert await missing(url(broker, "deploy"), new) == []
    with pytest.raises(Unavailable, match="ACCESS_REFUSED"):
        await apply(url(broker, "payments"), wanted_topology(["other"]))


async def test_what_the_broker_exports_is_what_was_wanted(broker: PrivateRabbit, definitions: Path) -> None:
    """Exported and read back there is no difference; a changed broker shows each change."""
    path = broker.folder / "export.json"
    await asyncio.to_thread(broker.ctl, "export_definitions", str(path))
    actual = read_definitions(path.read_bytes(), vhost="/")
    assert [one for one in difference(TOPOLOGY, actual) if "billing" not in one.what] == []
    await asyncio.to_thread(broker.ctl, "clear_policy", "saga-kept")
    await asyncio.to_thread(broker.ctl, "set_permissions", "payments", "^$", ".*", ".*")
    try:
        await asyncio.to_thread(broker.ctl, "export_definitions", str(path))
    finally:
        await asyncio.to_thread(broker.ctl, "import_definitions", str(definitions))
    changed = difference(TOPOLOGY, read_definitions(path.read_bytes(), vhost="/"))
    shown = {str(one) for one in changed if "billing" not in one.what}  # which another test may have added
    assert shown == {"missing: policy saga-kept", "differs: user payments"}
