"""The definition of an outreach, played with scripted participants: draft, approve, send."""

from datetime import timedelta
from typing import Any

import pytest

from contracts.contacts import ContactUpserted, UpsertContact
from contracts.documents import ArchiveDocument, DocumentCreated
from contracts.drafting import MessageDrafted
from contracts.notifications import MailSent, SendMessage
from contracts.outreach import Lead, Reached
from contracts.research import CompanyNotFound, CompanyResearched
from saga.testing import (
    ROUGH,
    Answers,
    NotPossible,
    Run,
    Script,
    Verdict,
    compensation_coverage,
    lost,
    play,
    refused,
    retry,
)
from services.outreach.definitions import outreach

LEAD = Lead(lead_id="l1", company="Bakery", name="Ann", email="ann@example.org", owner="bo")
DRAFTED = MessageDrafted(draft_id="draft-1", subject="An idea", body="Dear Ann")
DRAFT = SendMessage(to="ann@example.org", subject="An idea", body="Dear Ann", reference="l1")
EDITED = SendMessage(to="ann@example.org", subject="A better idea", body="Dear Ann, dear all", reference="l1")
MAILED = MailSent(mail_id="m1")
SUNNY: dict[str, Script] = {
    "research": CompanyResearched(segment="food", facts="It opens early."),
    "brief": DocumentCreated(document_id="doc-1"),
    "draft": DRAFTED,
    "send": MAILED,
    "crm": ContactUpserted(contact_id="con-1", created=True),
}


def but(**changes: Script) -> Answers:
    """A sunny day, but for these steps."""
    return {**SUNNY, **changes}


async def test_an_outreach_that_completes() -> None:
    """What was drafted is approved as it is, sent, and written down with the brief and the mail."""
    run = await play(outreach, LEAD, SUNNY)
    assert [(wait.kind, wait.path) for wait in run.waits] == [("approval", "review")]
    assert "send" not in run.commands
    await run.advance(timedelta(days=4))
    await run.approve("review", "eve")
    await run.finish()
    assert run.status == "completed"
    assert run.output == Reached(contact_id="con-1", document_id="doc-1", mail_id="m1", approved_by="eve")
    assert run.commands == ("research", "brief", "draft", "send", "crm")
    assert run.sent(SendMessage) == [DRAFT]
    assert run.sent(UpsertContact)[0] == UpsertContact(
        reference="l1", email="ann@example.org", name="Ann", company="Bakery", document_id="doc-1", mail_id="m1"
    )


async def test_what_an_approver_edits_is_what_is_sent() -> None:
    """Subject and text; to whom it goes is not for the approver to change."""
    run = await play(outreach, LEAD, SUNNY)
    with pytest.raises(NotPossible, match="to"):
        await run.approve("review", "eve", edit=SendMessage(to="me@example.org", subject="", body="", reference="l1"))
    await run.approve("review", "eve", edit=EDITED)
    await run.finish()
    assert (run.status, run.sent(SendMessage)) == ("completed", [EDITED])


async def test_a_rejection_throws_draft_and_brief_away() -> None:
    """Newest first, and nothing was sent."""
    run = await play(outreach, LEAD, SUNNY)
    await run.reject("review", "eve", reason="too pushy")
    await run.finish()
    assert (run.status, run.because) == ("compensated", "review: eve said no: too pushy")
    assert (run.undone, run.standing) == (("draft", "brief"), ())
    assert run.sent(SendMessage) == []


async def test_silence_for_five_days_is_the_end() -> None:
    """Not a second before; and who comes later is told so."""
    run = await play(outreach, LEAD, SUNNY)
    await run.advance(timedelta(days=5) - timedelta(seconds=1))
    assert run.approvals
    await run.advance(timedelta(seconds=1))
    assert (run.status, run.undone, run.standing) == ("compensated", ("draft", "brief"), ())
    with pytest.raises(NotPossible):
        await run.approve("review", "eve")


async def test_the_owner_of_a_lead_may_not_approve_the_message() -> None:
    """Nor may somebody who is no editor; and a second click of the same person changes nothing."""
    run = await play(outreach, LEAD, SUNNY)
    with pytest.raises(NotPossible, match="asked for this"):
        await run.approve("review", "bo")
    with pytest.raises(NotPossible, match="editor"):
        await run.reject("review", "dan", roles=["it-security"])
    await run.approve("review", "eve")
    await run.approve("review", "eve")
    with pytest.raises(NotPossible):
        await run.reject("review", "eve")
    assert (await run.finish()).status == "completed"
    assert run.sent(SendMessage) == [DRAFT]


async def test_a_missing_template_waits_for_an_operator_and_nothing_is_done_again() -> None:
    """Parked after three attempts; resumed, the brief is the one that was made before."""
    run = await play(outreach, LEAD, but(draft=retry("no-template")))
    assert (run.status, run.waits[0].path, run.attempts("draft")) == ("parked", "draft", 3)
    run.services.answer({"draft": DRAFTED})
    run.operator.resolve("draft", Verdict.RETRY, reason="the template is there now")
    await run.finish()
    await run.approve("review", "eve")
    await run.finish()
    assert (run.status, run.attempts("research"), run.attempts("brief")) == ("completed", 1, 1)
    assert run.standing == ("brief", "draft", "send", "crm")
    assert run.output.document_id == "doc-1"


async def test_a_company_nobody_knows_ends_it_before_anything_is_made() -> None:
    """No brief, no draft, nobody is asked."""
    run = await play(outreach, LEAD, but(research=CompanyNotFound(company="Bakery")))
    assert (run.status, run.commands, run.standing) == ("compensated", ("research",), ())


async def test_an_unknown_brief_is_archived_by_what_documents_remembers() -> None:
    """No reply ever came: the undo names no document."""
    run = await play(outreach, LEAD, but(brief=lost(DocumentCreated(document_id="doc-1"), times=None)), until="brief")
    assert run.operator.cancel() == "now"
    await run.finish()
    assert run.sent(ArchiveDocument) == [ArchiveDocument(document_id=None)]
    assert (run.status, run.standing) == ("compensated", ())


async def test_a_message_in_doubt_is_not_sent_again() -> None:
    """A person looks, and evidence that it arrived ends the doubt."""
    run = await play(outreach, LEAD, but(send=refused("in-doubt")))
    await run.approve("review", "eve", edit=EDITED)
    await run.finish()
    assert (run.status, run.waits[0].path, run.undone) == ("parked", "send", ())
    run.operator.resolve("send", Verdict.APPLIED, evidence="Ann answered", reply=MAILED)
    await run.finish()
    assert (run.status, set(run.sent(SendMessage))) == ("completed", {EDITED})


async def test_sending_it_for_real_a_second_time_is_asked_about_again() -> None:
    """Told that it never went out, the saga sends nothing on the permit of before."""
    run = await play(outreach, LEAD, but(send=refused("in-doubt")))
    await run.approve("review", "eve", edit=EDITED)
    await run.finish()
    run.services.answer({"send": MAILED})
    run.operator.resolve("send", Verdict.NOT_APPLIED, evidence="the mail server has no trace of it")
    await run.finish()
    assert [wait.kind for wait in run.waits] == ["approval"]
    await run.approve("review", "dan")
    assert (await run.finish()).output.approved_by == "dan"
    assert run.attempts("brief") == 1


async def test_a_crm_that_is_down_for_three_days() -> None:
    """The message is out, so there is no way back: it is asked until it is there."""
    run = await play(outreach, LEAD, SUNNY)
    run.services.down("contacts")
    await run.approve("review", "eve")
    await run.advance(timedelta(days=3))
    assert [wait.path for wait in run.waits] == ["crm"]
    run.services.up("contacts")
    assert (await run.finish()).status == "completed"
    assert run.standing.count("crm") == 1


async def approves(run: Run[Any]) -> None:
    """What a person does on a day on which nothing goes wrong."""
    await run.approve("review", "eve")


async def test_whatever_goes_wrong_is_undone() -> None:
    """No law is broken, nothing stays; that people say no is tested above."""
    coverage = await compensation_coverage(outreach, LEAD, SUNNY, meanwhile=approves)
    coverage.check()
    assert coverage.kept == ()


@pytest.mark.parametrize("seed", range(10))
async def test_rough_weather_breaks_no_law(seed: int) -> None:
    """Slow, lost, doubled and overtaking messages; rejected, nothing stands."""
    run = await play(outreach, LEAD, SUNNY, seed=seed, network=ROUGH)
    await run.reject("review", "eve")
    await run.finish()
    assert run.broken_laws() == []
    assert (run.status, run.standing) == ("compensated", ())
