"""`saga compensate`: what undoing a saga would take, and doing it."""

import asyncio
from typing import Any

import click

from saga.cli.actor import actor_option, not_blank
from saga.cli.asking import confirm
from saga.cli.failure import CommandFailed
from saga.cli.main import settings_of
from saga.cli.operations import operated
from saga.cli.show import output_option, print_json, print_rows

EFFECTS = {
    "now": "It is undone at once.",
    "if-pivot-fails": "The pivot is under way: it is undone only if that fails.",
    "too-late": "The pivot has passed: nothing is undone any more.",
    "ended": "The saga has ended: nothing is undone any more.",
    "under-way": "It is being undone already; this is what is left.",
}


@click.command()
@click.argument("saga")
@click.option("--preview", is_flag=True, help="Only show what would be undone, in which order.")
@click.option("--reason", callback=not_blank, help="Why; recorded. Needed without --preview.")
@actor_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@output_option
@click.pass_context
def compensate(ctx: click.Context, /, saga: str, *, preview: bool, yes: bool, output: str, **given: Any) -> None:
    """Undo what SAGA did and end it, as `saga cancel`; before its pivot only.

    Steps of one stage are undone side by side, a stage after the one before. A sub-saga is undone as one unit.
    """
    if not preview and not given["reason"]:
        raise click.UsageError("--reason is missing. Fix: --reason 'why', or --preview to look first")
    found = asyncio.run(_preview(settings_of(ctx), saga))
    if preview:
        _print(found, output)
        return
    if found.takes_effect in ("too-late", "ended"):
        raise CommandFailed("SAGA-3002", f"{EFFECTS[found.takes_effect]} Fix: undo by hand, or start a saga that does")
    undone = sum(map(len, found.stages))
    confirm(f"{EFFECTS[found.takes_effect]} Undo {undone} step{'' if undone == 1 else 's'}?", yes=yes)
    from saga.core.inputs import Cancel
    from saga.stores import CLOCK, IDS

    wish = Cancel(now=CLOCK.now(), request=IDS.message(), by="operator", actor=given["actor"], reason=given["reason"])
    operated(ctx, saga, wish)


def _print(found: Any, output: str) -> None:
    if output in ("json", "jsonl"):
        print_json(found)
        return
    rows: list[dict[str, object]] = [
        {
            "stage": number,
            "step": undo.path,
            "undo": f"{undo.command} (a sub-saga, as one unit)" if undo.child else undo.command,
            "step_was": undo.outcome,
            "parks": undo.parks or None,
        }
        for number, stage in enumerate(found.stages, start=1)
        for undo in stage
    ]
    if output == "table":
        click.echo(EFFECTS[found.takes_effect])
    if rows or output == "id":
        print_rows(output, rows, "step")
    elif found.takes_effect not in ("too-late", "ended"):
        click.echo("nothing has to be undone")


async def _preview(settings: Any, saga: str) -> Any:
    from saga.cli.reference import saga_id
    from saga.core.preview import preview
    from saga.engine.lookup import read_live
    from saga.engine.operate import NoSuchSaga
    from saga.stores import CLOCK, open_store

    store = await open_store(settings.store)
    try:
        live = await read_live(store, CLOCK, await saga_id(store, saga))
    finally:
        await store.close()
    if live is None:
        raise NoSuchSaga(f"there is no saga {saga} in this store. Fix: saga list")
    return preview(live.plan, live.state, CLOCK.now())
