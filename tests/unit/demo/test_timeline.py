"""Stored events as lines."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from saga.core import events as e
from saga.core.blocks import Branch, Parallel
from saga.core.definition import decode
from saga.core.messages import Choice, Kind, ReplyEffect
from saga.core.plan import Plan, plan_of
from saga.demo.timeline import PLAIN_MARKS, Lane, Mark, Timeline
from services.ordering.definitions import order
from tests.builders import plan as plan_with
from tests.builders import step, template

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def timeline() -> Timeline:
    return Timeline(plan())


def plan() -> Plan:
    return plan_of(decode(order.canonical), order.hash)


def at(milliseconds: int) -> datetime:
    return START + timedelta(milliseconds=milliseconds)


def issued(path: str, milliseconds: int, kind: Kind = Kind.ACTION) -> e.CommandIssued:
    moment = at(milliseconds)
    return e.CommandIssued(at=moment, path=path, kind=kind, execution=1, body=msgspec.Raw(b"{}"), due_at=moment)


def started() -> e.SagaStarted:
    return e.SagaStarted(
        at=START,
        saga="s",
        name="order",
        start_key="k:o-1",
        definition=order.hash,
        definition_version=1,
        input=msgspec.Raw(b"{}"),
        root="s",
        deadline_at=at(1_000),
    )


def lines(timeline: Timeline, *found: e.AnyEvent) -> list[str]:
    return [timeline.line(entry) for entry in timeline.add(e.encode(found))]


def test_a_step_names_its_command_and_its_answer(timeline: Timeline) -> None:
    """What is sent comes from the stored definition, what came back from the stored reply, times from the store."""
    succeeded = e.StepSucceeded(at=at(40), path="charge", execution=1, reply=msgspec.Raw(b'{"charge_id":"ch_1"}'))
    assert lines(timeline, started(), issued("charge", 10), succeeded) == [
        "   0.000s  ● order v1 started, key o-1",
        "   0.010s  → charge      payments.ChargeCard",
        "   0.040s  ✓ charge      charge_id ch_1",
    ]


def test_an_item_and_a_turn_name_their_command_too() -> None:
    """They stand at their place in the run; what is sent there is what the definition says."""
    timeline = Timeline(plan_with(step("seats/add", command=template("crm", "Add"))))
    assert lines(timeline, started(), issued("seats[2]/add", 10), issued("seats#3/add", 20))[1:] == [
        "   0.010s  → seats[2]/add crm.Add",
        "   0.020s  → seats#3/add crm.Add",
    ]


def test_a_replayed_answer_says_so(timeline: Timeline) -> None:
    """An answer that is not the first one of its key can be told from one that is."""
    replayed = e.StepSucceeded(
        at=START, path="charge", execution=1, reply=msgspec.Raw(b"{}"), effect=ReplyEffect.REPLAYED, attempt=2
    )
    assert lines(timeline, replayed) == ["   0.000s  ✓ charge        attempt 2  replayed"]


def test_undoing_stands_in_a_lane_of_its_own(timeline: Timeline) -> None:
    """Compensations are right of what they undo, and below it in the lanes."""
    forward = issued("reserve", 0)
    done = e.StepSucceeded(at=at(1), path="reserve", execution=1, reply=msgspec.Raw(b"{}"))
    failed = e.StepFailed(at=at(2), path="book", execution=1, code="CourierRefused")
    undone = e.CompensationSucceeded(at=at(4), path="reserve", execution=1)
    found = timeline.add(e.encode((forward, done, issued("book", 1), failed)))
    found += timeline.add(e.encode((issued("reserve", 3, Kind.COMPENSATION), undone)))
    assert [(entry.lane, entry.mark) for entry in found] == [
        (Lane.FORWARD, Mark.SENT),
        (Lane.FORWARD, Mark.DONE),
        (Lane.FORWARD, Mark.SENT),
        (Lane.FORWARD, Mark.FAILED),
        (Lane.UNDO, Mark.UNDOING),
        (Lane.UNDO, Mark.DONE),
    ]
    assert timeline.line(found[4]).index("↶") > timeline.line(found[0]).index("→")
    assert timeline.lanes() == ["  forward   reserve ✓ ── book ✗", "  undo      reserve ✓"]


@pytest.mark.parametrize(
    ("event", "wanted"),
    [
        (e.SagaCompleted(at=START, output=msgspec.Raw(b'{"tracking":"t"}')), "● completed  tracking t"),
        (e.SagaCompensated(at=START), "● compensated"),
        (e.SagaAbandoned(at=START, actor="a", reason="r"), "● abandoned"),
    ],
)
def test_a_timeline_knows_its_end(timeline: Timeline, event: e.AnyEvent, wanted: str) -> None:
    """The three ends end it, and nothing else does."""
    lines(timeline, started())
    assert not timeline.ended
    assert lines(timeline, event) == [f"   0.000s  {wanted}"]
    assert timeline.ended


def test_every_event_has_a_line(timeline: Timeline) -> None:
    """An event nobody thought of here is shown by its name: nothing recorded is left out."""
    assert lines(timeline, e.SagaPaused(at=START, actor="a", reason="r")) == ["   0.000s  · saga paused"]
    assert lines(timeline, e.BlockFailed(at=START, path="pay", step="charge", code="CardDeclined")) == [
        "   0.000s  · block failed pay"
    ]


def test_every_mark_can_be_spelled_out() -> None:
    """A terminal without the marks gets one ASCII character for each."""
    assert PLAIN_MARKS.keys() == set(Mark)
    assert all(len(plain) == 1 and plain.isascii() for plain in PLAIN_MARKS.values())


def test_a_branch_stands_before_the_step_in_it() -> None:
    """Where branches are shown, lines and columns name them, and the column fits the longest name there is."""
    setup = Parallel(path="setup", branches=(Branch(path="mailbox", body=(step("open"),)),))
    timeline = Timeline(plan_with(step("charge"), setup), branches=True)
    assert lines(timeline, started(), issued("charge", 10), issued("open", 20))[1:] == [
        "   0.010s  → charge       charge-service.Charge",
        "   0.020s  → mailbox/open open-service.Open",
    ]
    assert timeline.lanes() == ["  forward   charge → ── mailbox/open →"]


def test_a_sub_saga_stands_below_its_step() -> None:
    """Its lines name the step that started it, its end is not that of the saga, and all share one clock."""
    timeline = Timeline(plan(), branches=True)
    lines(timeline, started())
    child = timeline.below("charge", plan_with(step("open")))
    ended = e.SagaCompleted(at=at(30), output=msgspec.Raw(b"{}"))
    assert lines(child, issued("open", 20), ended) == [
        "   0.020s  → charge/open open-service.Open",
        "   0.030s  ● charge      completed",
    ]
    assert (child.ended, timeline.ended) == (True, False)


def test_people_are_told_of() -> None:
    """Who is asked about what, and who said what, with the reason and that it was changed."""
    asked = e.ApprovalRequested(
        at=START, path="review", number=1, subject=msgspec.Raw(b"{}"), digest="d", roles=("editor",), summary="Letter"
    )
    said = e.ApprovalDecided(
        at=START,
        path="review",
        number=1,
        choice=Choice.APPROVE,
        approver="ada",
        by="desk",
        digest="d",
        request="r",
        reason="shorter",
        edited=msgspec.Raw(b'{"text":"a"}'),
    )
    no = msgspec.structs.replace(said, choice=Choice.REJECT, reason="", edited=msgspec.Raw(b"null"))
    closed = e.ApprovalClosed(at=START, path="review", number=1, how=e.Closed.APPROVED)
    assert lines(Timeline(plan()), asked, said, no, closed) == [
        "   0.000s  ? review      1 of editor to decide: Letter",
        "   0.000s  ✓ review      ada says approve, and changed it: shorter",
        "   0.000s  ✗ review      ada says reject",
        "   0.000s  · review      approved",
    ]


def test_what_was_undone_side_by_side_is_not_joined() -> None:
    """An arrow leads from what was undone first to what was undone after it; branches have none between them."""
    branches = tuple(Branch(path=f"{name}s", body=(step(name),)) for name in ("box", "disk"))
    timeline = Timeline(plan_with(step("charge"), Parallel(path="setup", branches=branches)), branches=True)
    for path in ("charge", "box", "disk"):
        lines(timeline, issued(path, 0), e.CompensationSucceeded(at=START, path=path, execution=1))
    assert timeline.lanes()[1] == "  undo      charge ✓ ◀─ boxs/box ✓    disks/disk ✓"


def test_what_an_answer_cost_stands_behind_it_and_the_sum_at_the_end(timeline: Timeline) -> None:
    """As the history has it; a saga whose answers tell nothing shows nothing."""
    cent, dear = {"USD": Decimal("0.01")}, {"USD": Decimal("0.3"), "tokens": Decimal(7)}
    vain = e.AttemptEnded(
        at=at(20), path="charge", kind=Kind.ACTION, execution=1, attempt=1, why="unavailable", next_at=at(30), cost=cent
    )
    done = e.StepSucceeded(at=at(40), path="charge", execution=1, reply=msgspec.Raw(b"{}"), cost=dear)
    ended = e.SagaCompleted(at=at(50), output=msgspec.Raw(b'{"a":1}'))
    told = lines(timeline, started(), issued("charge", 10), vain, done, ended)
    assert told[3].endswith("cost 0.3 USD, 7 tokens")
    assert told[4].endswith("completed  a 1  cost 0.31 USD, 7 tokens")
