"""Orchestrators and participants as processes on each event loop: they work, say what they run on, and drain."""

from pathlib import Path

import pytest

from tests.integration.orders_place import SOON, Place, RunProcess


class ServeProcess(RunProcess):
    """`saga serve`."""

    command = "serve"


@pytest.mark.parametrize("event_loop", ["uvloop", "asyncio"])
async def test_an_order_completes_on_either_loop(
    database: str, vhost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event_loop: str
) -> None:
    """Real servers, real processes, SIGTERM at the end."""
    monkeypatch.setenv("SAGA_EVENT_LOOP", event_loop)
    place = Place(database, vhost)
    await place.prepare()
    await place.declare(["inventory"])
    orchestrator = RunProcess(place, tmp_path / "run")
    served = ("services.inventory:participant", "--database", database, "--migrate")
    participant = ServeProcess(place, tmp_path / "serve", *served)
    try:
        await orchestrator.ready()
        await participant.ready()
        async with place.serving(), place.calling() as caller:
            assert (await caller.run("order", {"id": "o1"}, within=SOON)).status == "completed"
        assert [await orchestrator.stop(), await participant.stop()] == [0, 0]
        assert all(f'"loop": "{event_loop}"' in each.log for each in (orchestrator, participant))
    finally:
        orchestrator.process.kill9()
        participant.process.kill9()
