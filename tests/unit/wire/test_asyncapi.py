"""The AsyncAPI document says what contracts and definitions say."""

from typing import Any

import msgspec
import pytest

from contracts import inventory, notifications, payments, shipping
from contracts.ordering import PlaceOrder
from saga import Saga, define
from saga.contract import Command, Contract, Effect, command
from saga.core.definition import Await
from saga.wire.asyncapi import Described, UnknownContract, asyncapi_document, written
from services.ordering.definitions import order
from tests.builders import plan
from tests.unit.engine.family import asking

COMMANDS = [
    kind
    for module in (inventory, notifications, payments, shipping)
    for kind in vars(module).values()
    if isinstance(kind, type) and isinstance(kind.__dict__.get("__saga__"), Contract)
]
ORDER = Described(order.compiled, order.input, order.output)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Of the reference domain, as a reader gets it."""
    decoded: dict[str, Any] = msgspec.json.decode(written(_document()))
    return decoded


def test_every_command_is_sent_and_answered(document: dict[str, Any]) -> None:
    """An operation a command, its reply on the channel of its service with the ok and every declared failure."""
    operation = document["operations"]["payments.ChargeCard.v1"]
    assert operation["action"] == "send"
    assert [ref["$ref"].rpartition("/")[2] for ref in operation["reply"]["messages"]] == [
        "payments.CardCharged.v1",
        "payments.CardDeclined.v1",
        "payments.LimitReached.v1",
        "saga.retry",
        "saga.refused",
    ]
    assert document["channels"]["payments.replies"]["address"] == "payments.{outcome}"


def test_a_compensation_says_what_it_undoes(document: dict[str, Any]) -> None:
    """On the operation and on the message, whose headers name the undone key; its answer may be empty."""
    assert document["operations"]["payments.RefundCharge.v1"]["x-saga-compensates"] == [
        "#/operations/payments.ChargeCard.v1"
    ]
    refund = document["components"]["messages"]["payments.RefundCharge.v1"]
    assert refund["x-saga-compensates"] == ["payments.ChargeCard.v1"]
    headers = document["components"]["schemas"][refund["headers"]["$ref"].rpartition("/")[2]]
    assert {"saga-undoes", "saga-undoes-outcome"} <= set(headers["required"])
    refunded = document["components"]["messages"]["payments.ChargeRefunded.v1"]["payload"]
    assert refunded["anyOf"][1]["maxProperties"] == 0
    assert "x-saga-compensates" not in document["operations"]["payments.ChargeCard.v1"]


def test_every_header_is_a_string(document: dict[str, Any]) -> None:
    """Clients encode numbers differently: the wire has none."""
    schemas = document["components"]["schemas"]
    for name in [name for name in schemas if name.startswith("saga-headers-")]:
        assert schemas[name]["properties"]
        assert {header["type"] for header in schemas[name]["properties"].values()} == {"string"}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """Local references only, and each names something that is there."""
    for reference in _references(document):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        assert place, reference


def test_queues_are_described_as_the_broker_has_them(document: dict[str, Any]) -> None:
    """A quorum queue with its binding and policy, which AMQP bindings have no words for."""
    queue = document["channels"]["payments.commands"]
    assert queue["bindings"]["amqp"]["queue"]["name"] == "saga.commands.payments"
    assert queue["x-rabbitmq"]["arguments"] == {"x-queue-type": "quorum"}
    assert queue["x-rabbitmq"]["bindings"] == [{"exchange": "saga.commands", "routing-key": "payments.#"}]


def test_a_saga_is_started_and_ends(document: dict[str, Any]) -> None:
    """The start carries the input's schema, the end the output's."""
    messages = document["components"]["messages"]
    assert messages["start.order"]["payload"] == {"$ref": "#/components/schemas/PlaceOrder"}
    assert messages["ended.order"]["payload"]["properties"]["output"] == {"$ref": "#/components/schemas/OrderPlaced"}
    assert document["channels"]["start.order"]["address"] == "order"


def test_what_callers_say_is_described() -> None:
    """The signals of each saga under its name, cancels and decisions; a sub-saga needs no contract."""
    waits = plan(Await(path="paid", signal="paid"), asking("access"), name="waits").definition
    found: dict[str, Any] = asyncapi_document(
        COMMANDS, [Described(waits, order.input, order.output)], title="t", version="1"
    )
    assert found["channels"]["waits.signals"]["address"] == "waits"
    assert found["components"]["messages"]["signal.waits.paid"]["bindings"]["amqp"]["messageType"] == "paid"
    assert found["operations"]["signal.waits.paid"]["channel"]["$ref"] == "#/channels/waits.signals"
    decision = found["components"]["messages"]["saga.decide.v1"]["payload"]
    assert decision["required"] == ["path", "decision", "digest"]
    assert found["operations"]["decide"]["action"] == "receive"
    for reference in _references(found):
        place: Any = found
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


class Paid(msgspec.Struct, frozen=True):
    """Money has come."""

    cents: int


@define("waits", version=1)
def waiting(s: Saga, order: PlaceOrder) -> None:
    """Waits for a signal, then reserves."""
    s.signal("payment", Paid, name="paid")
    s.step(
        "reserve",
        inventory.ReserveStock(order_id=order.order_id, lines=order.lines),
        undo=inventory.ReleaseStock(order_id=order.order_id),
    )


def test_a_signal_is_described_by_its_type() -> None:
    """As the definition says it; what its type holds is among the schemas."""
    described = Described(waiting.compiled, waiting.input, waiting.output, waiting.signals)
    found: dict[str, Any] = asyncapi_document(COMMANDS, [described], title="t", version="1")
    assert found["components"]["messages"]["signal.waits.paid"]["payload"] == {"$ref": "#/components/schemas/Paid"}
    assert found["components"]["schemas"]["Paid"]["properties"] == {"cents": {"type": "integer"}}


def test_the_same_modules_give_the_same_bytes() -> None:
    """Otherwise no file could be checked for being fresh."""
    assert written(_document()) == written(_document(reverse=True))


def test_a_missing_contract_is_named() -> None:
    """With what uses it, and what to do."""
    with pytest.raises(UnknownContract, match=r"payments\.ChargeCard\.v1.*Fix: name the modules"):
        asyncapi_document([inventory.ReserveStock], [ORDER], title="t", version="1")


def test_two_types_of_one_name_are_kept_apart() -> None:
    """Version 2 of a command may have a class of the same name in another module."""

    @command(service="payments", version=2, effect=Effect.INBOX)
    class ChargeCard(Command[payments.CardCharged], frozen=True):
        """Move it all."""

        whole: bool

    document = asyncapi_document([payments.ChargeCard, ChargeCard], title="t", version="1")
    of = {name: document["components"]["messages"][f"payments.ChargeCard.{name}"]["payload"] for name in ("v1", "v2")}
    assert of["v1"] != of["v2"]
    assert all(reference.removeprefix("#/components/schemas/") for reference in _references(document))


def _document(*, reverse: bool = False) -> dict[str, Any]:
    commands = COMMANDS[::-1] if reverse else COMMANDS
    return asyncapi_document(commands, [ORDER], title="Orders", version="1.0.0")


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for inner in value.values() for found in _references(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in _references(inner)]
    return []
