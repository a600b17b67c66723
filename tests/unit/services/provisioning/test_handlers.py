"""What provisioning has the cloud do, and what is left of it after crashes."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.provisioning import (
    AddressPublished,
    CreateNetwork,
    DeleteNetwork,
    MachineStarted,
    NetworkCreated,
    NoAddressLeft,
    PublishAddress,
    StartMachine,
    StopMachine,
    WithdrawAddress,
)
from saga.contract import Context, InDoubt, RetryLater, Undone
from saga.testing import assert_idempotent
from services.provisioning import cloud as client
from services.provisioning.cloud import CloudAnswer, CloudSilent
from services.provisioning.handlers import Yard
from services.world.behaviour import Behaviour, Settings
from services.world.books import Books
from services.world.cloud import routes
from services.world.office import Dropped, Request
from services.world.resources import Cloud

NETWORK = CreateNetwork(customer_id="c1", region="eu-west")


class Near(client.Cloud):
    """The cloud itself, without a network in between."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__("nowhere.example", 1)
        self.cloud = cloud
        self._route = routes(cloud)

    async def _exchange(self, method: str, path: str, key: str, body: dict[str, Any] | None = None) -> CloudAnswer:
        await asyncio.sleep(0)  # the request is on its way
        parts = tuple(path.strip("/").split("/"))
        asked = Request(method, parts, {}, b"" if body is None else msgspec.json.encode(body), key)
        try:
            answer = self._route(asked)
        except Dropped as dropped:
            raise CloudSilent("dropped") from dropped
        await asyncio.sleep(0)  # the answer is on its way
        return CloudAnswer(answer.status, answer.body)


class Place:
    """A cloud with books of its own."""

    def __init__(self, books: Path) -> None:
        self.books = Books(books)
        self.cloud = Cloud(self.books, Settings())
        self.yard = Yard(Near(self.cloud))

    def standing(self) -> int:
        """How much was made and not taken away."""
        return len(self.books.lines("create")) - len(self.books.lines("delete"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Where a test happens."""
    made = Place(tmp_path / "cloud.jsonl")
    yield made
    made.books.close()


def context(key: str, undone: str = "") -> Context:
    return Context(key=key, saga="s", step="step", attempt=1, undone=Undone(key=undone) if undone else None)


async def test_all_of_it_is_made_and_taken_away(place: Place) -> None:
    """Each thing stands in the one before; taken away in reverse nothing is left."""
    network = await place.yard.create_network(NETWORK, context("n"))
    assert isinstance(network, NetworkCreated)
    machine = await place.yard.start_machine(StartMachine("c1", network.network_id), context("m"))
    assert isinstance(machine, MachineStarted)
    address = await place.yard.publish_address(PublishAddress("c1", "eu-west", machine.machine_id), context("a"))
    assert isinstance(address, AddressPublished)
    assert place.standing() == 3
    taken = [
        await place.yard.withdraw_address(WithdrawAddress("c1"), context("undo-a", "a")),
        await place.yard.stop_machine(StopMachine("c1"), context("undo-m", "m")),
        await place.yard.delete_network(DeleteNetwork("c1"), context("undo-n", "n")),
    ]
    assert [each.count for each in taken] == [1, 1, 1]
    assert place.standing() == 0


async def test_a_network_with_a_machine_in_it_stays(place: Place) -> None:
    """The cloud refuses what would be out of order, and the handler asks for another attempt."""
    network = await place.yard.create_network(NETWORK, context("n"))
    await place.yard.start_machine(StartMachine("c1", network.network_id), context("m"))
    with pytest.raises(RetryLater, match="would be left without"):
        await place.yard.delete_network(DeleteNetwork("c1"), context("undo-n", "n"))


async def test_a_full_region_is_a_business_answer(place: Place) -> None:
    """It comes last, when everything else stands."""
    refused = await place.yard.publish_address(PublishAddress("c1", "aq-south", "mac-1"), context("a"))
    assert refused == NoAddressLeft(reason="no addresses left in aq-south")


async def test_a_lost_answer_is_asked_for_again(place: Place) -> None:
    """The cloud made it and nobody heard: the second attempt hears of the same network."""
    place.cloud.change(Settings(scripts={"c1/networks": [Behaviour.DROP_AFTER]}))
    with pytest.raises(RetryLater, match="dropped"):
        await place.yard.create_network(NETWORK, context("n"))
    again = await place.yard.create_network(NETWORK, context("n"))
    assert [line["id"] for line in place.books.lines("create")] == [again.network_id]


async def test_what_is_undone_first_is_never_made(place: Place) -> None:
    """A creation that was on its way when its undo came finds its key gone."""
    assert (await place.yard.delete_network(DeleteNetwork("c1"), context("undo-n", "n"))).count == 0
    with pytest.raises(RetryLater, match="410"):
        await place.yard.create_network(NETWORK, context("n"))
    assert place.standing() == 0


async def test_an_undo_of_nothing_is_a_question_for_people(place: Place) -> None:
    """Nobody says which key: nothing is taken away at random."""
    with pytest.raises(InDoubt, match="nobody says"):
        await place.yard.delete_network(DeleteNetwork("c1"), context("k"))


async def test_books_are_gone_on_with(place: Place) -> None:
    """A cloud that was killed knows its keys, those that are gone too."""
    made = await place.yard.create_network(NETWORK, context("n"))
    await place.yard.delete_network(DeleteNetwork("c1"), context("undo-x", "x"))
    later = Yard(Near(Cloud(place.books, Settings())))
    assert await later.create_network(NETWORK, context("n")) == made
    with pytest.raises(RetryLater, match="410"):
        await later.create_network(NETWORK, context("x"))


@pytest.mark.parametrize("what", ["network", "machine", "address"])
async def test_creating_survives_every_delivery(place: Place, what: str) -> None:
    """Made once, taken away once, wherever provisioning dies: the cloud is always asked under the same key."""
    yard = place.yard
    cases: dict[str, tuple[Any, Any, Any, Any]] = {
        "network": (yard.create_network, yard.delete_network, CreateNetwork, DeleteNetwork("c1")),
        "machine": (yard.start_machine, yard.stop_machine, StartMachine, StopMachine("c1")),
        "address": (yard.publish_address, yard.withdraw_address, PublishAddress, WithdrawAddress("c1")),
    }
    do, undo, contract, undoing = cases[what]
    fields = {"network": ("eu-west",), "machine": ("",), "address": ("eu-west", "")}[what]
    handlers = [contract.handled_by(do), type(undoing).handled_by(undo)]
    proven = await assert_idempotent(
        handlers, lambda name: contract(name, *fields), effects=place.standing, undo=undoing
    )
    assert proven.crashes > 5
