"""A participant that keeps the wire contract passes; whatever it does wrong is found, under the rule's name."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from saga.adapters.memory.bus import MemoryBroker
from saga.adapters.system import SystemClock, SystemIds
from saga.conform import RULES, Finding, Target, TargetError, Verdict, conform
from saga.core.topology import Queue, Topology, wanted_topology
from saga.ports import MissingQueue, Outgoing, Unavailable
from tests.unit.conform.tiny import Tiny

TARGET = Target(
    command="tiny.Do.v1",
    body=b'{"order": "$UNIQUE"}',
    undo="tiny.Undo.v1",
    undo_body=b'{"order": "$UNIQUE", "number": null}',
    declined_body=b'{"order": "$UNIQUE", "decline": true}',
    patience=timedelta(milliseconds=60),
)

REPEATS = {"same-attempt", "next-attempt", "other-bytes", "expired-known", "restart", "undo-again", "at-once"}
TOMBSTONES = {"late-action", "restart", "undo-race"}
UNREADABLE = {"not-json", "bad-utf8", "nul"}

# All that each flaw is found by; a rule that is not listed is kept.
FLAWS: dict[str, set[str]] = {
    "echo": {"echo"},
    "trace": {"trace"},
    "routing-key": {"routing-key"},
    "limits": {"limits"},
    "codes": {"codes"},
    "bodies": {"bodies"},
    "same-attempt": REPEATS | {"bytes-as-sent", "other-command", "undo"},  # remembers no action
    "applied-twice": REPEATS | {"undo-race"},  # says `applied` for what it replays
    "at-once": {"at-once", "undo-race"},
    "other-bytes": {"other-bytes", "bytes-as-sent", "other-command"},
    "bytes-as-sent": {"bytes-as-sent"},
    "other-command": {"other-command"},
    "expired-known": {"expired-known"},
    "expired-unknown": {"expired-unknown", "refused-forgotten"},
    "refused-forgotten": {"refused-forgotten"},
    "failed-remembered": {"failed-remembered"},
    "unknown-command": {"unknown-command"},
    "not-parked": UNREADABLE | {"missing-headers"},
    "bad-utf8": {"bad-utf8"},
    "nul": {"nul"},
    "wrong-shape": {"wrong-shape"},
    "missing-headers": {"missing-headers", "readable"},  # carries out what names no step
    "undo-again": {"undo-again"},
    "undo-first": {"undo-first", "undo-race"},
    "late-action": TOMBSTONES,
    "no-tombstone": TOMBSTONES,
    "undo-forgotten": {"undo-forgotten"},
    "undo-failed": {"undo-failed"},
}


async def tried(flaw: str = "", target: Target = TARGET, *, forgets: bool = False) -> dict[str, Finding]:
    """Findings by rule about a participant with this flaw."""
    broker = MemoryBroker(wanted_topology(["tiny"]))
    tiny = Tiny(broker.bus("tiny"), flaw=flaw)
    serving = [asyncio.create_task(tiny.serve())]

    async def restart() -> None:
        await ended(serving.pop())
        if forgets:
            tiny.rows.clear()
        serving.append(asyncio.create_task(tiny.serve()))

    try:
        findings = await conform(
            broker.bus("orchestrator"), target, clock=SystemClock(), ids=SystemIds(), restart=restart
        )
    finally:
        await ended(serving.pop())
    assert [finding.rule for finding in findings] == list(RULES)
    return {finding.rule.name: finding for finding in findings}


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def broken(findings: dict[str, Finding]) -> set[str]:
    return {name for name, finding in findings.items() if finding.verdict is Verdict.BROKEN}


async def test_a_participant_that_keeps_every_rule_passes() -> None:
    """Every rule was tried, and none was broken."""
    findings = await tried()
    assert {name: finding.reason for name, finding in findings.items() if finding.verdict is not Verdict.KEPT} == {}


@pytest.mark.parametrize("flaw", FLAWS)
async def test_a_flaw_is_found(flaw: str) -> None:
    """Under the rule it breaks, and under no other."""
    assert broken(await tried(flaw)) == FLAWS[flaw]


async def test_an_inbox_in_memory_is_found() -> None:
    """Only a restart shows it."""
    assert broken(await tried(forgets=True)) == {"restart"}


async def test_a_participant_that_dies_of_a_message_is_found() -> None:
    """It answered before, and is silent after the first message it cannot read."""
    findings = await tried("alive")
    assert {"alive", "not-json"} <= broken(findings)
    assert "a good command behind 10 unreadable ones: no answer" in findings["alive"].reason
    assert findings["same-attempt"].verdict is Verdict.KEPT


async def test_a_finding_shows_what_was_received() -> None:
    """The answer with its headers and body, and the words that were wanted."""
    finding = (await tried("other-bytes"))["other-bytes"]
    assert finding.reason == "the same key with another body: answered ok, effect replayed, wanted refused/key-reused"
    (seen,) = finding.received
    assert (seen.queue, seen.routing_key, seen.user_id) == ("saga.replies", "tiny.ok", "tiny")
    assert seen.headers["saga-effect"] == "replayed"
    assert seen.body == '{"number": 4}'


async def test_what_was_not_given_is_not_tried() -> None:
    """Neither kept nor broken, with the reason."""
    bare = Target(command=TARGET.command, body=TARGET.body, patience=TARGET.patience)
    findings = await tried(target=bare)
    untried = {name: found.reason for name, found in findings.items() if found.verdict is Verdict.UNTRIED}
    assert untried["undo"] == "no undo was given"
    assert untried["failed"] == "no body was given that is to be declined"
    assert broken(findings) == set()


async def test_a_read_only_command_keeps_no_inbox() -> None:
    """Its repeats may be applied again: the rules about keys do not concern it."""
    quote = Target(command=TARGET.command, body=TARGET.body, read_only=True, patience=TARGET.patience)
    findings = await tried("same-attempt", quote)
    assert broken(findings) == set()
    assert findings["same-attempt"].reason == "it is read_only and keeps no inbox"


async def test_without_an_answer_nothing_else_is_tried() -> None:
    """One finding says that nobody answers; 24 more would say nothing new."""
    broker = MemoryBroker(wanted_topology(["tiny"]))
    found = await conform(broker.bus("orchestrator"), TARGET, clock=SystemClock(), ids=SystemIds())
    assert [finding.rule.name for finding in found if finding.verdict is Verdict.BROKEN] == ["answers"]
    reasons = {finding.rule.name: finding.reason for finding in found}
    assert reasons["answers"] == "no answer on saga.replies within 0.06 s"
    assert reasons["undo"] == "it does not answer the command, see `answers`"
    assert reasons["echo"] == "there was no reply to look at"


async def test_a_missing_queue_is_told_with_its_fix() -> None:
    """Before anything is judged."""
    broker = MemoryBroker(wanted_topology([]))
    with pytest.raises(Unavailable, match=r"no queue takes tiny\.Do\.v1\. Fix: saga topology apply --service tiny"):
        await conform(broker.bus("orchestrator"), TARGET, clock=SystemClock(), ids=SystemIds())


async def test_a_broker_without_topology_is_told() -> None:
    """The queues of the orchestrator are looked for first; no task is left behind."""
    empty = MemoryBroker(Topology(queues=(Queue("saga.replies"),)))
    before = asyncio.all_tasks()
    with pytest.raises(MissingQueue, match=r"saga\.parking"):
        await conform(empty.bus("orchestrator"), TARGET, clock=SystemClock(), ids=SystemIds())
    assert asyncio.all_tasks() == before


async def test_replies_to_others_are_left_alone() -> None:
    """What an orchestrator still has to read stays in the queue, and is mentioned when nothing comes."""
    broker = MemoryBroker(wanted_topology(["tiny"]))
    foreign = Outgoing("saga.replies", "tiny.ok", b"{}", "m", "tiny.Done.v1", {}, correlation_id="another")
    await broker.bus("tiny").publish([foreign])
    found = await conform(broker.bus("orchestrator"), TARGET, clock=SystemClock(), ids=SystemIds())
    assert "1 messages there name no saga of ours" in found[0].reason
    assert broker.ready_count("saga.replies") == 1


@pytest.mark.parametrize(
    ("changes", "fix"),
    [
        ({"command": "payments"}, "Fix: <service>.<Command>.v<N>"),
        ({"body": b"{"}, "the body: the body is no JSON"),
        ({"undo_body": None}, "Fix: give both, or neither"),
        ({"undo": "other.Undo.v1"}, "Fix: the service of an action undoes it itself"),
        ({"declined_body": b"\xff"}, "the declined body: the body is no UTF-8"),
    ],
)
async def test_what_cannot_be_tried_is_refused(changes: dict[str, object], fix: str) -> None:
    """With the fix, before anything is sent."""
    broker = MemoryBroker(wanted_topology(["tiny"]))
    wrong = msgspec.structs.replace(TARGET, **changes)
    with pytest.raises(TargetError) as refused:
        await conform(broker.bus("orchestrator"), wrong, clock=SystemClock(), ids=SystemIds())
    assert fix in str(refused.value)
    assert broker.ready_count("saga.commands.tiny") == 0
