"""The cloud as a process, asked by provisioning's own client and handlers."""

from pathlib import Path
from typing import Any

import pytest

from contracts.provisioning import CreateNetwork, DeleteNetwork, NoAddressLeft, PublishAddress
from saga.contract import Context, RetryLater, Undone
from services.provisioning.cloud import Cloud
from services.provisioning.handlers import Yard
from services.world.books import read
from tests.integration.services.world_processes import WorldProcess, running

NETWORK = CreateNetwork(customer_id="c1", region="eu-west")


def context(key: str = "key-1", undone: str = "") -> Context:
    return Context(key=key, saga="saga-1", step="network", attempt=1, undone=Undone(key=undone) if undone else None)


def client(cloud: WorldProcess, **options: Any) -> Cloud:
    return Cloud(cloud.host, cloud.port, **options)


async def test_a_key_makes_one_thing_over_a_kill(tmp_path: Path) -> None:
    """Made, asked for again by a cloud that was killed meanwhile, and taken away: three lines of books."""
    books = tmp_path / "books.jsonl"
    with running("cloud", books) as cloud:
        made = await Yard(client(cloud)).create_network(NETWORK, context())
        cloud.kill()
    with running("cloud", books) as cloud:
        yard = Yard(client(cloud))
        assert await yard.create_network(NETWORK, context()) == made
        assert (await yard.delete_network(DeleteNetwork("c1"), context("undo", "key-1"))).count == 1
        assert (await yard.delete_network(DeleteNetwork("c1"), context("undo", "key-1"))).count == 0
    told = [line["kind"] for line in read(books) if line["kind"] != "request"]
    assert told == ["create", "again", "delete"]


@pytest.mark.parametrize("option", ["drop-before", "drop-after", "unavailable"])
async def test_whatever_is_not_answered_is_claimed_by_nobody(tmp_path: Path, option: str) -> None:
    """The handler asks for another attempt; what was carried out is on the books once."""
    books = tmp_path / "books.jsonl"
    with running("cloud", books, f"--{option}-rate", "1") as cloud:
        for _ in range(2):
            with pytest.raises(RetryLater):
                await Yard(client(cloud)).create_network(NETWORK, context())
    assert len(read(books, "create")) == (option == "drop-after")


async def test_the_cloud_refuses_late_and_only_there(tmp_path: Path) -> None:
    """A customer for whom no address is left gets a network all the same."""
    with running("cloud", tmp_path / "books.jsonl", "--refuse-rate", "1") as cloud:
        yard = Yard(client(cloud))
        await yard.create_network(NETWORK, context())
        refused = await yard.publish_address(PublishAddress("c1", "eu-west", "mac-1"), context("key-2"))
    assert isinstance(refused, NoAddressLeft)


async def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    """No key, no such thing, no such setting."""
    with running("cloud", tmp_path / "books.jsonl") as cloud:
        asked = client(cloud)._exchange
        assert (await asked("POST", "/networks", "", {"customer": "c1"})).status == 400
        assert (await asked("POST", "/castles", "key", {"customer": "c1"})).status == 404
        assert (await asked("PUT", "/settings", "", {"refuse_rate": 2})).status == 400
        assert (await asked("PUT", "/settings", "", {"refuse_rate": 0.5})).body["refuse_rate"] == 0.5
