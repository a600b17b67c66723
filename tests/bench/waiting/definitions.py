"""The sagas that wait: one for a person, one for the clock."""

from datetime import timedelta

from saga import Saga, define, text
from tests.bench.waiting.contracts import Alarm, DraftLetter, Job, Posted, PostLetter, RingBell, Rung

ROLE = "editor"


@define("letter", version=1, deadline=timedelta(days=90))
def letter(s: Saga, job: Job) -> Posted:
    """Draft, approve, send."""
    s.key(job.job_id)
    draft = s.read("draft", DraftLetter(job_id=job.job_id))
    review = s.approval(
        "review",
        PostLetter(contact=job.contact, subject=draft.subject, body=draft.body),
        roles=[ROLE],
        summary=text("Letter to {}", job.contact),
        expires=timedelta(days=60),
    )
    posted = s.pivot("post", review.subject)
    return Posted(reference=posted.reference)


@define("alarm", version=1, deadline=timedelta(days=90))
def alarm(s: Saga, given: Alarm) -> Rung:
    """Sleep, ring."""
    s.key(given.alarm_id)
    s.sleep_until("due", given.due_at)
    return s.pivot("ring", RingBell(alarm_id=given.alarm_id))
