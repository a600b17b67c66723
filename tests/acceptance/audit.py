"""What must be true after a run, whatever was killed: judged from the ledgers of services and world alone.

The engine is believed in one thing only: how it says each saga ended. Everything that happened in the world is counted
from ledgers it cannot write to. Each check is a pure function from the evidence to the problems it finds.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

RESERVE, CHARGE, INVOICE, BOOK, CONFIRM = "reserve", "charge", "invoice", "book", "confirm"
STEPS = frozenset({RESERVE, CHARGE, INVOICE, BOOK, CONFIRM})
MAY_DOUBT = {CONFIRM: "notifications"}
"""Steps that nobody can ask about, and whose kill leaves them in doubt: only these may stand in front of a person."""


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a ledger: something that happened in the world."""

    service: str
    step: str
    kind: Literal["do", "undo"]
    key: str
    """Idempotency key, or what the world knows the effect by."""
    order: str
    at_ns: int
    sequence: int
    amount: int = 0
    """Cents or pieces, where the effect has any."""


class End(msgspec.Struct, frozen=True, kw_only=True):
    """How the engine says a saga stands."""

    order: str
    saga: str
    status: Literal["completed", "compensated", "abandoned", "parked", "running"]
    step: str = ""
    """The parked one, and why, and between which times the doubt arose."""
    code: str = ""
    why: str = ""
    issued_ns: int = 0
    parked_ns: int = 0


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """An order the engine accepted, as its caller logged it."""

    order: str
    saga: str
    total_cents: int
    unit_count: int


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """A process that was killed."""

    process: str
    at_ns: int


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Everything there is to judge by."""

    asked: tuple[Asked, ...]
    ends: tuple[End, ...]
    effects: tuple[Effect, ...]
    missing_units: int
    """Counted less available, over the whole shelf."""
    held_units: int
    """In reservations that are held."""
    balances: dict[str, int]
    """Cents by account."""
    entries: tuple[tuple[str, str, int], ...]
    """Transfer, account, cents."""
    kills: tuple[Kill, ...] = ()
    tombstone_count: int = 0


class Problem(msgspec.Struct, frozen=True):
    """Something that must not be."""

    check: str
    order: str
    """Empty when it is about no single order."""
    detail: str

    def __str__(self) -> str:
        return f"{self.check}: {self.order + ': ' if self.order else ''}{self.detail}"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict."""

    problems: tuple[Problem, ...]
    counts: dict[str, int]

    @property
    def clean(self) -> bool:
        """Nothing was found."""
        return not self.problems

    def print(self) -> None:
        """How often what happened, then what was found, a line each."""
        for name, count in sorted(self.counts.items()):
            print(f"{count:8}  {name}")
        for problem in self.problems:
            print(problem)


Check = Callable[[Evidence], Iterator[tuple[str, str]]]


def audit(evidence: Evidence) -> Report:
    """Run every check."""
    problems = [Problem(check.__name__, order, detail) for check in CHECKS for order, detail in check(evidence)]
    return Report(problems=tuple(problems), counts=_counts(evidence))


def every_accepted_order_ended(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Accepted is known, and known is completed, compensated, or parked where doubt is allowed."""
    ends = {end.saga: end for end in evidence.ends}
    for asked in evidence.asked:
        if asked.saga not in ends:
            yield asked.order, f"was accepted as {asked.saga}, and there is no such saga"
    for end in evidence.ends:
        if end.status not in {"completed", "compensated", "parked"}:
            yield end.order, f"is {end.status}: {end.why or 'no reason given'}"
        elif end.status == "parked" and end.step not in MAY_DOUBT:
            yield end.order, f"is parked at {end.step or 'no step'}, where no doubt is possible: {end.why}"


def every_doubt_is_explained(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """A step is in doubt only if its service was killed between asking and parking."""
    for end in evidence.ends:
        if end.status != "parked" or end.step not in MAY_DOUBT:
            continue
        service = MAY_DOUBT[end.step]
        killed = [kill for kill in evidence.kills if kill.process.startswith(service)]
        if end.code != "in-doubt":
            yield end.order, f"is parked at {end.step} as {end.code or 'nothing'}, not in doubt: {end.why}"
        elif not any(end.issued_ns <= kill.at_ns <= end.parked_ns for kill in killed):
            yield end.order, f"is in doubt at {end.step}, and {service} was not killed in between: {end.why}"


def one_order_is_one_saga(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """However often it was started."""
    sagas: defaultdict[str, set[str]] = defaultdict(set)
    for asked in evidence.asked:
        sagas[asked.order].add(asked.saga)
    for end in evidence.ends:
        sagas[end.order].add(end.saga)
    for order, ids in sorted(sagas.items()):
        if len(ids) > 1:
            yield order, f"is {len(ids)} sagas: {', '.join(sorted(ids))}"


def no_effect_twice(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """One key has one effect."""
    seen = Counter((e.order, e.service, e.step, e.kind, e.key) for e in evidence.effects)
    for (order, service, step, kind, key), count in sorted(seen.items()):
        if count > 1:
            yield order, f"{service} did '{kind} {step}' {count} times under the key {key}"


def no_effect_stands_twice(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """A step is done again only after it was undone, and undone only after it was done."""
    for order, effects in by_order(evidence).items():
        standing: Counter[str] = Counter()
        for effect in effects:
            standing[effect.step] += 1 if effect.kind == "do" else -1
            if standing[effect.step] not in {0, 1}:
                yield order, f"{effect.step} stands {standing[effect.step]} times after its '{effect.kind}'"


def no_orphans(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Every effect belongs to an order that is known, and to a step that is known."""
    known = {end.order for end in evidence.ends}
    for effect in evidence.effects:
        if effect.order not in known:
            yield effect.order, f"{effect.service} did '{effect.kind} {effect.step}' for an order nobody knows"
        if effect.step not in STEPS:
            yield effect.order, f"{effect.service} names a step that no order has: {effect.step}"


def ends_match_effects(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """A completed order has all its effects, a compensated one none, a doubtful one all but the doubt."""
    orders = by_order(evidence)
    for end in evidence.ends:
        standing = standing_steps(orders.get(end.order, []))
        paid = standing & {CHARGE, INVOICE}
        if end.status == "compensated" and standing:
            yield end.order, f"was compensated, and still stands: {', '.join(sorted(standing))}"
        if end.status not in {"completed", "parked"}:
            continue
        wanted = {RESERVE, BOOK} if end.status == "parked" else {RESERVE, BOOK, CONFIRM}
        if missing := wanted - standing:
            yield end.order, f"is {end.status} without {', '.join(sorted(missing))}"
        if len(paid) != 1:
            yield end.order, f"is {end.status} and paid by {', '.join(sorted(paid)) or 'nothing'}"


def undone_in_reverse(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """What is undone is always the newest thing that stands."""
    for order, effects in by_order(evidence).items():
        stack: list[str] = []
        for effect in effects:
            if effect.kind == "do":
                stack.append(effect.step)
            elif effect.step in stack:
                if stack[-1] != effect.step:
                    yield (
                        order,
                        f"{effect.step} was undone while {', '.join(stack[stack.index(effect.step) + 1 :])} stood",
                    )
                stack.remove(effect.step)


def money_is_right(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Every transfer is balanced, every balance is the sum of its entries, and sales are what standing orders paid."""
    transfers: Counter[str] = Counter()
    accounts: Counter[str] = Counter()
    for transfer, account, amount_cents in evidence.entries:
        transfers[transfer] += amount_cents
        accounts[account] += amount_cents
    for transfer, sum_cents in sorted(transfers.items()):
        if sum_cents:
            yield "", f"transfer {transfer} is off by {sum_cents} cents"
    for account in sorted(accounts.keys() | evidence.balances.keys()):
        balance_cents = evidence.balances.get(account, 0)
        if balance_cents != accounts[account]:
            yield "", f"account {account} says {balance_cents} cents, its entries {accounts[account]}"
    if total_cents := sum(evidence.balances.values()):
        yield "", f"all balances together are {total_cents} cents, not 0"
    paid = _standing_amount(evidence, {CHARGE, INVOICE})
    if evidence.balances.get("sales", 0) != paid:
        yield "", f"sales are {evidence.balances.get('sales', 0)} cents, standing payments {paid}"


def stock_is_right(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """What is missing on the shelf is held, and what is held is what standing orders reserved."""
    if evidence.missing_units != evidence.held_units:
        yield "", f"{evidence.missing_units} pieces are missing on the shelf, {evidence.held_units} are held"
    reserved = _standing_amount(evidence, {RESERVE})
    if evidence.held_units != reserved:
        yield "", f"{evidence.held_units} pieces are held, standing reservations say {reserved}"


def amounts_are_those_asked(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Each order paid its own total and reserved its own pieces."""
    asked = {each.order: each for each in evidence.asked}
    for effect in evidence.effects:
        order = asked.get(effect.order)
        if order is None or effect.step not in {RESERVE, CHARGE, INVOICE}:
            continue
        wanted = order.unit_count if effect.step == RESERVE else order.total_cents
        if effect.amount != wanted:
            yield effect.order, f"'{effect.kind} {effect.step}' was of {effect.amount}, the order asked for {wanted}"


CHECKS: tuple[Check, ...] = (
    every_accepted_order_ended,
    every_doubt_is_explained,
    one_order_is_one_saga,
    no_effect_twice,
    no_effect_stands_twice,
    no_orphans,
    ends_match_effects,
    undone_in_reverse,
    money_is_right,
    stock_is_right,
    amounts_are_those_asked,
)


def by_order(evidence: Evidence) -> dict[str, list[Effect]]:
    """Each order's effects, in the order they happened."""
    orders: defaultdict[str, list[Effect]] = defaultdict(list)
    for effect in sorted(evidence.effects, key=lambda e: (e.at_ns, e.sequence)):
        orders[effect.order].append(effect)
    return dict(orders)


def standing_steps(effects: list[Effect]) -> set[str]:
    """Steps that were done more often than undone."""
    standing: Counter[str] = Counter()
    for effect in effects:
        standing[effect.step] += 1 if effect.kind == "do" else -1
    return {step for step, count in standing.items() if count > 0}


def _standing_amount(evidence: Evidence, steps: set[str]) -> int:
    return sum(e.amount if e.kind == "do" else -e.amount for e in evidence.effects if e.step in steps)


def _counts(evidence: Evidence) -> dict[str, int]:
    counts = Counter(
        {"accepted": len(evidence.asked), "kills": len(evidence.kills), "tombstones": evidence.tombstone_count}
    )
    counts.update(end.status for end in evidence.ends)
    counts.update(f"{effect.kind} {effect.step}" for effect in evidence.effects)
    counts["undone orders"] = len({effect.order for effect in evidence.effects if effect.kind == "undo"})
    return dict(counts)
