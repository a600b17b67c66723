"""`saga parked redrive` and `discard`: what an operator does about messages nobody could use.

Messages are taken one at a time, oldest first. Ctrl-C finishes the one at hand and leaves; what was not reached is
still to be decided on.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import click
import msgspec

from saga.cli.actor import actor_option, reason_option
from saga.cli.asking import confirm
from saga.cli.failure import CommandFailed
from saga.cli.main import nobody_reads, settings_of
from saga.cli.show import output_option, print_json, print_line, say

PAGE_ROWS = 50

F = TypeVar("F", bound=Callable[..., Any])


class Chosen(msgspec.Struct, frozen=True):
    """Which messages: by number, or all that match."""

    numbers: tuple[int, ...]
    queue: str | None
    code: str | None
    again: bool = False
    """Also those settled before; by number only."""


class Result(msgspec.Struct, frozen=True):
    """What became of one message. Stable as JSON."""

    id: int
    origin: str
    reason: str
    outcome: str
    """`redriven`, `discarded`, `would be …` with --dry-run, or `refused`."""
    detail: str = ""


def selecting(command: F) -> F:
    """NUMBERs, or filters."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Only say what would be done."),
        click.option("--code", help="All that were parked for this reason."),
        click.option("--queue", help="All that came from this queue."),
        click.option("--all", "everything", is_flag=True, help="All that are to be decided on."),
        click.argument("numbers", nargs=-1, type=click.IntRange(1), metavar="[NUMBER]..."),
    ):
        command = option(command)
    return command


@click.command()
@selecting
@click.option("--again", is_flag=True, help="Also a message that was redriven or discarded before; by NUMBER only.")
@reason_option
@actor_option
@output_option
@click.pass_context
def redrive(ctx: click.Context, /, output: str, **given: Any) -> None:
    """Put parked messages back where they came from, once what they were parked for is mended.

    Starts and commands go to the broker, as the orchestrator's user may; replies and cancels into the saga's history,
    without a broker. A message counts as redriven only once that is confirmed; should this be killed in between, it is
    sent again, and nobody does it twice. One that is parked again is a new message in the list.
    """
    chosen = _chosen(given)
    if given["again"] and not chosen.numbers:
        raise click.UsageError("--again wants NUMBERs: what was settled is not settled again in bulk", ctx)
    _run(ctx, chosen, given, output, verb="redriven")


@click.command()
@selecting
@click.option("--yes", is_flag=True, help="Do not ask.")
@reason_option
@actor_option
@output_option
@click.pass_context
def discard(ctx: click.Context, /, output: str, **given: Any) -> None:
    """Take parked messages off the list of what is to be decided on. They are kept, with who did it and why."""
    chosen = _chosen(given)
    if not given["dry_run"]:
        what = f"{len(chosen.numbers)} messages" if chosen.numbers else "every message that matches"
        confirm(f"Discard {what}?", yes=given["yes"])
    _run(ctx, chosen, given, output, verb="discarded")


def _chosen(given: dict[str, Any]) -> Chosen:
    """Raises UsageError unless it is either numbers or filters."""
    filters = given["everything"] or given["queue"] is not None or given["code"] is not None
    if bool(given["numbers"]) == filters:
        raise click.UsageError("which messages? Fix: NUMBERs from saga parked list, or --all, --queue, --code")
    return Chosen(tuple(dict.fromkeys(given["numbers"])), given["queue"], given["code"], given.get("again", False))


def _run(ctx: click.Context, chosen: Chosen, given: dict[str, Any], output: str, *, verb: str) -> None:
    """Do it, tell it while it goes on, and end as the worst of it. Raises CommandFailed, Abort."""
    results: list[Result] = []

    def keep(result: Result) -> None:
        results.append(result)
        _heard_or_not(lambda: _tell(result, output))

    settings = settings_of(ctx)
    try:
        finished = asyncio.run(_each(settings, chosen, given, verb, keep))
    finally:
        if output == "json":
            _heard_or_not(lambda: print_json(results))
    refused = sum(result.outcome == "refused" for result in results)
    if not finished:
        click.echo(f"stopped after {len(results)}; what was not reached is still to be decided on", err=True)
        raise click.Abort
    if output == "table" and not results:
        click.echo("nothing found", err=True)
    if refused:
        raise CommandFailed("SAGA-3007", f"{refused} of {len(results)} messages were refused, for the reasons above")


def _heard_or_not(say_it: Callable[[], None]) -> None:
    """What was asked for is done to its end, also when nobody reads any more (`| head -1`)."""
    try:
        say_it()
    except BrokenPipeError:
        nobody_reads()


def _tell(result: Result, output: str) -> None:
    """While it goes on; one JSON document can only be printed at the end."""
    if output == "jsonl":
        print_line(result)
    elif output == "id":
        click.echo(result.id)
    elif output == "table":
        line = f"{result.outcome:<12} {result.id:>6}  {result.origin}  {result.reason}"
        say(f"{line}  {result.detail}".rstrip())


async def _each(
    settings: Any, chosen: Chosen, given: dict[str, Any], verb: str, tell: Callable[[Result], None]
) -> bool:
    """Whether all were reached before somebody pressed Ctrl-C."""
    from saga.cli.patience import stop_signals
    from saga.engine.redrive import NoWayBack
    from saga.stores import open_store

    stop = stop_signals()
    async with AsyncExitStack() as stack:
        store = await open_store(settings.store)
        stack.push_async_callback(store.close)
        act = _act(settings, store, given, verb, stack)
        async for row in _rows(store, chosen):
            if stop.is_set():
                return False
            place = (row.id, row.message.origin, row.message.reason)
            try:
                await act(row)
            except NoWayBack as refusal:
                tell(Result(*place, "refused", str(refusal)))
            else:
                tell(Result(*place, f"would be {verb}" if given["dry_run"] else verb))
    return True


def _act(
    settings: Any, store: Any, given: dict[str, Any], verb: str, stack: AsyncExitStack
) -> Callable[[Any], Awaitable[None]]:
    """What to do with each row."""
    from saga.bootstrap.orchestrators import trust_of
    from saga.engine.redrive import Redriving, note, redrive
    from saga.stores import CLOCK

    wish = Redriving(given["actor"], given["reason"], trust_of(settings), rehearsed=given["dry_run"])
    opened: list[Any] = []

    async def bus() -> Any:
        from saga.bootstrap.brokers import open_bus

        if not opened:
            opened.append(await open_bus(settings.amqp, name="saga parked redrive", identify=False))
            stack.push_async_callback(opened[0].close)
        return opened[0]

    async def act(row: Any) -> None:
        if verb == "discarded":
            if not given["dry_run"]:
                await note(store, row.id, "discarded", wish)
        else:
            await redrive(store, bus, CLOCK, row, wish)

    return act


async def _rows(store: Any, chosen: Chosen) -> AsyncIterator[Any]:
    """Those that are there now, oldest first: what is parked again meanwhile is not among them.

    Raises CommandFailed for a number that is unknown or settled, before the first is given.
    """
    from saga.ports import ParkedFilter

    if chosen.numbers:
        for row in await _named(store, chosen):
            yield row
        return
    newest = await store.parked(limit=1)
    after = 0
    while newest:
        where = ParkedFilter(origin=chosen.queue, reason=chosen.code, settled=False, after=after)
        page = await store.parked(where, before=newest[0].id + 1, limit=PAGE_ROWS)
        for row in page:
            yield row
        if not page:
            return
        after = page[-1].id


async def _named(store: Any, chosen: Chosen) -> list[Any]:
    from saga.ports import ParkedFilter

    found: dict[int, Any] = {}
    for number in chosen.numbers:
        rows = await store.parked(ParkedFilter(ids=(number,)), limit=1)
        if not rows:
            raise CommandFailed("SAGA-3004", f"there is no parked message {number}. Fix: saga parked list")
        [row] = rows
        if row.settled and not chosen.again:
            last = row.actions[-1]
            raise CommandFailed(
                "SAGA-3008", f"message {number} was {row.settled} by {last.actor} at {last.at}: {last.reason}"
            )
        found[number] = row
    return [found[number] for number in sorted(found)]
