"""The definitions of an onboarding, played with scripted participants: three days take milliseconds."""

from datetime import timedelta
from typing import Any

import pytest

from contracts.accounts import AccountCreated, GrantPrivileges, LoginRefused, PrivilegesGranted, UnknownPrivilege
from contracts.hr import AccessRequest, Hire, Onboarded
from contracts.notifications import MailSent, SendMail
from contracts.workplace import BadgeIssued, DeskAssigned, NoDeskLeft, NoPhoto
from saga.testing import ROUGH, Answers, NotPossible, Run, Script, Verdict, compensation_coverage, played, refused
from saga.testing import play as play_saga
from services.hr.definitions import access, onboarding

HIRE = Hire(
    employee_id="e1",
    name="Ann",
    login="ann",
    email="ann@example.org",
    site="delft",
    photo="photos/e1.jpg",
    privileges=("mail", "vpn"),
    requested_by="bo",
)
ASKED = AccessRequest(employee_id="e1", name="Ann", login="ann", privileges=("mail", "vpn"), requested_by="bo")
GRANT = GrantPrivileges(employee_id="e1", privileges=("mail", "vpn"))
OPENED, SEATED, PRINTED, MAILED = (
    AccountCreated(account_id="acc-1"),
    DeskAssigned(desk_id="desk-1"),
    BadgeIssued(badge_id="badge-1"),
    MailSent(mail_id="m1"),
)
INSIDE: dict[str, Script] = {
    "account": OPENED,
    "privileges": lambda sent: PrivilegesGranted(privileges=sent.as_a(GrantPrivileges).privileges),
}
SUNNY: dict[str, Script] = {"access": played(access, INSIDE), "desk": SEATED, "badge": PRINTED, "welcome": MAILED}


async def to_the_approval(answers: Answers = SUNNY) -> tuple[Run[Onboarded], Run[Any]]:
    """An onboarding whose access waits for a person, and that sub-saga."""
    run = await play_saga(onboarding, HIRE, answers)
    return run, run.children["access"]


async def test_an_onboarding_that_completes() -> None:
    """Account, approval after a day, privileges, desk, welcome; the output names who approved."""
    run, child = await to_the_approval()
    assert [(wait.kind, wait.path) for wait in child.waits] == [("approval", "approve")]
    await run.advance(timedelta(days=1))
    await child.approve("approve", "eve")
    await run.finish()
    assert run.status == "completed"
    assert run.output == Onboarded(
        account_id="acc-1", privileges=("mail", "vpn"), approved_by="eve", desk_id="desk-1", badge_id="badge-1"
    )
    assert child.commands == ("account", "privileges")
    assert run.sent(SendMail) == [SendMail(to="ann@example.org", subject="Welcome, Ann", reference="e1")]


async def test_what_is_asked_is_the_grant_itself() -> None:
    """Whoever decides sees the command, who asked, and what it is about."""
    _, child = await to_the_approval()
    (asked,) = child.approvals.values()
    assert asked.summary == "Privileges of Ann (ann)"
    assert (asked.roles, asked.requester) == (("it-security",), "bo")


async def test_a_rejection_undoes_the_account() -> None:
    """Privileges are never granted, the account goes, and the onboarding ends with nothing standing."""
    run, child = await to_the_approval()
    await child.reject("approve", "eve", reason="not before the course")
    await run.finish()
    assert (run.status, run.because, run.commands) == ("compensated", "access: compensated", ("access",))
    assert (child.status, child.because) == ("compensated", "approve: eve said no: not before the course")
    assert (child.undone, child.standing) == (("account",), ())


async def test_a_full_site_undoes_a_complete_access() -> None:
    """The sub-saga had completed; it is undone as one unit, the privileges before the account."""
    run, child = await to_the_approval({**SUNNY, "desk": NoDeskLeft(site="delft")})
    await child.approve("approve", "eve")
    await run.finish()
    assert (run.status, run.because, run.undone) == ("compensated", "desk: NoDeskLeft", ("access",))
    assert (child.status, child.undone, child.standing) == ("compensated", ("privileges", "account"), ())


async def test_a_badge_without_a_photo_undoes_the_desk_and_then_the_access() -> None:
    """Newest first, and the sub-saga is one of the things that are undone."""
    run, child = await to_the_approval({**SUNNY, "badge": NoPhoto(employee_id="e1")})
    await child.approve("approve", "eve")
    await run.finish()
    assert (run.status, run.because, run.undone) == ("compensated", "badge: NoPhoto", ("desk", "access"))
    assert (child.undone, run.standing, child.standing) == (("privileges", "account"), (), ())


async def test_an_approver_may_grant_less() -> None:
    """What was approved is what is granted, and what the output says."""
    run, child = await to_the_approval()
    await child.approve("approve", "eve", edit=GrantPrivileges(employee_id="e1", privileges=("mail",)))
    await run.finish()
    assert child.sent(GrantPrivileges) == [GrantPrivileges(employee_id="e1", privileges=("mail",))]
    assert run.output.privileges == ("mail",)


async def test_an_approver_may_not_grant_to_somebody_else() -> None:
    """Only the privileges are for the approver to change."""
    _, child = await to_the_approval()
    with pytest.raises(NotPossible, match="employee_id"):
        await child.approve("approve", "eve", edit=GrantPrivileges(employee_id="e2", privileges=("mail",)))
    assert child.sent(GrantPrivileges) == []


async def test_the_requester_may_not_decide() -> None:
    """Not even with the role; nor may somebody without it."""
    _, child = await to_the_approval()
    with pytest.raises(NotPossible, match="asked for this"):
        await child.approve("approve", "bo")
    with pytest.raises(NotPossible, match="it-security"):
        await child.approve("approve", "cat", roles=["editor"])
    assert child.commands == ("account",)


async def test_silence_is_put_before_others_and_then_is_a_refusal() -> None:
    """Three days for security, three more for the head of IT too; then the account goes."""
    run, child = await to_the_approval()
    await run.advance(timedelta(days=3))
    assert next(iter(child.approvals.values())).roles == ("it-security", "head-of-it")
    await run.advance(timedelta(days=3))
    assert (run.status, child.undone, child.standing) == ("compensated", ("account",), ())


async def test_the_head_of_it_decides_after_three_days() -> None:
    """Not before; then as well as security."""
    run, child = await to_the_approval()
    with pytest.raises(NotPossible, match="it-security"):
        await child.approve("approve", "dan", roles=["head-of-it"])
    await run.advance(timedelta(days=3))
    await child.approve("approve", "dan", roles=["head-of-it"])
    assert (await run.finish()).output.approved_by == "dan"


async def test_a_cancel_while_people_think_undoes_the_account() -> None:
    """Nobody has to decide any more."""
    run, child = await to_the_approval()
    assert run.operator.cancel("they took another job") == "now"
    await run.finish()
    assert (run.status, child.status, child.undone) == ("compensated", "compensated", ("account",))
    assert child.approvals == {}


@pytest.mark.parametrize(
    ("inside", "because"),
    [
        ({"account": LoginRefused(login="root")}, "account: LoginRefused"),
        ({"privileges": UnknownPrivilege(privilege="moon")}, "privileges: UnknownPrivilege"),
    ],
)
async def test_a_refusal_inside_ends_the_onboarding(inside: Answers, because: str) -> None:
    """Whatever accounts refuses: nothing stands, and no desk is asked for."""
    run, child = await to_the_approval({**SUNNY, "access": played(access, {**INSIDE, **inside})})
    if child.approvals:
        await child.approve("approve", "eve")
    await run.finish()
    assert (run.status, child.because, child.standing) == ("compensated", because, ())
    assert run.commands == ("access",)


async def test_a_welcome_in_doubt_stands_in_front_of_a_person() -> None:
    """Nobody can ask a mail server: nothing is undone behind its back, and the evidence ends it."""
    run, child = await to_the_approval({**SUNNY, "welcome": refused("in-doubt")})
    await child.approve("approve", "eve")
    await run.finish()
    assert (run.status, run.waits[0].path, run.undone) == ("parked", "welcome", ())
    run.operator.resolve("welcome", Verdict.APPLIED, evidence="it is in their mailbox", reply=MAILED)
    assert (await run.finish()).status == "completed"


async def approves(run: Run[Any]) -> None:
    """What a person does on a day on which nothing goes wrong."""
    await run.approve("approve", "eve")


async def test_whatever_goes_wrong_with_access_is_undone() -> None:
    """No law is broken, nothing stays; that a parent undoes all of it is tested above."""
    coverage = await compensation_coverage(access, ASKED, INSIDE, meanwhile=approves)
    coverage.check()
    assert coverage.kept == ()


async def test_whatever_goes_wrong_with_an_onboarding_is_undone() -> None:
    """The sub-saga here is one step, done or not."""
    ready = await play_saga(access, ASKED, INSIDE)
    await ready.approve("approve", "eve")
    await ready.finish()
    coverage = await compensation_coverage(onboarding, HIRE, {**SUNNY, "access": ready.output})
    coverage.check()
    assert coverage.kept == ()
    assert {wait for ending in coverage.parked for wait in ending.needs}


@pytest.mark.parametrize("seed", range(10))
async def test_rough_weather_breaks_no_law(seed: int) -> None:
    """Slow, lost, doubled and overtaking messages, above and below."""
    run = await play_saga(onboarding, HIRE, {**SUNNY, "desk": NoDeskLeft(site="delft")}, seed=seed, network=ROUGH)
    child = run.children["access"]
    await child.approve("approve", "eve")
    await run.finish()
    assert run.broken_laws() == []
    assert (run.status, child.standing) == ("compensated", ())
