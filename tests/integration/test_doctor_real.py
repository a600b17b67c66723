"""The doctor over real servers: silent when all is well, and each part that is missing is named."""

import msgspec
import pytest

from tests.integration.orders_place import SOON, Place
from tests.integration.test_cli_real import saga


@pytest.fixture
async def place(database: str, vhost: str) -> Place:
    """A migrated store and a declared broker."""
    place = Place(database, vhost)
    await place.prepare()
    return place


async def doctor(place: Place) -> tuple[int, dict[str, str]]:
    """Exit code, and fixes by severity and what."""
    code, out, err = await saga(place, "doctor", "-o", "json")
    assert err == ""
    return code, {f"{each['severity']} {each['what']}": each["fix"] for each in msgspec.json.decode(out)}


async def test_all_is_well(place: Place) -> None:
    """Orchestrator and participants at work: at most the note that bindings cannot be seen, and exit code 0."""
    async with place.orchestrating(), place.serving(), place.calling() as caller:
        await caller.run("order", {"id": "o1"}, within=SOON)
        code, found = await doctor(place)
    assert code == 0, found
    assert all(each.startswith("note bindings and policies") for each in found)


async def test_nobody_is_at_work(place: Place) -> None:
    """A broker with queues that nobody reads."""
    code, found = await doctor(place)
    assert code == 1
    [idle] = [each for each in found if "no orchestrator reads" in each]
    assert found[idle].startswith("saga run")
    [unserved] = [each for each in found if "nobody serves charge-service" in each]
    assert unserved.startswith("warning nobody serves charge-service (used by order v1)")


async def test_a_service_without_a_queue(database: str, vhost: str) -> None:
    """Started sagas wait for it, and the doctor says for what."""
    place = Place(database, vhost)
    await place.prepare(["charge-service"])
    async with place.orchestrating(), place.calling() as caller:
        await caller.start("order", {"id": "o1"}, within=SOON)
        code, found = await doctor(place)
    assert code == 1
    assert any("the service reserve-service has no queue (used by note v1, order v1)" in each for each in found)
    assert any("has reached no queue" in each for each in found)


async def test_an_empty_broker_and_an_empty_store(database: str, vhost: str) -> None:
    """The first minute of a user: tables, then topology, each by its command."""
    place = Place(database, vhost)
    code, found = await doctor(place)
    assert (code, "saga db migrate" in found.values()) == (1, True)
    async with place.store() as store:
        await store.migrate()
    code, found = await doctor(place)
    assert code == 1
    assert found["warning no definition is published"] == "saga definitions publish MODULE"
    assert "saga topology apply" in found.values()
