"""The wanted topology follows the wire contract; differences to a broker are named one by one."""

import re
from datetime import timedelta

import msgspec
import pytest

from saga.core.bounds import ACTION_EXPIRES_AFTER
from saga.core.difference import difference
from saga.core.topology import (
    Binding,
    Exchange,
    Policy,
    Queue,
    Topology,
    User,
    caller,
    command_queue,
    orchestrator,
    participant,
    result_key,
    result_queue,
    seen_by_orchestrator,
    seen_by_participant,
    wanted_topology,
)

TOPOLOGY = wanted_topology(["payments", "shipping", "payments"], [participant("payments")])


def test_every_service_has_one_queue_bound_to_all_its_commands() -> None:
    """However often it is named."""
    assert [queue.name for queue in TOPOLOGY.queues if queue.name.startswith("saga.commands")] == [
        "saga.commands.payments",
        "saga.commands.saga",
        "saga.commands.shipping",
    ]
    assert Binding("saga.commands", "saga.commands.payments", "payments.#") in TOPOLOGY.bindings


def test_every_binding_joins_what_is_declared() -> None:
    """No binding names an exchange or a queue that nobody makes."""
    exchanges = {exchange.name for exchange in TOPOLOGY.exchanges}
    queues = {queue.name for queue in TOPOLOGY.queues}
    assert all(binding.exchange in exchanges and binding.queue in queues for binding in TOPOLOGY.bindings)
    assert queues == {binding.queue for binding in TOPOLOGY.bindings}


def test_every_queue_has_exactly_one_policy_with_a_delivery_limit() -> None:
    """A broker of version 4 would drop after 20 deliveries; a queue with a further place dead-letters into it."""
    for queue in TOPOLOGY.queues:
        [policy] = [policy for policy in TOPOLOGY.policies if re.search(policy.pattern, queue.name)]
        kept = queue.name in {"saga.dead", "saga.parking"}
        assert ("dead-letter-exchange" in policy.definition) is not kept
        assert int(policy.definition["delivery-limit"]) >= 100


def test_a_command_waits_for_less_than_the_margin_of_its_key() -> None:
    """An undo carries no expiry: delivered later than that, it could meet a participant that has forgotten the action.
    Nothing else is ever too old."""
    for queue in TOPOLOGY.queues:
        [policy] = [policy for policy in TOPOLOGY.policies if re.search(policy.pattern, queue.name)]
        if not queue.name.startswith("saga.commands."):
            assert "message-ttl" not in policy.definition
            continue
        spare = ACTION_EXPIRES_AFTER - timedelta(milliseconds=int(policy.definition["message-ttl"]))
        assert timedelta(minutes=30) < spare < timedelta(days=1)


def test_readiness_asks_for_what_a_role_needs() -> None:
    """A participant looks for its own queue only."""
    assert [queue.name for queue in seen_by_participant("payments").queues] == [command_queue("payments")]
    assert set(seen_by_orchestrator(["payments"]).queues) == set(wanted_topology(["payments"]).queues)


def test_a_callers_queue_and_its_key_belong_together() -> None:
    """The queue is named after the key that leads to it."""
    assert result_key("shop", "cli") == "shop.cli"
    assert result_queue("shop", "cli") == "saga.results.shop.cli"


@pytest.mark.parametrize("name", ["a.b", ""])
def test_a_name_that_would_own_anothers_queues_is_refused(name: str) -> None:
    """With a dot in it, `a` could read the queues of `a.b`."""
    with pytest.raises(ValueError, match="Fix:"):
        participant(name)
    with pytest.raises(ValueError, match="Fix:"):
        caller(name, starts=["order"])


def test_names_are_taken_literally_in_rights() -> None:
    """A dash or a bracket in a name is no expression."""
    rights = participant("pay-ments+")
    assert re.search(rights.read, "saga.commands.pay-ments+")
    assert not re.search(rights.read, "saga.commands.pay-mentss")
    assert re.search(caller("shop", starts=["a.c"]).topics[0].write, "a.c")
    assert not re.search(caller("shop", starts=["a.c"]).topics[0].write, "abc")


def test_a_caller_without_grants_may_only_listen() -> None:
    """Nothing is writable by default."""
    rights = caller("shop")
    assert not any(re.search(rights.write, name) for name in ("saga.start", "saga.signals", "saga.control"))


def test_equal_topologies_have_no_difference() -> None:
    """Whatever the order."""
    shuffled = Topology(
        exchanges=TOPOLOGY.exchanges[::-1],
        queues=(*TOPOLOGY.queues[::-1], Queue("foreign")),
        bindings=(*TOPOLOGY.bindings[::-1], Binding("", "saga.start", "saga.start"), Binding("x", "foreign", "#")),
        policies=TOPOLOGY.policies[::-1],
        users=(User("grafana", read="^metrics$"), *TOPOLOGY.users),
    )
    assert difference(TOPOLOGY, shuffled) == ()


def test_what_nobody_wants_is_named() -> None:
    """Queues, exchanges, policies and users that meddle with what is ours; what its owner makes is its own."""
    actual = msgspec.structs.replace(
        TOPOLOGY,
        exchanges=(*TOPOLOGY.exchanges, Exchange("saga.old"), Exchange("amq.topic")),
        queues=(
            *TOPOLOGY.queues,
            Queue("saga.commands.gone"),
            Queue("saga.results.shop.till"),
            Queue("saga.events.x.y"),
        ),
        policies=(*TOPOLOGY.policies, Policy("all", ".*", {"max-length": 5}, 10), Policy("theirs", "^theirs", {})),
        users=(*TOPOLOGY.users, orchestrator("other"), User("odd", write="("), User("metrics", read="^metrics$")),
    )
    found = difference(TOPOLOGY, actual)
    assert {str(one) for one in found} == {
        "extra: exchange saga.old",
        "extra: queue saga.commands.gone",
        "extra: policy all",
        "extra: user other",
        "extra: user odd",
    }
    details = {one.what: one.detail for one in found}
    assert "priority 10: may rule saga.start, saga.replies, saga.signals and" in details["policy all"]
    assert details["user odd"] == "may write ("
    without = msgspec.structs.replace(TOPOLOGY, users=())
    assert [one for one in difference(without, actual) if "user" in one.what] == []


def test_a_difference_says_what_is_wanted_and_what_is_there() -> None:
    """Field by field; another spelling of nothing is no difference."""
    user, *others = TOPOLOGY.users
    changed = msgspec.structs.replace(user, write=".*", configure="", topics=user.topics[:1], tags=("administrator",))
    actual = msgspec.structs.replace(
        TOPOLOGY,
        queues=(Queue("saga.start", "classic"), *TOPOLOGY.queues[1:]),
        users=(changed, *others),
    )
    queue, rights = difference(TOPOLOGY, actual)
    assert (str(queue), queue.detail) == ("differs: queue saga.start", "type: wanted quorum, is classic")
    assert "configure" not in rights.detail
    assert "; topics: wanted saga.parking (write ^saga" in rights.detail
    assert rights.detail.endswith("; tags: wanted nothing, is administrator")


def test_each_difference_is_named() -> None:
    """What is missing, what differs, and a binding that would copy one service's commands to another."""
    policy = TOPOLOGY.policies[0]
    actual = msgspec.structs.replace(
        TOPOLOGY,
        exchanges=(Exchange("saga.dead", "topic"), *(e for e in TOPOLOGY.exchanges if e.name != "saga.dead"))[:-1],
        queues=TOPOLOGY.queues[1:],
        bindings=(*TOPOLOGY.bindings[1:], Binding("saga.commands", "saga.commands.shipping", "payments.#")),
        policies=(Policy(policy.name, policy.pattern, {"delivery-limit": 5}), *TOPOLOGY.policies[1:]),
        users=(msgspec.structs.replace(TOPOLOGY.users[0], write=".*"),),
    )
    assert {str(one) for one in difference(TOPOLOGY, actual)} == {
        "differs: exchange saga.dead",
        "missing: exchange saga.parking",
        "missing: queue saga.start",
        "missing: binding saga.start -> saga.start under '#'",
        "extra: binding saga.commands -> saga.commands.shipping under 'payments.#'",
        "differs: policy saga-commands",
        "differs: user payments",
        *(f"missing: user {user.name}" for user in TOPOLOGY.users[1:]),
    }
