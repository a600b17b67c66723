"""The definitions document says what the topology says."""

import msgspec
import pytest

from saga.core.definitions_file import definitions_file, password_hash, read_definitions
from saga.core.difference import difference
from saga.core.topology import Topology, caller, deploy, orchestrator, participant, wanted_topology

USERS = (participant("payments"), caller("shop", starts=["order"]), orchestrator(), deploy())
TOPOLOGY = wanted_topology(["payments"], USERS)


def test_what_is_written_is_read_back() -> None:
    """Nothing is lost in between."""
    data = definitions_file(TOPOLOGY, vhost="prod", password_hashes={})
    assert difference(TOPOLOGY, read_definitions(data, vhost="prod")) == ()
    assert read_definitions(data, vhost="other") == Topology()


def test_queues_are_durable_quorum_queues_without_other_arguments() -> None:
    """Everything that may change is a policy."""
    document = msgspec.json.decode(definitions_file(TOPOLOGY, vhost="/", password_hashes={}))
    assert {queue["durable"] for queue in document["queues"]} == {True}
    assert all(queue["arguments"] == {"x-queue-type": "quorum"} for queue in document["queues"])


def test_a_password_is_hashed_as_the_broker_does() -> None:
    """The example of RabbitMQ's own documentation."""
    assert password_hash("test12", bytes.fromhex("908DC60A")) == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"


def test_a_salt_of_another_size_is_refused() -> None:
    """The broker would read part of the hash as salt."""
    with pytest.raises(ValueError, match="Fix: 4"):
        password_hash("x", b"12345")


def test_users_without_a_hash_cannot_log_in_by_password() -> None:
    """They need a certificate."""
    document = msgspec.json.decode(definitions_file(TOPOLOGY, vhost="/", password_hashes={"shop": "abc"}))
    assert {user["name"]: user["password_hash"] for user in document["users"]} == {
        "payments": "",
        "shop": "abc",
        "orchestrator": "",
        "deploy": "",
    }
