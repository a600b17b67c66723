"""`saga start`, `list`, `show`, `history`."""

import asyncio
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import click
import msgspec

from saga.cli.body import json_body
from saga.cli.failure import CommandFailed, Exit
from saga.cli.known import definition_names, saga_argument
from saga.cli.lengths import HOURS, SECONDS
from saga.cli.main import settings_of
from saga.cli.show import output_option, print_json, print_line, print_rows, say
from saga.core.codes import code_of
from saga.cost import Cost, spelt

ENDINGS = {"compensated": Exit.COMPENSATED, "abandoned": Exit.ABANDONED}
STATUSES = ("running", "compensating", "parked", "completed", "compensated", "abandoned")
WAIT_KINDS = ("reply", "delivery", "timer", "signal", "approval", "child", "parked", "paused")
ANSWERS_KEPT = timedelta(minutes=1)
"""Each call has a queue of its own, or calls at the same time would take each other's answers."""


@click.command()
@click.argument("name", shell_complete=definition_names)
@click.option("--data", default="{}", help="The input as JSON; @FILE reads a file, - reads stdin.")
@click.option("--key", help="Business key: the same key is the same saga, for ever.")
@click.option("--version", type=int, help="Definition version [default: the newest].")
@click.option("--wait", is_flag=True, help="Wait until it has ended; the exit code says how.")
@click.option("--timeout", type=SECONDS, default=60.0, show_default=True, help="Seconds to wait.")
@click.pass_context
def start(ctx: click.Context, /, name: str, data: str, **options: Any) -> None:
    """Start the saga NAME. Exit codes with --wait: 0 completed, 7 compensated, 8 abandoned, 124 not ended in time."""
    body = json_body(data)
    try:
        answer = asyncio.run(_start(settings_of(ctx), name, body, options))
    except TimeoutError as error:
        hint = "with --key, or a definition that names its key, it is the same saga"
        raise CommandFailed("SAGA-3005", f"{error}; {hint}") from None
    print_json(answer)
    sys.exit(ENDINGS.get(str(answer.get("status")), Exit.OK))


async def _start(settings: Any, name: str, body: bytes, options: dict[str, Any]) -> dict[str, object]:
    from saga.bootstrap.brokers import open_bus
    from saga.client import Client
    from saga.stores import IDS

    bus = await open_bus(settings.amqp, name="saga start")
    client = Client(bus, IDS, name=f"cli-{IDS.message()[:8]}", answers_kept=ANSWERS_KEPT)
    within = timedelta(seconds=options["timeout"])
    key, version = options["key"], options["version"]
    try:
        if not options["wait"]:
            started = await client.start(name, body, key=key, version=version, within=within)
            return {"saga": started.saga, "existing": started.existing}
        ended = await client.run(name, body, key=key, version=version, within=within)
        return msgspec.structs.asdict(ended)
    finally:
        await client.close()
        await bus.close()


@click.command("list")
@click.option("--name", help="Of the definition.", shell_complete=definition_names)
@click.option("--status", "statuses", type=click.Choice(STATUSES), multiple=True, help="Of the saga; repeatable.")
@click.option("--wait-kind", type=click.Choice(WAIT_KINDS), help="What it waits for.")
@click.option("--all", "everything", is_flag=True, help="Sub-sagas too.")
@click.option("--root", help="Only the sub-sagas below this saga, at any depth.")
@click.option("--tag", "tags", multiple=True, help="name=value; repeatable.")
@click.option("--since", type=HOURS, help="Started within the last HOURS.")
@click.option("--before", help="Only sagas older than this id: the last id of the page before.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True, help="At most so many.")
@output_option
@click.pass_context
def list_(ctx: click.Context, /, output: str, **options: Any) -> None:
    """List sagas, newest first; sub-sagas only with --all or --root."""
    rows, below = asyncio.run(_list(settings_of(ctx), options))
    print_rows(output, rows, "saga")
    if below:
        click.echo("sub-sagas match too: --all shows them", err=True)
    if output == "table" and rows:
        click.echo("next: saga show SAGA", err=True)


async def _list(settings: Any, options: dict[str, Any]) -> tuple[list[dict[str, object]], bool]:
    """The rows, and whether sub-sagas are left out that somebody may look for."""
    from saga.ports import SagaFilter
    from saga.stores import CLOCK, open_store

    since, root = options["since"], options["root"]
    where = SagaFilter(
        roots_only=root is None and not options["everything"],
        name=options["name"],
        statuses=options["statuses"],
        wait_kind=options["wait_kind"],
        tags=dict(_tag(tag) for tag in options["tags"]),
        started_after=None if since is None else CLOCK.now() - timedelta(hours=since),
        before=options["before"],
        limit=options["limit"],
    )
    store = await open_store(settings.store)
    try:
        if root is not None:
            from saga.cli.reference import saga_id

            where = msgspec.structs.replace(where, root=await saga_id(store, root))
        rows = [
            {
                "saga": row.saga,
                "name": row.name,
                "key": row.start_key[2:],
                "version": row.definition_version,
                "status": row.status,
                "waits_for": await _needed_below(store, row) or row.wait_text,
                "started_at": row.started_at,
            }
            for row in await store.sagas(where)
        ]
        asked = where.roots_only and (where.statuses or where.wait_kind)  # else every parent would say it
        family = await store.sagas(msgspec.structs.replace(where, roots_only=False)) if asked else []
        return rows, any(row.parent is not None for row in family)
    finally:
        await store.close()


async def _needed_below(store: Any, row: Any) -> str:
    # Looked up for those that wait for a sub-saga only: it takes questions to the store for each of them.
    if row.wait_kind != "child":
        return ""
    from saga.engine.lookup import needed_below
    from saga.stores import CLOCK

    return await needed_below(store, CLOCK, row)


def _tag(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is no name=value", param_hint="--tag")
    return name, value


@click.command()
@saga_argument
@output_option
@click.pass_context
def show(ctx: click.Context, saga: str, output: str) -> None:
    """Show one saga: its steps, and every reason why it waits."""
    detail = asyncio.run(_describe(settings_of(ctx), saga))
    if detail is None:
        raise CommandFailed("SAGA-3001", f"there is no saga {saga} in this store. Fix: saga list")
    if output == "id":
        say(detail.saga)
        return
    if output != "table":
        (print_json if output == "json" else print_line)(detail)
        return
    say(f"{detail.saga}  {detail.name} v{detail.definition_version}  key {detail.key}")
    say(f"{detail.status}{' (paused)' if detail.paused else ''}  started {_moment(detail.started_at)}")
    if detail.because:
        say(f"because: {detail.because}")
    _say_steps(detail)
    for wait in detail.waits:
        until = "" if wait.until is None else f" by {_moment(wait.until)}"
        say(f"waits: {wait.text}{until}")
        _hint(wait.code)
    for note in detail.parked_messages:
        say(f"parked message {note.id}: {note.reason}: {note.detail}")
        _hint(note.reason)
    show_below(detail.children, detail.approvals, detail.saga)
    unreadable_count = detail.costs_unreadable + sum(child.costs_unreadable for child in detail.children)
    show_cost(detail.cost, detail.cost_with_children, unreadable_count)
    if detail.output is not None:
        say(f"output: {bytes(detail.output).decode()}")


def _say_steps(detail: Any) -> None:
    width = max((24, *(len(step.path) for step in detail.steps)))
    for step in detail.steps:
        undo = "" if step.undo is None else f"  undo: {step.undo.outcome}, attempt {step.undo.attempts}"
        say(f"  {step.path:{width}} {step.state:8} attempt {step.action.attempts}{undo}")
    if detail.not_begun and detail.phase == "running":
        say(f"  not begun: {', '.join(detail.not_begun)}")


def _hint(word: str) -> None:
    """What the catalogue says to do about a word of the wire."""
    found = code_of(word)
    if found is not None:
        say(f"  fix: {found.fix} ({found.number})")


def show_cost(own: Cost, whole: Cost, unreadable_count: int) -> None:
    """What the answers of a saga told, and those of its sub-sagas with it; nothing where nobody told anything."""
    if own:
        say(f"cost: {spelt(own)}")
    if whole != own:
        say(f"cost with sub-sagas: {spelt(whole)}")
    if unreadable_count:
        say(f"cost that cannot be read, in no sum: of {unreadable_count} answers")


def show_below(children: Iterable[Any], approvals: Iterable[Any], saga: str) -> None:
    """Sub-sagas, and what somebody has to decide in all of it, with the commands that help."""
    for child in children:
        waits = f"  waits: {child.waits_for}" if child.waits_for else ""
        say(f"sub-saga {child.place}: {child.saga}  {child.name} v{child.definition_version}  {child.status}{waits}")
        for path in child.parked:
            say(f"  fix: saga resolve {child.saga} {path} retry --reason …; saga show {child.saga} says more")
    for each in approvals:
        about = f": {each.summary}" if each.summary else ""
        say(f"to be decided: {each.place} by {' or '.join(each.roles)}{about}")
        say(f"  next: saga approvals show {saga} {each.place}")


async def _describe(settings: Any, saga: str) -> Any:
    from saga.cli.reference import saga_id
    from saga.engine.lookup import describe
    from saga.stores import CLOCK, open_store

    store = await open_store(settings.store)
    try:
        return await describe(store, CLOCK, await saga_id(store, saga))
    finally:
        await store.close()


@click.command()
@saga_argument
@output_option
@click.pass_context
def history(ctx: click.Context, saga: str, output: str) -> None:
    """Show every recorded event, in order."""
    rows = asyncio.run(_history(settings_of(ctx), saga))
    if not rows:
        raise CommandFailed("SAGA-3001", f"there is no saga {saga} in this store. Fix: saga list")
    if output != "table":
        print_rows(output, rows, "version")
        return
    for row in rows:
        for event in msgspec.json.decode(bytes(row["events"])):
            kind, _ = event.pop("event"), event.pop("at")
            told = sorted(event.items(), key=lambda field: field[0] == "cost")  # what it is about comes first
            fields = " ".join(f"{name}={_short(value)}" for name, value in told)
            say(f"{row['version']:>4}  {_moment(row['at'])}  {kind:22} {fields}")


async def _history(settings: Any, saga: str) -> list[dict[str, Any]]:
    from saga.cli.reference import saga_id
    from saga.stores import open_store

    store = await open_store(settings.store)
    rows: list[dict[str, Any]] = []
    try:
        saga = await saga_id(store, saga)
        while page := await store.history(saga, rows[-1]["version"] if rows else 0):
            rows += [
                {"version": row.version, "at": row.at, "cause": row.cause, "events": msgspec.Raw(row.data)}
                for row in page
            ]
    finally:
        await store.close()
    return rows


def _moment(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")


def _short(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else text[:79] + "…"
