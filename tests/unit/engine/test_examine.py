"""Looking at a whole store."""

from datetime import timedelta

from saga import wire
from saga.core.checkup import Finding
from saga.core.inputs import Pause
from saga.core.messages import Outcome, RefusedCode
from saga.engine.examine import examine_messages, examine_sagas, examine_store, services_in_use
from saga.engine.operate import operate
from saga.ports import Batch, StoredDefinition
from tests.conformance.store.places import parked
from tests.unit.engine.rig import ManualClock, Rig


def said(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.severity, finding.what) for finding in findings]


async def test_an_empty_store(rig: Rig) -> None:
    """Migrated, and nothing in it but the lack of a definition."""
    [finding] = await examine_store(rig.store, rig.clock)
    assert (finding.severity, finding.what) == ("warning", "no definition is published")
    rig.store.missing_migrations = ["0002_parked_actions"]
    [finding] = await examine_store(rig.store, rig.clock)
    assert finding.what == "the store lacks 0002_parked_actions"
    assert finding.fix == "saga db migrate"


async def test_a_machine_with_another_time(rig: Rig) -> None:
    """Seen against the store's."""
    await rig.process()
    here = ManualClock()
    here.seconds = -3_600
    [finding] = await examine_store(rig.store, here)
    assert "60 min behind the store's" in finding.what


async def test_services_and_who_uses_them(rig: Rig) -> None:
    """By name and version; what cannot be read is a finding and hides nothing else."""
    await rig.process()
    await rig.store.publish(StoredDefinition("broken", "broken", 1, b"{"))
    used, findings = await services_in_use(rig.store, rig.clock)
    assert used["reserve-service"] == ["order v1", "pivotal v1"]
    assert used["book-service"] == ["pivotal v1"]
    assert [(finding.severity, "broken v1" in finding.what) for finding in findings] == [("error", True)]


async def test_messages_by_reason(rig: Rig) -> None:
    """How many, from where, and the advice of the catalogue."""
    for _ in range(2):
        await rig.store.commit(Batch(parked=[parked(reason="unknown-definition", origin="saga.start")]))
    [finding] = await examine_messages(rig.store)
    assert finding.what.startswith("messages parked from saga.start: 2, unknown-definition, the first since 2026-01-01")
    assert "saga parked list --code unknown-definition" in finding.fix


async def test_a_young_wait_is_nothing_to_talk_about(rig: Rig) -> None:
    """A reply that is due, for a while."""
    process = await rig.process()
    await process.hop(await rig.start())
    assert await examine_sagas(rig.store, rig.clock) == []
    rig.clock.seconds += timedelta(minutes=11).total_seconds()
    found = await examine_sagas(rig.store, rig.clock)
    assert [finding.severity for finding in found] == ["error", "note"]
    assert found[0].what.endswith("no orchestrator looks at them")
    assert found[1].what.startswith("order, 1 waits: reserve: reply of reserve-service.Reserve.v1 is due")
    assert found[1].fix == f"saga show {(await rig.row()).saga}"


async def test_a_participant_whose_clock_is_off(rig: Rig) -> None:
    """It refuses fresh commands as expired: the catalogue knows what that means."""
    process = await rig.process()
    await process.hop(await rig.start())
    await process.hop(await rig.reply(await rig.command(), Outcome.REFUSED, code=RefusedCode.EXPIRED))
    rig.clock.seconds += timedelta(minutes=11).total_seconds()
    found = {finding.severity: finding for finding in await examine_sagas(rig.store, rig.clock)}
    assert "expired" in found["warning"].what
    assert "clock" in found["warning"].why


async def test_parked_sagas_with_the_command_to_type(rig: Rig) -> None:
    """Grouped by definition and reason, the oldest as the example."""
    process = await rig.process()
    for order in ("o1", "o2"):
        await process.hop(await rig.start(order))
    for command in [wire.command_from_wire(each) for each in await rig.take("saga.commands.reserve-service", 2)]:
        await process.hop(await rig.reply(command, Outcome.REFUSED, code=RefusedCode.KEY_REUSED))
    oldest = (await rig.rows())[0].saga
    [finding] = await examine_sagas(rig.store, rig.clock)
    assert finding.severity == "error"
    assert finding.what.startswith("order, 2 waits: ")
    assert f"saga resolve {oldest} reserve retry --reason" in finding.fix


async def test_paused_sagas_are_a_note(rig: Rig) -> None:
    """Somebody meant it."""
    process = await rig.process()
    await process.hop(await rig.start())
    saga = (await rig.row()).saga
    await operate(rig.store, rig.clock, saga, Pause(now=rig.clock.now(), actor="ann", reason="r"))
    [finding] = await examine_sagas(rig.store, rig.clock)
    assert (finding.severity, finding.fix) == ("note", f"saga resume {saga} --reason …")


async def test_commands_that_reached_no_queue(rig: Rig) -> None:
    """A deploy gap: what to make, and that nothing is lost."""
    process = await rig.process()
    rig.broker.delete_queue("saga.commands.reserve-service")
    await process.hop(await rig.start())
    [finding] = await examine_sagas(rig.store, rig.clock)
    assert finding.severity == "error"
    assert "reached no queue" in finding.what
    assert "sent again by itself" in finding.why


async def test_a_saga_that_cannot_be_read(rig: Rig) -> None:
    """Is itself a finding."""
    process = await rig.process()
    rig.broker.delete_queue("saga.commands.reserve-service")
    await process.hop(await rig.start())
    saga = (await rig.row()).saga
    rig.store._definitions.clear()
    assert f"{saga} cannot be read" in said(await examine_sagas(rig.store, rig.clock))[0][1]
