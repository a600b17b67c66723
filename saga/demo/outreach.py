"""The acts of `agency-outreach`: a message that is edited, one that is refused, and documents that outlive troubles."""

import msgspec

from saga.core.messages import Choice
from saga.demo import examples, ledgers
from saga.demo.ledgers import Check
from saga.demo.stage import Act, Stage
from saga.demo.town import Town

APPROVER, OPERATOR = "eve", "olga"
BETTER = "Breakfast at your place?"
SPACE = (
    "insert into templates (segment, subject, body)"
    " values ('space', 'Looking up to {company}', 'Dear {name}, {facts} Shall we talk?')"
)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """One lead, as the world sees it."""

    documents: int
    """Ever made."""
    kept: int
    """Not put away."""
    drafts: int
    """Ever written."""
    open_drafts: int
    undone: tuple[str, ...]
    """Steps, in the order their undos happened."""
    subjects: tuple[str, ...]
    """Of the mails that went out."""
    contacts: int
    """Written down in the CRM."""


async def edited(stage: Stage, lead_id: str) -> tuple[str, bool]:
    """Act one."""
    stage.title("1  a message that somebody approves, with another subject")
    saga = await stage.start(examples.lead(lead_id))
    asked = await stage.follow_until_asked(saga)
    message = msgspec.json.decode(asked.subject)
    await stage.decide(asked, Choice.APPROVE, APPROVER, edited={**message, "subject": BETTER})
    await stage.follow(saga)
    found = await facts(stage.town, lead_id)
    sent = Check(f"mail server: {', '.join(found.subjects)}", found.subjects == (BETTER,) != (message["subject"],))
    return saga, stage.tell([sent, *reached(found)])


async def refused(stage: Stage, lead_id: str) -> tuple[str, bool]:
    """Act two."""
    stage.title("2  somebody says no: draft and brief are put away, and nothing was sent")
    saga = await stage.start(examples.lead(lead_id))
    asked = await stage.follow_until_asked(saga)
    await stage.decide(asked, Choice.REJECT, APPROVER, reason="we know them already")
    await stage.follow(saga)
    found = await facts(stage.town, lead_id)
    return saga, stage.tell(
        [
            Check(f"undone: {', then '.join(found.undone)}", found.undone == ("draft", "brief")),
            Check(
                f"documents: {found.documents} made, {found.kept} kept; drafting: {found.open_drafts} drafts open",
                (found.documents, found.kept, found.drafts, found.open_drafts) == (1, 0, 1, 0),
            ),
            Check(
                f"mail server: {len(found.subjects)} mails; CRM: {found.contacts} contacts",
                not found.subjects and not found.contacts,
            ),
        ]
    )


async def resumed(stage: Stage, lead_id: str) -> tuple[str, bool]:
    """Act three."""
    stage.title("3  no template for such a company: an operator adds it and resumes")
    saga = await stage.start(examples.lead(lead_id, company="Orbital Views"))
    await stage.follow_until_parked(saga)
    before = await facts(stage.town, lead_id)
    made = stage.tell(
        [Check(f"documents: {before.documents} made; drafting: {before.drafts} drafts", before.kept == 1)]
    )
    await ledgers.rows(stage.town.database("drafting"), SPACE)
    await stage.retry(saga, "draft", OPERATOR, reason="there is a template now")
    asked = await stage.follow_until_asked(saga)
    await stage.decide(asked, Choice.APPROVE, APPROVER)
    await stage.follow(saga)
    return saga, stage.tell(reached(await facts(stage.town, lead_id))) and made


async def survives(stage: Stage, lead_id: str) -> tuple[str, bool]:
    """Act four."""
    stage.title("4  kill -9 between research and sending, while the draft is written")
    town, screen = stage.town, stage.screen
    screen.say("  drafting is told to stall before its commit, so that the moment can be hit", "dim")
    runs = await town.stall("drafting", "DraftMessage")
    saga = await stage.start(examples.lead(lead_id))
    await stage.follow_until_run(saga, runs)
    await town.kill()
    screen.say(f"  kill -9 {town.victim_pid}: {town.victim}; the draft was written and not committed", "bad")
    before = await facts(town, lead_id)
    lost = stage.tell(
        [
            Check(
                f"documents: {before.documents} made; drafting: {before.drafts} drafts",
                (before.documents, before.drafts) == (1, 0),
            )
        ]
    )
    await town.start_again()
    screen.say(f"  started again as process {town.victim_pid}", "good")
    asked = await stage.follow_until_asked(saga)
    await stage.decide(asked, Choice.APPROVE, APPROVER)
    await stage.follow(saga)
    return saga, stage.tell(reached(await facts(town, lead_id))) and lost


ACTS: tuple[Act, ...] = (edited, refused, resumed, survives)


async def facts(town: Town, lead_id: str) -> Facts:
    """Look a lead up. Raises Unavailable."""
    done = await ledgers.effects(town, ("documents", "drafting"), lead_id)
    mails = ledgers.book_lines(town, "mailsink", "mail", reference=lead_id)
    return Facts(
        documents=await _count(town, "documents", "documents where reference = $1", lead_id),
        kept=await _count(town, "documents", "documents where reference = $1 and state = 'kept'", lead_id),
        drafts=await _count(town, "drafting", "drafts where reference = $1", lead_id),
        open_drafts=await _count(town, "drafting", "drafts where reference = $1 and state = 'open'", lead_id),
        undone=ledgers.undone(done),
        subjects=tuple(str(mail["subject"]) for mail in mails),
        contacts=ledgers.books(town, "crm", "upsert", reference=lead_id),
    )


def reached(found: Facts) -> list[Check]:
    """A lead whom everything happened to once."""
    return [
        Check(
            f"documents: {found.documents} made, {found.kept} kept; drafting: {found.drafts} draft",
            (found.documents, found.kept, found.drafts, found.open_drafts) == (1, 1, 1, 1),
        ),
        Check(
            f"mail server: {len(found.subjects)} mail; CRM: {found.contacts} contact",
            len(found.subjects) == found.contacts == 1,
        ),
    ]


async def _count(town: Town, service: str, what: str, lead_id: str) -> int:
    sql = f"select count(*) from {what}"  # noqa: S608 - the words are ours
    return int((await ledgers.rows(town.database(service), sql, lead_id))[0][0])
