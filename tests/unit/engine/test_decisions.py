"""Decisions over AMQP: from gateways only, for people with the role, about what they looked at, and each once."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from saga import wire
from saga.core.definition import Approval
from saga.core.expression import Object, Ref, ScalarType
from saga.core.messages import Choice, DecideMessage
from saga.ports import Delivery
from tests.builders import INPUT_ID, plan, step, template
from tests.unit.engine.rig import CALLER, Process, Rig, heard, start_message

LETTER = plan(
    Approval(
        path="review",
        subject=Object({"order": INPUT_ID}),
        subject_type="reserve-service.Reserve.v1",
        guards="reserve",
        roles=("editor",),
        editable=("order",),
        expires=timedelta(hours=1),
    ),
    step(
        "reserve", command=template("reserve-service", "Reserve", body=Ref("review", ("subject",), ScalarType.OBJECT))
    ),
)
GATE = Approval(path="gate", subject=INPUT_ID, subject_type="str", roles=("editor",), exclude_requester=True)
FOUR_EYES = plan(GATE, step("reserve"), name="four-eyes")
"""Who asks may not decide."""


@pytest.fixture
def rig() -> Rig:
    """Sagas that wait for a person; `bo` and `cy` are editors, and the user `gateway` vouches for people."""
    return Rig(LETTER, FOUR_EYES)


async def started(rig: Rig, process: Process) -> str:
    """A letter that waits for its review; its id."""
    await process.hop(await rig.start())
    row = await rig.row()
    assert row.wait_kind == "approval"
    return row.saga


async def decide(rig: Rig, saga: str, *, sender: str = "gateway", **fields: Any) -> Delivery:
    """An approver clicks."""
    given: dict[str, Any] = {
        "saga": saga,
        "name": None,
        "business_key": None,
        "path": "review",
        "choice": Choice.APPROVE,
        "digest": "0" * 64,
        "message_id": "d-1",
        "reply_to": f"{sender}.desk",
        "actor": "bo",
    }
    for event in await recorded(rig, saga, "ApprovalRequested"):
        given["digest"] = event["digest"]
    message = DecideMessage(**{**given, **fields})
    [delivery] = await rig.arrive("saga.control", wire.decide_to_wire(message), sender=sender)
    return delivery


async def recorded(rig: Rig, saga: str, event: str) -> list[dict[str, Any]]:
    """Events of one kind."""
    rows = await rig.store.history(saga)
    return [each for row in rows for each in msgspec.json.decode(row.data) if each["event"] == event]


async def test_an_approval_opens_the_way(rig: Rig) -> None:
    """Recorded: who, as which role, vouched for by whom, of which bytes; a double click hears the same."""
    process = await rig.process()
    saga = await started(rig, process)
    assert heard(await process.hop(await decide(rig, saga, reason="fine"))) == ["accepted"]
    assert (await rig.command()).body == b'{"order":"o1"}'
    [decided] = await recorded(rig, saga, "ApprovalDecided")
    assert (decided["approver"], decided["by"], decided["roles"]) == ("bo", "gateway", ["editor"])
    assert (decided["reason"], decided["request"]) == ("fine", "d-1")
    replayed = await process.hop(await decide(rig, saga))
    clicked = await process.hop(await decide(rig, saga, message_id="d-2"))
    assert heard(replayed) == heard(clicked) == ["accepted existing"]
    assert len(await recorded(rig, saga, "ApprovalDecided")) == 1


async def test_a_rejection_ends_it(rig: Rig) -> None:
    """The saga says who said no, and why."""
    process = await rig.process()
    saga = await started(rig, process)
    hop = await process.hop(await decide(rig, saga, choice=Choice.REJECT, reason="rude"))
    assert heard(hop) == ["ended compensated", "accepted"]
    assert (await rig.row()).status == "compensated"
    contradiction = await process.hop(await decide(rig, saga, message_id="d-2"))
    assert contradiction.answers[0].code == "already-decided"
    assert contradiction.answers[0].reason.startswith("bo rejected this at ")


async def test_what_was_edited_is_what_is_sent(rig: Rig) -> None:
    """The bytes of the approver, as they came."""
    process = await rig.process()
    saga = await started(rig, process)
    await process.hop(await decide(rig, saga, edited=b'{ "order": "o2" }'))
    assert (await rig.command()).body == b'{ "order": "o2" }'


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        ({"actor": "eve"}, "not-allowed", "deciding needs the role editor; eve has: none"),
        ({"digest": "1" * 64}, "changed", "look again"),
        ({"number": 2}, "changed", "it is request 1; look again"),
        ({"path": "revue"}, "unknown-approval", "nothing is to be approved at 'revue'; waiting are: review"),
        ({"edited": b'{"order":1}'}, "not-editable", "order must stay a text"),
    ],
)
async def test_a_decision_that_does_not_count(rig: Rig, fields: dict[str, Any], code: str, says: str) -> None:
    """A sentence for the person; kept where nobody hears it; the request stays open."""
    process = await rig.process()
    saga = await started(rig, process)
    hop = await process.hop(await decide(rig, saga, **fields))
    assert heard(hop) == [f"refused {code}"]
    assert says in hop.answers[0].reason
    assert await rig.parked() == []
    await process.hop(await decide(rig, saga, reply_to="", **fields))
    assert [each.reason for each in await rig.parked()] == [code]
    assert heard(await process.hop(await decide(rig, saga, message_id="d-9"))) == ["accepted"]


async def test_a_click_after_the_time_is_over(rig: Rig) -> None:
    """Also before anybody looked at the clock; what silence leads to has happened after that."""
    process = await rig.process()
    saga = await started(rig, process)
    rig.clock.seconds += 3_600
    assert heard(await process.hop(await decide(rig, saga))) == ["refused approval-expired"]
    await process.tick()
    late = await process.hop(await decide(rig, saga, message_id="d-2"))
    assert late.answers[0].reason.startswith("the time to decide ended at ")
    assert (await rig.row()).status == "compensated"


async def test_programs_do_not_decide(rig: Rig) -> None:
    """A user that is no gateway vouches for nobody: refused, kept, and the request stays open."""
    process = await rig.process()
    saga = await started(rig, process)
    hop = await process.hop(await decide(rig, saga, sender=CALLER))
    assert heard(hop) == ["refused forbidden"]
    assert "shop is no gateway" in hop.answers[0].reason
    assert [(each.reason, each.sender) for each in await rig.parked()] == [("forbidden", CALLER)]
    assert (await rig.row()).wait_kind == "approval"


async def test_a_gateway_names_a_person(rig: Rig) -> None:
    """Without one there is nobody to record."""
    process = await rig.process()
    saga = await started(rig, process)
    hop = await process.hop(await decide(rig, saga, actor=None))
    assert heard(hop) == ["refused missing-header"]


async def test_whoever_asked_may_not_decide(rig: Rig) -> None:
    """Four eyes; and a start that names nobody is refused, because nobody could be excluded."""
    process = await rig.process()
    hop = await process.hop(await rig.start(name="four-eyes"))
    assert heard(hop) == ["refused no-requester"]
    assert "gate of four-eyes excludes whoever asks" in hop.answers[0].reason
    start = wire.start_to_wire(start_message(name="four-eyes", actor="bo", reply_to=""))
    await process.hop(*await rig.arrive("saga.start", start, sender="gateway"))
    saga = (await rig.row()).saga
    hop = await process.hop(await decide(rig, saga, path="gate"))
    assert heard(hop) == ["refused requester"]
    assert heard(await process.hop(await decide(rig, saga, path="gate", actor="cy", message_id="d-2"))) == ["accepted"]
