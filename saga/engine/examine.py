"""Looking at a whole store: what is missing, what is stuck and why. Only reads, and each read has a limit."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import msgspec

from saga.core.checkup import Finding, alarm_findings, clock_findings, word_finding
from saga.engine.catalog import Catalog, UnusableDefinition
from saga.engine.lookup import WaitDetail, describe
from saga.ports import Clock, ParkedCount, SagaFilter, SagaRow, Store

SAMPLES = {"parked": 200, "delivery": 200, "paused": 200, "reply": 50, "timer": 50}
"""Of each kind of wait so many, the oldest sagas: what is stuck longest is among them."""
PATIENT = frozenset({"reply", "timer"})
"""Waits that are nothing to talk about before they are long; each is looked up."""
REASONS_MAX = 5
"""Told of each kind of wait; the most frequent first."""
PARKED_SAMPLE = 1_000
LONG = timedelta(minutes=10)
"""Without a commit."""


class Reason(msgspec.Struct):
    """Sagas that wait for the same, oldest first."""

    oldest: SagaRow
    count: int = 0


async def examine_store(store: Store, clock: Clock) -> list[Finding]:
    """Tables, clocks, and whether anything is published. Raises Unavailable, SchemaMismatch."""
    pending = await store.pending()
    if pending:
        why = "The tables of this release are not there, or not all of them."
        return [Finding("error", "store", f"the store lacks {', '.join(pending)}", why, "saga db migrate")]
    before = clock.now()
    now = await store.now()
    here = before + (clock.now() - before) / 2  # the answer was on its way for about half of the time
    findings = list(clock_findings(now, here))
    if not await store.named():
        why = "Starts are refused as long as their definition is not in the store."
        findings.append(
            Finding("warning", "store", "no definition is published", why, "saga definitions publish MODULE")
        )
    return findings


async def services_in_use(store: Store, clock: Clock) -> tuple[dict[str, list[str]], list[Finding]]:
    """Services that published definitions send commands to, with those definitions; and what cannot be read."""
    catalog = Catalog(store, clock)
    used: dict[str, list[str]] = {}
    findings: list[Finding] = []
    for stored in await store.named():
        title = f"{stored.name} v{stored.version}"
        try:
            plan = await catalog.by_hash(stored.hash)
        except UnusableDefinition as error:
            why = "The store was changed by hand, or by a later release."
            findings.append(Finding("error", "store", str(error), why, "run the release that published it"))
            continue
        for service in sorted({step.command.service for step in plan.steps.values()}):
            used.setdefault(service, []).append(title)
    return used, findings


async def examine_messages(store: Store) -> list[Finding]:
    """Parked messages that nobody decided on, by reason. Raises Unavailable."""
    counts = await store.parked_counts(PARKED_SAMPLE)
    return [_message(count) for count in counts]


async def examine_sagas(store: Store, clock: Clock) -> list[Finding]:
    """Sagas that do not go on, by reason, those that wait longest first. Raises Unavailable."""
    now = await store.now()
    due = await store.sagas(SagaFilter(due_before=now, limit=1))
    findings = list(alarm_findings([row.wake_at for row in due if row.wake_at is not None], now))
    for kind, sample in SAMPLES.items():
        rows = await store.sagas(SagaFilter(wait_kind=kind, oldest_first=True, limit=sample))
        stuck = rows if kind not in PATIENT else [row for row in rows if now - await _moved_at(store, row) > LONG]
        for reason in _grouped(stuck, _parked_code if kind == "parked" else _wait_text):
            findings += await _explained(store, clock, kind, reason, at_least=len(rows) >= sample)
    return findings


async def _moved_at(store: Store, row: SagaRow) -> datetime:
    last = await store.history(row.saga, row.version - 1, 1)
    return last[0].at if last else row.started_at


def _grouped(rows: Iterable[SagaRow], key: Callable[[SagaRow], str]) -> list[Reason]:
    groups: dict[tuple[str, str], Reason] = {}
    for row in rows:
        groups.setdefault((row.name, key(row)), Reason(row)).count += 1
    return sorted(groups.values(), key=lambda reason: -reason.count)[:REASONS_MAX]


def _parked_code(row: SagaRow) -> str:
    return row.wait_text.partition(":")[0]


def _wait_text(row: SagaRow) -> str:
    return row.wait_text.partition(";")[0].partition("(")[0]


async def _explained(store: Store, clock: Clock, kind: str, reason: Reason, *, at_least: bool) -> list[Finding]:
    """By the oldest saga of the group. One that went on meanwhile has nothing to say any more."""
    row = reason.oldest
    detail = await describe(store, clock, row.saga)
    if detail is None:
        what, why = f"the saga {row.saga} cannot be read", "A later release wrote it, or the store was changed by hand."
        return [Finding("error", "sagas", what, why, f"saga show {row.saga}")]
    wait = next((each for each in detail.waits if each.kind == kind), None)
    if wait is None:
        return []
    count = f"{row.name}, {'at least ' if at_least else ''}{reason.count}"
    below = "" if row.parent is None else f", a sub-saga of {row.root}"
    what = f"{count} waits: {wait.text}; the oldest is {row.saga}{below}"
    return [_saga(kind, row, wait, what)]


def _saga(kind: str, row: SagaRow, wait: WaitDetail, what: str) -> Finding:
    show = f"saga show {row.saga}"
    match kind:
        case "parked":
            todo = f"saga resolve {row.saga} {wait.path} retry --reason …  ({show} tells the other verbs' ground)"
            return word_finding("error", "sagas", wait.code, what, todo)
        case "paused":
            why = "Somebody paused it: nothing is issued and no deadline passes."
            return Finding("note", "sagas", what, why, f"saga resume {row.saga} --reason …")
        case "delivery":
            why = "The broker had no queue for the command; it is sent again by itself once there is one."
            return Finding("error", "sagas", what, why, "saga topology apply, then saga serve for the service")
        case _ if wait.code:
            return word_finding("warning", "sagas", wait.code, what, show)
        case _:
            return Finding("note", "sagas", what, "Waiting costs nothing; it may be meant.", show)


def _message(count: ParkedCount) -> Finding:
    many = "at least " if count.count >= PARKED_SAMPLE else ""
    since = f"the first since {count.oldest_at:%Y-%m-%d %H:%M}"
    what = f"messages parked from {count.origin}: {many}{count.count}, {count.reason}, {since}"
    listed = f"saga parked list --code {count.reason}, and redrive or discard them"
    return word_finding("warning", "messages", count.reason, what, listed)
