"""What the verbs of structure write down runs in the core as it reads."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from saga import On, Saga, coalesce, define, no_undo, size, text
from saga.contract import Effect
from saga.core import events as e
from saga.core import inputs as i
from saga.core.blocks import (
    Approval,
    Await,
    Each,
    Join,
    OnBranchFailed,
    OnLate,
    OnSilence,
    Parallel,
    Repeat,
    Sleep,
    Step,
    StepKind,
    Within,
    blocks_of,
)
from saga.core.children import REMEMBERS
from saga.core.definition import content_hash
from saga.core.events import Choice
from saga.core.outstanding import asked_again, outstanding
from saga.core.plan import plan_of
from saga.core.state import Phase
from saga.define import Definition, Escalate
from tests.builders import Case
from tests.typing import onboarding as c

NEW = c.NewCustomer(
    name="ada",
    contact="ada@example.org",
    region="us",
    seats=[c.Seat("x@example.org"), c.Seat("y@example.org")],
    starts_at=datetime(2020, 1, 1, tzinfo=UTC),
    trial=timedelta(hours=1),
)
BLOCKS = {block.path: block for block in blocks_of(c.onboarding.compiled.blocks)}


def block(path: str, kind: type[Any]) -> Any:
    found = BLOCKS[path]
    assert isinstance(found, kind)
    return found


def case_of(definition: Definition[Any, Any], **start: Any) -> Case:
    """A run of a definition in the core."""
    plan = plan_of(definition.compiled, definition.hash)
    return Case(plan, **{"input": msgspec.json.encode(NEW), "name": definition.name, **start})


def on_wire(case: Case) -> list[str]:
    return sorted(due.message.path for due in outstanding(case.plan, case.state))


def reply(kind: Any) -> bytes:
    return msgspec.json.encode(kind)


def test_every_word_is_written_down() -> None:
    """Limits, windows, policies, times, roles: as the author said, or their defaults."""
    both = block("both", Parallel)
    assert ([b.path for b in both.branches], both.join, both.on_failed) == (
        ["machines", "seats-branch"],
        Join.ALL,
        OnBranchFailed.FINISH,
    )
    assert block("region", Parallel).join is Join.ANY
    seats = block("seats", Each)
    assert (seats.limit, seats.window, [step.path for step in seats.body]) == (200, 10, ["seats/add"])
    writing = block("writing", Repeat)
    assert (writing.limit, writing.pause) == (5, timedelta(minutes=1))
    assert block("setup", Within).time == timedelta(hours=8)
    assert block("start", Sleep).until is not None
    payment = block("payment", Await)
    assert (payment.signal, payment.within, payment.on_late) == ("paid", timedelta(days=3), OnLate.CONTINUE)
    large = block("large", Approval)
    assert (large.guards, large.on_silence, large.condition is not None) == (None, OnSilence.COMPENSATE, True)
    review = block("review", Approval)
    assert (review.guards, review.subject_type, review.editable) == ("send", "mail.SendMail.v1", ("sendTo", "body"))
    assert (review.on_silence, review.escalate_to, review.quorum) == (OnSilence.ESCALATE, ("head",), 2)


def test_a_child_is_a_step_of_the_engines_own_service() -> None:
    """Its command names the definition; its undo says what to do with one that runs."""
    access = block("access", Step)
    assert (access.command.type_name, access.command.failures) == ("saga.account.v2", ("compensated",))
    assert (access.command.effect, access.command.remembers) == (Effect.INBOX, REMEMBERS)
    assert access.undo is not None
    assert access.undo.type_name == "saga.account.v2"
    case = case_of(c.onboarding)
    assert case.sent("access").body == b'{"name":"ada"}'
    case.ok("access", reply(c.AccountReady(account="a1")))
    case.when(i.Cancel(now=case.now, request="r", by="shop", actor=None, reason="r"))
    undone = {due.message.path: due.message.body for due in outstanding(case.plan, case.state)}
    assert undone["provision-far"] == b'{"region":"eu"}'
    for path in sorted(undone):
        case.ok(path)
    assert case.sent("access").body == b'{"running":"cancel"}'


def test_a_child_takes_as_long_as_it_takes() -> None:
    """Days go by, its attempt does not time out, and nothing is recorded of being asked again."""

    def written(s: Saga, new: c.NewCustomer) -> None:
        s.child("access", c.account, c.Hire(name=new.name), undo=On.WAIT)

    case = case_of(define("t", version=1, deadline=timedelta(days=30))(written))
    asked, version = case.sent("access"), case.state.version
    for _ in range(3):
        case.tick(86_400)
        assert [each.message_id for each in asked_again(case.plan, case.state, case.now)] == [asked.message_id]
    assert case.state.version == version
    case.ok("access", reply(c.AccountReady(account="a1")))
    assert case.state.phase is Phase.COMPLETED


def test_a_definition_carries_its_children() -> None:
    """Each once, in the order written; the family is what is to be published, children first."""
    assert c.onboarding.children == (c.account,)
    assert c.group.children == (c.account, c.onboarding)
    assert [member.name for member in c.group.family()] == ["account", "onboarding", "group"]
    assert (c.account.children, c.account.hash) == ((), content_hash(c.account.canonical))
    pivots = [b for b in blocks_of(c.group.compiled.blocks) if isinstance(b, Step) and b.kind is StepKind.PIVOT]
    assert [step.command.type_name for step in pivots] == ["saga.onboarding.v1"]


def set_up(case: Case) -> None:
    """Through the branches and items."""
    case.ok("access", reply(c.AccountReady(account="a1")))
    assert on_wire(case) == ["provision-far", "provision-near", "seats[0]/add", "seats[1]/add"]
    assert case.sent("seats[1]/add").body == b'{"email":"y@example.org"}'
    case.ok("seats[1]/add", reply(c.Created(id="l1")))
    case.ok("provision-far", reply(c.Found(host="far")))
    case.ok("provision-near", reply(c.Found(host="near")))
    case.ok("seats[0]/add", reply(c.Created(id="l0")))


def decide(case: Case, approver: str, edited: bytes | None = None, path: str = "review") -> None:
    request = case.state.requests[path]
    case.when(
        i.DecisionGiven(
            now=case.now,
            path=path,
            choice=Choice.APPROVE,
            approver=approver,
            by="desk",
            roles=frozenset({"editor"}),
            request=f"{path} {approver}",
            digest=request.digest,
            edited=edited,
        )
    )


def test_the_whole_way_runs_as_it_reads() -> None:
    """Children, branches, items, turns, waits, a signal that fits, an edited letter, and the collected replies."""
    case = case_of(c.onboarding, actor="olga")
    set_up(case)
    case.ok("writing#1/draft", reply(c.Drafted(body="bad", good=False)))
    case.tick(60)
    case.ok("writing#2/draft", reply(c.Drafted(body="fine", good=True)))
    case.tick(3_600)
    for name, body in (("m1", c.PaymentArrived("bob", "r1")), ("m2", c.PaymentArrived("ada", "r2"))):
        case.when(i.SignalGiven(now=case.now, signal="paid", message_id=name, body=reply(body), by="bank", actor=None))
    request = case.state.requests["review"]
    assert (request.summary, request.requester) == ("Welcome to ada", "olga")
    edited = b'{"sendTo":"ada@example.org","subject":"Welcome","body":"finer"}'
    decide(case, "bo", edited)
    decide(case, "cy")
    assert msgspec.json.decode(case.sent("send").body) == msgspec.json.decode(edited)
    case.ok("send", reply(c.Created(id="m")))
    case.ok("archive", reply(c.AccountReady(account="a2")))
    assert case.state.phase is Phase.COMPLETED
    output = msgspec.json.decode(case.state.output, type=c.Welcomed)
    assert output == c.Welcomed(url="far", licences=["l0", "l1"], approved_by="cy", paid="r2")


def test_a_signal_without_what_is_read_of_it_is_refused() -> None:
    """What `where` reads is checked as what a reply is read for."""
    assert c.onboarding.compiled.reads["payment.customer"] == "str"
    assert "signal.customer" not in c.onboarding.compiled.reads


def test_lists_of_lists_and_scalar_items() -> None:
    """Items may be texts, lists of replies, and null."""

    class Wide(msgspec.Struct, frozen=True):
        names: list[str]
        maybe: list[str | None]

    class Found(msgspec.Struct, frozen=True):
        ids: list[list[str]]

    def written(s: Saga, wide: Wide) -> Found:
        with s.each("outer", wide.names, limit=3) as name, s.each("inner", wide.maybe, limit=3) as other:
            email = text("{}-{}", name, coalesce(other, "none"))
            added = s.step("add", c.AddSeat(email=email), undo=c.RemoveSeat(email=email))
        return Found(ids=s.collect(s.collect(added.id)))

    built = define("t", version=1)(written)
    assert {"outer": "str", "outer/inner": "str?"}.items() <= built.compiled.reads.items()
    case = case_of(built, input=b'{"names":["a","b"],"maybe":["x",null]}')
    for path, body in (("outer[1]/inner[1]/add", b'{"id":"4"}'), ("outer[0]/inner[1]/add", b'{"id":"2"}')):
        assert case.sent(path).body in (b'{"email":"b-none"}', b'{"email":"a-none"}')
        case.ok(path, body)
    case.ok("outer[0]/inner[0]/add", b'{"id":"1"}')
    case.ok("outer[1]/inner[0]/add", b'{"id":"3"}')
    assert case.state.output == b'{"ids":[["1","2"],["3","4"]]}'


def test_the_undo_of_an_item_reads_its_item() -> None:
    """Each compensation goes to the item it belongs to."""
    case = case_of(c.onboarding)
    case.ok("access", reply(c.AccountReady(account="a1")))
    case.ok("seats[1]/add", reply(c.Created(id="l1")))
    case.failed("seats[0]/add", "NoRoom")
    case.ok("provision-far", reply(c.Found(host="far")))
    case.ok("provision-near", reply(c.Found(host="near")))
    bodies = {due.message.path: due.message.body for due in outstanding(case.plan, case.state)}
    assert bodies["seats[1]/add"] == b'{"email":"y@example.org"}'
    assert "seats[0]/add" not in bodies


def test_a_detached_child_is_not_undone() -> None:
    """`no_undo` says why; it goes on when its parent is undone."""
    case = case_of(c.group)
    case.ok("access", reply(c.AccountReady(account="a1")))
    events = case.failed("onboard", "compensated")
    assert any(isinstance(event, e.SagaCompensated) for event in events)


def test_silence_has_three_meanings() -> None:
    """A refusal, a failure, or other people."""

    def written(s: Saga, new: c.NewCustomer) -> None:
        day = timedelta(days=1)
        s.gate("a", showing=new, roles=["x"], expires=day)
        s.gate("b", showing=new, roles=["x"], expires=day, on_expiry=On.COMPENSATE)
        s.gate("c", showing=new, roles=["x"], expires=day, on_expiry=Escalate(to=["y"]))
        s.step("add", c.AddSeat(email="a"), undo=no_undo("stays"))

    built = define("t", version=1)(written).compiled.blocks
    silences = [block.on_silence for block in built if isinstance(block, Approval)]
    assert silences == [OnSilence.REJECT, OnSilence.COMPENSATE, OnSilence.ESCALATE]


def test_items_are_approved_and_signalled_one_by_one() -> None:
    """Each item has its own permit and its own signal; what one reads is never another's."""

    def written(s: Saga, new: c.NewCustomer) -> None:
        with s.each("seats", new.seats, limit=3) as seat:
            asked = s.approval("ok", c.AddSeat(email=seat.email), roles=["editor"])
            s.step("add", asked.subject, undo=c.RemoveSeat(email=asked.subject.email))
            s.signal("paid", c.PaymentArrived, where=lambda paid: paid.customer == seat.email)

    case = case_of(define("t", version=1)(written))
    decide(case, "bo", path="seats[1]/ok")
    assert on_wire(case) == ["seats[1]/add"]
    case.ok("seats[1]/add", reply(c.Created(id="1")))
    decide(case, "bo", path="seats[0]/ok")
    assert case.sent("seats[0]/add").body == b'{"email":"x@example.org"}'
    case.ok("seats[0]/add", reply(c.Created(id="0")))
    for name, seat in (("m1", "y@example.org"), ("m2", "x@example.org")):
        body = reply(c.PaymentArrived(customer=seat, ref=name))
        case.when(i.SignalGiven(now=case.now, signal="paid", message_id=name, body=body, by="bank", actor=None))
    assert b"m1" in case.state.consumed["seats[1]/paid"]
    assert case.state.phase is Phase.COMPLETED


def test_items_of_every_turn_are_collected_from_the_last() -> None:
    """Inside the loop from this turn, behind it from the last one."""

    class Listed(msgspec.Struct, frozen=True):
        ids: list[str]

    def written(s: Saga, new: c.NewCustomer) -> Listed:
        with s.repeat("again", limit=3) as turn:
            with s.each("seats", new.seats, limit=3):
                added = s.step("add", c.AddSeat(email="a"), undo=c.RemoveSeat(email="a"))
            last = s.read("draft", c.Draft(name=text("{}", size(s.collect(added.id)))))
            turn.until(last.good)
        return Listed(ids=s.collect(added.id))

    case = case_of(define("t", version=1)(written))
    for turn, good in ((1, False), (2, True)):
        for item in (0, 1):
            case.ok(f"again#{turn}/seats[{item}]/add", reply(c.Created(id=f"{turn}{item}")))
        assert case.sent().body == b'{"name":"2"}'
        case.ok(f"again#{turn}/draft", reply(c.Drafted(body="b", good=good)))
    assert case.state.output == b'{"ids":["20","21"]}'


def test_one_field_may_be_edited() -> None:
    """`lambda mail: mail.body` is what one writes for one field."""

    def written(s: Saga, new: c.NewCustomer) -> None:
        mail = c.SendMail(send_to="a", subject="b", body="c")
        s.pivot("send", s.approval("review", mail, roles=["editor"], edit=lambda draft: draft.body).subject)

    review = define("t", version=1)(written).compiled.blocks[0]
    assert isinstance(review, Approval)
    assert review.editable == ("body",)


def test_items_of_a_tuple() -> None:
    """A field that is a tuple is a list on the wire, and as good as one."""

    class Team(msgspec.Struct, frozen=True):
        emails: tuple[str, ...]

    def written(s: Saga, team: Team) -> None:
        with s.each("seats", team.emails, limit=3) as email:
            s.step("add", c.AddSeat(email=email), undo=c.RemoveSeat(email=email))

    each = define("t", version=1)(written).compiled.blocks[0]
    assert isinstance(each, Each)
