"""`saga cancel`, `abandon`, `pause`, `resume`, `resolve`: recorded with who and why."""

import asyncio
from typing import Any

import click

from saga.cli.actor import actor_option, reason_option
from saga.cli.body import json_body
from saga.cli.known import saga_argument
from saga.cli.main import settings_of
from saga.cli.show import print_json


@click.command()
@saga_argument
@reason_option
@actor_option
@click.pass_context
def cancel(ctx: click.Context, saga: str, reason: str, actor: str) -> None:
    """Compensate what SAGA did and end it. Once its pivot was issued, this waits for the pivot to fail."""
    from saga.core.inputs import Cancel
    from saga.stores import CLOCK, IDS

    request = Cancel(now=CLOCK.now(), request=IDS.message(), by="operator", actor=actor, reason=reason)
    operated(ctx, saga, request)


@click.command()
@saga_argument
@reason_option
@actor_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def abandon(ctx: click.Context, /, saga: str, reason: str, actor: str, *, yes: bool) -> None:
    """Close SAGA as it is: nothing is undone, effects that stand are listed in its history."""
    from saga.cli.asking import confirm
    from saga.core.inputs import Abandon
    from saga.stores import CLOCK

    confirm("Close it and leave its effects as they are?", yes=yes)
    operated(ctx, saga, Abandon(now=CLOCK.now(), actor=actor, reason=reason))


@click.command()
@saga_argument
@reason_option
@actor_option
@click.pass_context
def pause(ctx: click.Context, saga: str, reason: str, actor: str) -> None:
    """Issue nothing for SAGA and stop its deadlines; what arrives is recorded."""
    from saga.core.inputs import Pause
    from saga.stores import CLOCK

    operated(ctx, saga, Pause(now=CLOCK.now(), actor=actor, reason=reason))


@click.command()
@saga_argument
@reason_option
@actor_option
@click.pass_context
def resume(ctx: click.Context, saga: str, reason: str, actor: str) -> None:
    """End a pause: open deadlines move by its length."""
    from saga.core.inputs import Resume
    from saga.stores import CLOCK

    operated(ctx, saga, Resume(now=CLOCK.now(), actor=actor, reason=reason))


@click.command()
@saga_argument
@click.argument("step")
@click.argument("verdict", type=click.Choice(["retry", "applied", "not-applied", "undo"]))
@click.option("--evidence", default="", help="What was looked at and what it showed; needed for (not-)applied.")
@click.option("--reply", help="With applied: the reply later steps read, as JSON, @FILE or -.")
@reason_option
@actor_option
@click.pass_context
def resolve(ctx: click.Context, /, saga: str, step: str, verdict: str, **given: Any) -> None:
    """Move the parked STEP of SAGA: send it again, say whether it happened, or undo it."""
    from saga.core.inputs import Resolve, Verdict
    from saga.stores import CLOCK

    operated(
        ctx,
        saga,
        Resolve(
            now=CLOCK.now(),
            path=step,
            verdict=Verdict(verdict),
            actor=given["actor"],
            reason=given["reason"],
            evidence=given["evidence"],
            reply=None if given["reply"] is None else json_body(given["reply"], "--reply"),
        ),
    )


def operated(ctx: click.Context, saga: str, operation: Any) -> None:
    """Apply an operation and print what it led to."""
    state = asyncio.run(_apply(settings_of(ctx), saga, operation))
    print_json(
        {
            "saga": state.saga,
            "phase": str(state.phase),
            "paused": state.paused_at is not None,
            "parked": list(state.parked),
            "version": state.version,
        }
    )


async def _apply(settings: Any, saga: str, operation: Any) -> Any:
    from saga.cli.reference import saga_id
    from saga.engine.operate import operate
    from saga.stores import CLOCK, open_store

    store = await open_store(settings.store)
    try:
        return await operate(store, CLOCK, await saga_id(store, saga), operation)
    finally:
        await store.close()
