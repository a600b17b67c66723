"""What a look at store and broker comes to."""

from datetime import timedelta

import msgspec
import pytest

from saga.core.checkup import (
    ENGINE_QUEUES,
    BrokerLook,
    QueueLook,
    alarm_findings,
    binding_findings,
    broker_findings,
    clock_findings,
    word_finding,
)
from saga.core.topology import Binding, Policy, wanted_topology
from tests.builders import NOW

WANTED = wanted_topology(["payments", "shipping"])
ALIVE = dict.fromkeys(ENGINE_QUEUES, QueueLook(0, 1))
SERVED = {"saga.commands.payments": QueueLook(3, 2), "saga.commands.shipping": QueueLook(0, 1)}
USED = {"payments": ["order v1", "order v2"], "shipping": ["order v2"]}


def test_all_is_well() -> None:
    """Nothing to say."""
    assert list(broker_findings(BrokerLook((), {**ALIVE, **SERVED}), USED)) == []
    assert list(binding_findings(WANTED, WANTED)) == []
    assert list(clock_findings(NOW, NOW + timedelta(seconds=1.5))) == []
    assert list(alarm_findings([NOW - timedelta(seconds=30)], NOW)) == []
    assert list(alarm_findings([], NOW)) == []


def test_what_is_missing_is_said_once() -> None:
    """Places by name, and the queue of a service with who needs it."""
    look = BrokerLook(("exchange saga.start", "queue saga.commands.shipping"), {**ALIVE, **SERVED})
    del look.queues["saga.commands.shipping"]  # type: ignore[attr-defined]  # the broker's answer of this test
    lacking, service = broker_findings(look, USED)
    assert (lacking.severity, lacking.what) == ("error", "the broker lacks exchange saga.start")
    assert service.what == "the service shipping has no queue (used by order v2)"
    assert "saga topology apply" in lacking.fix
    many = BrokerLook(tuple(f"queue q{number}" for number in range(8)), {})
    [lacking] = broker_findings(many, {})
    assert lacking.what == "the broker lacks queue q0, queue q1, queue q2, queue q3, queue q4 and 3 more"


def test_nobody_reads() -> None:
    """Without orchestrators, and without participants: worse where something waits."""
    idle = {name: QueueLook(2, 0) for name in ENGINE_QUEUES}
    [orchestrators] = broker_findings(BrokerLook((), {**idle, **SERVED}), USED)
    names = "saga.start, saga.replies, saga.control, saga.parking, saga.dead"
    assert orchestrators.what == f"no orchestrator reads {names}; messages waiting there: 10"
    unserved = {"saga.commands.payments": QueueLook(3, 0), "saga.commands.shipping": QueueLook(0, 0)}
    payments, shipping = broker_findings(BrokerLook((), {**ALIVE, **unserved}), USED)
    assert (payments.severity, shipping.severity) == ("error", "warning")
    assert payments.what == "nobody serves payments (used by order v1, order v2); commands waiting: 3"


def test_bindings_of_what_is_there() -> None:
    """A missing queue is said elsewhere; what remains is told by kind, users left alone."""
    gone = msgspec.structs.replace(
        WANTED,
        queues=WANTED.queues[1:],
        bindings=(*WANTED.bindings[2:], Binding("saga.commands", "saga.commands.shipping", "payments.#")),
        policies=(Policy("saga", "^x", {}), Policy("theirs", ".*", {})),
    )
    found = {finding.what: finding.severity for finding in binding_findings(WANTED, gone)}
    assert found == {
        "missing: binding saga.replies -> saga.replies under '#', policy saga-commands, policy saga-kept": "error",
        "differs: policy saga": "warning",
        "extra: binding saga.commands -> saga.commands.shipping under 'payments.#', policy theirs": "warning",
    }


@pytest.mark.parametrize(
    ("skew", "said"),
    [(timedelta(hours=1), "60 min ahead of"), (timedelta(seconds=-5), "5 s behind"), (timedelta(days=9), "9 d ahead")],
)
def test_a_clock_that_is_off(skew: timedelta, said: str) -> None:
    """By how much, and in which direction."""
    [finding] = clock_findings(NOW, NOW + skew)
    assert said in finding.what


def test_alarms_that_nobody_hears() -> None:
    """The oldest says since when."""
    [finding] = alarm_findings([NOW - timedelta(hours=5), NOW - timedelta(minutes=2), NOW], NOW)
    assert finding.what == "sagas are due since 5 h, and no orchestrator looks at them"


def test_words_of_the_catalogue_bring_their_advice() -> None:
    """And a word it does not have is passed on."""
    known = word_finding("warning", "sagas", "expired", "what", "look")
    assert "clock" in known.why
    assert known.fix.endswith("; then look")
    assert word_finding("note", "sagas", "no answer", "what", "look").why == "The reason is no answer."
