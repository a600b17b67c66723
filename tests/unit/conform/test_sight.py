"""What every reply is looked at for."""

from typing import Any

import msgspec
import pytest

from saga.adapters.rabbitmq.content import oversize
from saga.conform.judging import want_same
from saga.conform.report import Broken
from saga.conform.sight import violations
from saga.core.messages import CommandMessage, Kind, Outcome, ReplyEffect
from saga.ports import Delivery
from saga.wire import answer, command_to_wire, reply_to_wire

COMMAND = CommandMessage(
    saga="0197f3a0-0000-7000-8000-000000000001",
    saga_name="conform",
    saga_version=1,
    business_key="A-1",
    path="pay",
    kind=Kind.ACTION,
    execution=2,
    attempt=3,
    service="bank",
    command="Pay",
    command_version=1,
    message_id="1" * 32,
    key="2" * 32,
    body=b"{}",
    traceparent=f"00-{'1' * 32}-{'2' * 16}-01",
)
SENT = command_to_wire(COMMAND)
OK = msgspec.structs.replace(answer(COMMAND, Outcome.OK, effect=ReplyEffect.APPLIED), type="bank.Paid.v1", body=b"{}")


def delivered(**changes: Any) -> Delivery:
    """The right reply, with something changed; `header` changes one header, and None removes it."""
    out = reply_to_wire(OK)
    headers: dict[str, Any] = {**out.headers, **changes.pop("header", {})}
    right = Delivery(
        queue="saga.replies",
        exchange=out.exchange,
        routing_key=out.routing_key,
        body=out.body,
        message_id=out.message_id,
        type=out.type,
        correlation_id=out.correlation_id,
        reply_to="",
        headers={name: value for name, value in headers.items() if value is not None},
        sender="bank",
        redelivered=False,
        token=1,
    )
    return msgspec.structs.replace(right, **changes)


def found(reply: Delivery) -> set[str]:
    return {rule for rule, _ in violations(reply, SENT, "bank")}


def test_the_right_reply_breaks_nothing() -> None:
    """As our own participants send it."""
    assert violations(delivered(), SENT, "bank") == []


@pytest.mark.parametrize(
    ("reply", "rule"),
    [
        (delivered(defects=("the header saga-attempt is no string (AMQP type 'I')",)), "header-strings"),
        (delivered(header={"saga-message": "a\0b"}), "header-strings"),
        (delivered(header={"saga-cost": "5"}), "readable"),
        (delivered(header={"saga-cost": "\ufffd"}), "readable"),
        (delivered(defects=oversize(300_000), body=b""), "limits"),
        (delivered(sender=None), "user-id"),
        (delivered(routing_key="bank.done", header={"saga-outcome": "done"}), "routing-key"),
        (delivered(routing_key="other.ok"), "routing-key"),
        (delivered(header={"saga-outcome": "failed"}), "routing-key"),
        (delivered(correlation_id=""), "echo"),
        (delivered(header={"saga-in-reply-to": "2" * 32}), "echo"),
        (delivered(header={"saga-execution": None}), "echo"),
        (delivered(header={"traceparent": None}), "trace"),
        (delivered(header={"traceparent": f"00-{'3' * 32}-{'2' * 16}-01"}), "trace"),
        (delivered(header={"saga-code": "x"}), "codes"),
        (delivered(header={"saga-effect": None}), "codes"),
        (delivered(routing_key="bank.refused", header={"saga-outcome": "refused"}), "codes"),
        (
            delivered(routing_key="bank.refused", header={"saga-outcome": "refused", "saga-code": "no"}),
            "codes",
        ),
        (delivered(type=""), "bodies"),
        (delivered(type="other.Paid.v1"), "bodies"),
        (delivered(body=b"done"), "bodies"),
        (delivered(body=b""), "bodies"),
        (delivered(routing_key="bank.retry", header={"saga-outcome": "retry", "saga-code": "c" * 65}), "limits"),
        (delivered(header={"saga-message": "m" * 4_097}), "limits"),
    ],
)
def test_a_wrong_reply_breaks_its_rule(reply: Delivery, rule: str) -> None:
    """That rule and no other."""
    assert found(reply) == {rule}


def test_what_an_orchestrator_cannot_read_is_found_in_any_case() -> None:
    """Whatever no rule of its own names: the codec of the engine has the last word."""
    (violation,) = violations(delivered(header={"saga-handler-ms": "soon"}), SENT, "bank")
    assert violation == ("readable", "bad-header: saga-handler-ms is 'soon', wanted at most 9 digits")


def test_every_violation_says_what_was_wanted() -> None:
    """And what is there."""
    ((_, reason),) = violations(delivered(header={"saga-attempt": "1"}), SENT, "bank")
    assert reason == "saga-attempt is '1', wanted the command's header of this name, '3'"


def test_a_cost_is_told_again_with_its_answer() -> None:
    """Well written it breaks nothing; an answer from memory that leaves it out is another answer."""
    told = delivered(header={"saga-cost": "0.0123 USD, 1520 tokens"})
    assert violations(told, SENT, "bank") == []
    want_same(told, told, when="again")
    with pytest.raises(Broken, match="saga-cost differs"):
        want_same(told, delivered(), when="again")
