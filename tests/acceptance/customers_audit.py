"""What must be true after customers were taken on, whatever was killed: judged from ledgers of services and cloud.

The engine is believed in one thing only: how it says each saga ended.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from services.world import books
from tests.acceptance import audit
from tests.acceptance.audit import Asked, Effect, Problem, Report, by_order, standing_steps
from tests.acceptance.evidence import ends_of, rows
from tests.acceptance.town import Town

PIECE = "customer-onboarding"
LEDGERS = ("customers", "payments", "mailboxes")
CLOUD = {"networks": "network", "machines": "machine", "addresses": "address"}
FIRST = frozenset({"register", "charge"})
AFTER: Mapping[str, frozenset[str]] = {
    "register": frozenset(),
    "charge": frozenset({"register"}),
    "network": FIRST,
    "machine": FIRST | {"network"},
    "address": FIRST | {"network", "machine"},
    "mailbox": FIRST,
    "welcome": FIRST | {"network", "machine", "address", "mailbox"},
}
"""What must stand before a step is done, and so cannot be undone while the step stands. Branches know no order."""
MAYBE = "welcome"
"""A mail that nobody can ask about: it may stand in front of a person when its sender was killed."""
MAILER = "notifications"
SHARED = (
    audit.one_order_is_one_saga,
    audit.no_effect_twice,
    audit.no_effect_stands_twice,
    audit.money_is_right,
)


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Everything there is to judge by; a customer is an `order` here."""

    general: audit.Evidence
    open_accounts: int
    open_mailboxes: int
    again: int = 0
    """How often the cloud was asked for what it had made."""


async def gather(town: Town, asked: Sequence[Asked]) -> Evidence:
    """Read everything; call it when nothing moves any more."""
    effects = [effect for service in LEDGERS for effect in await _ledger(town, service)]
    effects += cloud_effects(books.read(town.books("cloud")))
    effects += [_mail(line) for line in books.read(town.books("mailsink"), "mail")]
    payments = town.database("payments")
    tombstones = [
        await rows(town.database(service), "select count(*) from saga_inbox where status = 'cancelled'")
        for service in town.piece.services
    ]
    general = audit.Evidence(
        asked=tuple(asked),
        ends=await ends_of(town.store, PIECE),
        effects=tuple(effects),
        missing_units=0,
        held_units=0,
        balances={str(name): int(cents) for name, cents in await rows(payments, "select * from accounts")},
        entries=tuple(
            (str(transfer), str(account), int(cents))
            for transfer, account, cents in await rows(payments, "select transfer, account, amount_cents from entries")
        ),
        kills=tuple(town.fleet.kills),
        tombstone_count=sum(int(found[0][0]) for found in tombstones),
    )
    return Evidence(
        general=general,
        open_accounts=await _open(town, "customers", "customer_accounts"),
        open_mailboxes=await _open(town, "mailboxes", "mailboxes"),
        again=len(books.read(town.books("cloud"), "again")),
    )


def audited(evidence: Evidence) -> Report:
    """Run every check."""
    general = evidence.general
    found = [Problem(check.__name__, who, text) for check in SHARED for who, text in check(general)]
    own = (everybody_ended, nothing_is_orphaned, ends_match_effects, in_an_allowed_order, fees_are_those_asked)
    found += [Problem(check.__name__, who, text) for check in own for who, text in check(general)]
    found += [Problem("what_is_open_is_owned", "", text) for text in what_is_open_is_owned(evidence)]
    counts = Counter({"accepted": len(general.asked), "kills": len(general.kills), "asked again": evidence.again})
    counts["tombstones"] = general.tombstone_count
    counts.update(end.status for end in general.ends)
    counts.update(f"{effect.kind} {effect.step}" for effect in general.effects)
    return Report(problems=tuple(found), counts=dict(counts))


def everybody_ended(evidence: audit.Evidence) -> Iterator[tuple[str, str]]:
    """Whoever was accepted is known, and ended; or waits for a person to look for a mail whose sender was killed."""
    ends = {end.saga: end for end in evidence.ends}
    for asked in evidence.asked:
        if asked.saga not in ends:
            yield asked.order, f"was accepted as {asked.saga}, and there is no such saga"
    for end in evidence.ends:
        if end.status == "parked" and end.step == MAYBE and end.code == "in-doubt":
            killed = [kill.at_ns for kill in evidence.kills if kill.process == MAILER]
            if not any(end.issued_ns <= at_ns <= end.parked_ns for at_ns in killed):
                yield end.order, f"is in doubt at {end.step}, and {MAILER} was not killed in between: {end.why}"
        elif end.status not in {"completed", "compensated"}:
            yield end.order, f"is {end.status} {end.step}: {end.why or 'no reason given'}"


def nothing_is_orphaned(evidence: audit.Evidence) -> Iterator[tuple[str, str]]:
    """Every effect belongs to somebody who was accepted, and to a step that there is."""
    known = {end.order for end in evidence.ends}
    for effect in evidence.effects:
        if effect.order not in known or effect.step not in AFTER:
            yield effect.order, f"{effect.service} did '{effect.kind} {effect.step}', which nobody asked for"


def ends_match_effects(evidence: audit.Evidence) -> Iterator[tuple[str, str]]:
    """Completed: all of it stands. Compensated: nothing. In doubt about the mail: all before it."""
    effects = by_order(evidence)
    for end in evidence.ends:
        standing = standing_steps(effects.get(end.order, []))
        match end.status:
            case "completed":
                wrong = standing ^ AFTER.keys()
            case "compensated":
                wrong = standing
            case _:
                wrong = (standing - {MAYBE}) ^ AFTER[MAYBE]
        if wrong:
            yield end.order, f"is {end.status}, and this does not fit: {', '.join(sorted(wrong))}"


def in_an_allowed_order(evidence: audit.Evidence) -> Iterator[tuple[str, str]]:
    """A step is done when all before it stands, and undone when nothing after it does; branches go side by side."""
    for order, effects in by_order(evidence).items():
        standing: set[str] = set()
        for effect in effects:
            if effect.kind == "do":
                if missing := AFTER.get(effect.step, frozenset()) - standing:
                    yield order, f"{effect.step} was done without {', '.join(sorted(missing))}"
                standing.add(effect.step)
            else:
                if above := {step for step in standing if effect.step in AFTER.get(step, ())}:
                    yield order, f"{effect.step} was undone while {', '.join(sorted(above))} stood"
                standing.discard(effect.step)


def fees_are_those_asked(evidence: audit.Evidence) -> Iterator[tuple[str, str]]:
    """Each customer paid their own fee."""
    asked = {each.order: each.total_cents for each in evidence.asked}
    for effect in evidence.effects:
        if effect.step == "charge" and effect.amount != asked.get(effect.order, effect.amount):
            yield effect.order, f"'{effect.kind} charge' was of {effect.amount} cents, not {asked[effect.order]}"


def what_is_open_is_owned(evidence: Evidence) -> Iterator[str]:
    """The services' own tables say what their ledgers say."""
    standing = Counter(step for effects in by_order(evidence.general).values() for step in standing_steps(effects))
    for step, open_count in (("register", evidence.open_accounts), ("mailbox", evidence.open_mailboxes)):
        if standing[step] != open_count:
            yield f"{open_count} are open of {step}, the ledger says {standing[step]}"


def cloud_effects(lines: Sequence[Mapping[str, Any]]) -> list[Effect]:
    """What the cloud made and took away; each under the key it was made under."""
    kinds: dict[str, Literal["do", "undo"]] = {"create": "do", "delete": "undo"}
    return [
        Effect(
            service="cloud",
            step=CLOUD[line["of"]],
            kind=kinds[line["kind"]],
            key=line["key"],
            order=line["customer"],
            at_ns=line["at_ns"],
            sequence=line["sequence"],
        )
        for line in lines
        if line["kind"] in kinds
    ]


def _mail(line: Mapping[str, Any]) -> Effect:
    return Effect(
        service="mailsink",
        step=MAYBE,
        kind="do",
        key=line["idempotency_key"],
        order=line["reference"],
        at_ns=line["at_ns"],
        sequence=line["sequence"],
    )


async def _ledger(town: Town, service: str) -> list[Effect]:
    sql = f"select step, kind, idempotency_key, subject, detail, at_ns, sequence from {service}_effects"
    return [
        Effect(
            service=service,
            step=step.rpartition("/")[2],
            kind=kind,
            key=key,
            order=subject,
            at_ns=at_ns,
            sequence=sequence,
            amount=int(detail.split()[-1]) if service == "payments" else 0,
        )
        for step, kind, key, subject, detail, at_ns, sequence in await rows(town.database(service), sql)
    ]


async def _open(town: Town, service: str, table: str) -> int:
    return int((await rows(town.database(service), f"select count(*) from {table} where state = 'open'"))[0][0])
