"""What must be true after a run in which people decided, whatever was killed: judged from ledgers, not by the engine.

The engine is believed in one thing only: how it says each saga ended. What people were told is in the approver's books.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from services.world import books
from tests.acceptance import audit
from tests.acceptance.audit import Asked, Effect, End, Kill, by_order, standing_steps
from tests.acceptance.crowd import PEOPLE, Case, Wish
from tests.acceptance.evidence import ends_of, rows
from tests.acceptance.town import Town

SHARED = (
    audit.one_order_is_one_saga,
    audit.no_effect_twice,
    audit.no_effect_stands_twice,
    audit.undone_in_reverse,
)
MAILER = "notifications"
LEDGER = "select step, kind, idempotency_key, subject, at_ns, sequence, detail from {}_effects"


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """What a process does, as the auditor must know it."""

    name: str
    ledgers: Mapping[str, tuple[str, ...]]
    """Steps by the service whose ledger has them."""
    mail_step: str
    steps: tuple[str, ...]
    """All that have effects, in order."""
    approved_step: str
    edited: tuple[str, ...]
    """What is done there when an approver has changed it."""
    doomed: frozenset[Wish] = frozenset()
    """Refused by a later step, though approved."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the approver's books."""

    kind: str
    key: str
    approver: str
    choice: str
    at_ns: int
    code: str = ""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Everything there is to judge by; a business key is an `order` here."""

    asked: Mapping[str, str]
    """Saga by business key, as its caller heard it."""
    ends: tuple[End, ...]
    effects: tuple[Effect, ...]
    told: tuple[Told, ...]
    kills: tuple[Kill, ...]
    content: Mapping[str, tuple[str, ...]]
    """What was done in the approved step, by business key: privileges, or subjects of mails."""
    replays: int = 0
    """Repeats that the CRM recognised."""
    open_children: int = 0
    """Sub-sagas that have not ended."""


async def gathered(story: Story, town: Town, asked: Mapping[str, str]) -> Evidence:
    """Read everything; call it when nothing moves any more."""
    effects: list[Effect] = []
    content: defaultdict[str, list[str]] = defaultdict(list)
    for service in story.ledgers:
        for step, kind, key, subject, at_ns, sequence, detail in await rows(
            town.database(service), LEDGER.format(service)
        ):
            name = step.rpartition("/")[2]
            line = {"idempotency_key": key, "reference": subject, "at_ns": at_ns, "sequence": sequence}
            effects.append(_effect(service, name, kind, line))
            if name == story.approved_step and kind == "do":
                content[subject] += detail.split()
    for line in books.read(town.books("mailsink"), "mail"):
        effects.append(_effect("mailsink", story.mail_step, "do", line))
        if story.approved_step == story.mail_step:
            content[line["reference"]].append(line["subject"])
    effects += [_effect("crm", "crm", "do", line) for line in books.read(town.books("crm"), "upsert")]
    children = "select count(*) from sagas where parent is not null and status not in ('completed', 'compensated')"
    return Evidence(
        asked=asked,
        ends=await ends_of(town.store, story.name),
        effects=tuple(effects),
        told=msgspec.convert(books.read(town.folder / "people.jsonl"), tuple[Told, ...]),
        kills=tuple(town.fleet.kills),
        content={key: tuple(words) for key, words in content.items()},
        replays=len(books.read(town.books("crm"), "replay")),
        open_children=int((await rows(town.store, children))[0][0]),
    )


def _effect(service: str, step: str, kind: Literal["do", "undo"], line: Mapping[str, Any]) -> Effect:
    """A line of a ledger or of books, as the shared checks read it."""
    return Effect(
        service=service,
        step=step,
        kind=kind,
        key=line["idempotency_key"],
        order=line["reference"],
        at_ns=line["at_ns"],
        sequence=line["sequence"],
    )


def audited(story: Story, cases: Sequence[Case], evidence: Evidence) -> tuple[list[str], dict[str, int]]:
    """Run every check; problems in words, and counts of what happened."""
    general = _general(evidence)
    problems = [f"{check.__name__}: {key}: {text}" for check in SHARED for key, text in check(general)]
    own = (_nothing_is_lost, _effects_are_known, _ends_match_effects, _doubts_are_explained)
    problems += [f"{check.__name__[1:]}: {text}" for check in own for text in check(story, evidence)]
    problems += [f"people: {text}" for case in cases for text in _as_people_said(story, case, evidence)]
    return problems, _counts(story, evidence)


def _general(evidence: Evidence) -> audit.Evidence:
    """The same without money and stock: what is true of every process is checked where it is written down already."""
    return audit.Evidence(
        asked=tuple(Asked(order=key, saga=saga, total_cents=0, unit_count=0) for key, saga in evidence.asked.items()),
        ends=evidence.ends,
        effects=evidence.effects,
        missing_units=0,
        held_units=0,
        balances={},
        entries=(),
    )


def _nothing_is_lost(_story: Story, evidence: Evidence) -> Iterator[str]:
    ends = {end.order: end.saga for end in evidence.ends}
    for key, saga in evidence.asked.items():
        if ends.get(key) != saga:
            yield f"{key} was accepted as {saga}, and is {ends.get(key, 'nowhere')}"
    if evidence.open_children:
        yield f"{evidence.open_children} sub-sagas have not ended"


def _effects_are_known(story: Story, evidence: Evidence) -> Iterator[str]:
    known = {end.order for end in evidence.ends}
    for effect in evidence.effects:
        if effect.order not in known or effect.step not in story.steps:
            yield f"{effect.service} did '{effect.kind} {effect.step}' for {effect.order}, which nobody asked for"


def _ends_match_effects(story: Story, evidence: Evidence) -> Iterator[str]:
    """Completed: all of it stands. Compensated: nothing. In doubt about the mail: all before it."""
    orders = by_order(_general(evidence))
    for end in evidence.ends:
        standing = standing_steps(orders.get(end.order, []))
        before = set(story.steps[: story.steps.index(story.mail_step)])
        match end.status:
            case "completed":
                wrong = standing ^ set(story.steps)
            case "compensated":
                wrong = standing
            case "parked" if end.step == story.mail_step:
                wrong = (standing - {story.mail_step}) ^ before
            case _:
                yield f"{end.order} is {end.status} {end.step}: {end.why}"
                continue
        if wrong:
            yield f"{end.order} is {end.status}, and this does not fit: {', '.join(sorted(wrong))}"


def _doubts_are_explained(story: Story, evidence: Evidence) -> Iterator[str]:
    """A mail is in doubt only if its sender was killed between the asking and the parking."""
    for end in evidence.ends:
        times = (kill.at_ns for kill in evidence.kills if kill.process == MAILER)
        if end.status == "parked" and not any(end.issued_ns <= at_ns <= end.parked_ns for at_ns in times):
            yield f"{end.order} is in doubt at {end.step}, and {MAILER} was not killed in between: {end.why}"


def _as_people_said(story: Story, case: Case, evidence: Evidence) -> Iterator[str]:
    """One decision counts, of somebody who may decide; what was approved is what was done, and not before."""
    accepted = [told for told in evidence.told if told.key == case.key and told.kind == "accepted"]
    done = [effect for effect in evidence.effects if (effect.order, effect.step) == (case.key, story.approved_step)]
    end = next((end for end in evidence.ends if end.order == case.key), None)
    if outsiders := {told.approver for told in accepted} - set(PEOPLE):
        yield f"{case.key} was decided by {', '.join(sorted(outsiders))}"
    choices = {told.choice for told in accepted}
    if len(choices) != 1:
        yield f"{case.key} was decided as {', '.join(sorted(choices)) or 'nothing'}"
    elif choices == {"reject"} and (done or end is None or end.status != "compensated"):
        yield f"{case.key} was rejected, and is {end and end.status} with {len(done)} effects of {story.approved_step}"
    elif choices == {"approve"} and (end is None or (end.status == "compensated") != (case.wish in story.doomed)):
        yield f"{case.key} was approved, and is {end and end.status}"
    if case.wish is Wish.REJECT and choices == {"approve"}:
        yield f"{case.key} was rejected, and is approved"
    if case.wish is Wish.EDIT and done and evidence.content.get(case.key) != story.edited:
        yield f"{case.key} was changed by its approver, and {evidence.content.get(case.key)} was done"


def _counts(story: Story, evidence: Evidence) -> dict[str, int]:
    counts = Counter({"kills": len(evidence.kills), "CRM repeats": evidence.replays})
    counts.update(end.status for end in evidence.ends)
    counts.update(f"{effect.kind} {effect.step}" for effect in evidence.effects)
    counts.update(f"{told.kind} {told.code}".strip() for told in evidence.told)
    counts["edited"] = sum(words == story.edited for words in evidence.content.values())
    return dict(counts)
