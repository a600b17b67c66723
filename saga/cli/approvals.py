"""`saga approvals`: what people are asked, and their decisions. Who decides here is a recorded claim."""

import asyncio
import sys
from typing import Any

import click
import msgspec

from saga.cli.actor import login, not_blank, reason_option
from saga.cli.failure import CommandFailed
from saga.cli.main import settings_of
from saga.cli.show import output_option, print_json, print_rows

DIGEST_CHARACTERS_MIN = 12
decider_option = click.option(
    "--actor", default=login, callback=not_blank, help="Who decides; recorded [default: this login]."
)
digest_option = click.option("--digest", help="Of what you looked at, at least 12 characters; needed off a terminal.")


@click.group()
def approvals() -> None:
    """What people are asked, and their decisions.

    SAGA is an id or DEFINITION/KEY, PATH that of the approval; below a root also the steps that lead to it, as `list`
    shows them. The roles of people are settings: [approvers] in saga.toml.
    """


@approvals.command("list")
@click.option("--root", help="Only of this saga and the sub-sagas below it.")
@click.option("--name", help="Only of sagas of this definition.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True, help="At most so many.")
@output_option
@click.pass_context
def list_approvals(ctx: click.Context, /, output: str, **options: Any) -> None:
    """List what waits for a decision, longest first."""
    from saga.stores import CLOCK

    found = asyncio.run(_waiting(settings_of(ctx), options))
    if output in ("json", "jsonl"):
        print_rows(output, found, "saga")
        return
    now = CLOCK.now()
    rows: list[dict[str, object]] = [
        {
            "root": each.root,
            "place": each.place,
            "age": _age((now - each.asked_at).total_seconds()),
            "who": " or ".join(each.roles),
            "approvals": f"{len(each.decisions)} of {each.quorum}",
            "summary": each.summary,
            "expires": each.expires_at,
        }
        for each in found
    ]
    print_rows(output, rows, "root")
    if output == "table" and rows:
        click.echo("next: saga approvals show ROOT PLACE", err=True)


@approvals.command()
@click.argument("saga")
@click.argument("path")
@output_option
@click.pass_context
def show(ctx: click.Context, saga: str, path: str, output: str) -> None:
    """Show one: what is to be decided, its digest, who may decide and who has."""
    detail = asyncio.run(_find(settings_of(ctx), saga, path))
    if output in ("json", "jsonl"):
        print_json(detail)
    elif output == "id":
        click.echo(detail.digest)
    else:
        click.echo(_text(detail))
        if detail.state == "open":
            click.echo(f"next: saga approvals approve {saga} {path} --digest {detail.digest[:16]}", err=True)


@approvals.command()
@click.argument("saga")
@click.argument("path")
@click.option("--reason", default="", help="Recorded.")
@click.option("--edit", help="The subject as you want it, as JSON; @FILE reads a file. Only editable fields change.")
@digest_option
@decider_option
@output_option
@click.pass_context
def approve(ctx: click.Context, /, saga: str, path: str, **given: Any) -> None:
    """Approve. On a terminal it shows what is to be approved and asks; elsewhere --digest says what was looked at."""
    from saga.cli.body import json_body

    edited = None if given["edit"] is None else json_body(given["edit"], "--edit")
    _decide(ctx, saga, path, "approve", {**given, "edited": edited})


@approvals.command()
@click.argument("saga")
@click.argument("path")
@reason_option
@digest_option
@decider_option
@output_option
@click.pass_context
def reject(ctx: click.Context, /, saga: str, path: str, **given: Any) -> None:
    """Reject: one rejection ends the request."""
    _decide(ctx, saga, path, "reject", {**given, "edited": None})


def _decide(ctx: click.Context, saga: str, path: str, choice: str, given: dict[str, Any]) -> None:
    settings = settings_of(ctx)
    detail = asyncio.run(_find(settings, saga, path))
    digest = _looked_at(detail, given["digest"], choice, given["output"])
    state = asyncio.run(_apply(settings, detail, digest, choice, given))
    request = state.requests[detail.path]
    answer = {
        "saga": state.saga,
        "path": detail.path,
        "number": request.number,
        "decision": choice,
        "approver": given["actor"],
        "digest": digest,
        "state": "open" if request.closed is None else str(request.closed),
        "approvals": sum(each.choice == "approve" for each in request.decisions),
        "quorum": request.quorum,
    }
    if given["output"] in ("json", "jsonl"):
        print_json(answer)
    elif given["output"] == "id":
        click.echo(state.saga)
    else:
        missing = request.quorum - int(str(answer["approvals"]))
        more = f"; {missing} more to approve" if request.closed is None else ""
        click.echo(f"{choice} of {detail.place} by {given['actor']} is recorded: {answer['state']}{more}")


def _looked_at(detail: Any, given: str | None, choice: str, output: str) -> str:
    """The whole digest of what was looked at. Raises CommandFailed off a terminal without one, Abort for a no."""
    if given is not None:
        if len(given) < DIGEST_CHARACTERS_MIN:
            raise click.BadParameter(f"at least {DIGEST_CHARACTERS_MIN} characters of it", param_hint="--digest")
        return str(detail.digest) if detail.digest.startswith(given) else given.ljust(64, "0")
    if output != "table" or not sys.stdin.isatty():
        raise CommandFailed(
            "SAGA-1014", "a decision is about what was looked at. Fix: --digest, as `approvals show` has it"
        )
    click.echo(_text(detail), err=True)
    click.confirm(f"{choice.capitalize()} this?", abort=True, err=True)
    return str(detail.digest)


async def _waiting(settings: Any, options: dict[str, Any]) -> Any:
    from saga.cli.reference import saga_id
    from saga.client.reading import Approvals
    from saga.stores import open_store

    store = await open_store(settings.store)
    try:
        root = None if options["root"] is None else await saga_id(store, options["root"])
        return await Approvals(store).waiting(root=root, name=options["name"], limit=options["limit"])
    finally:
        await store.close()


async def _find(settings: Any, saga: str, path: str) -> Any:
    from saga.cli.reference import saga_id
    from saga.client.reading import Approvals
    from saga.engine.operate import NoSuchSaga
    from saga.ports import SagaFilter
    from saga.stores import open_store

    store = await open_store(settings.store)
    try:
        found = await saga_id(store, saga)
        if not await store.sagas(SagaFilter(ids=(found,), limit=1)):
            raise NoSuchSaga(f"there is no saga {saga} in this store. Fix: saga list")
        detail = await Approvals(store).find(found, path)
    finally:
        await store.close()
    if detail is None:
        text = f"nothing was asked at {path!r} of saga {saga}. Fix: saga approvals list --root {saga}"
        raise CommandFailed("unknown-approval", text)
    return detail


async def _apply(settings: Any, detail: Any, digest: str, choice: str, given: dict[str, Any]) -> Any:
    from saga.bootstrap.orchestrators import trust_of
    from saga.core.inputs import DecisionGiven
    from saga.core.messages import Choice
    from saga.engine.operate import operate
    from saga.stores import CLOCK, IDS, open_store

    decision = DecisionGiven(
        now=CLOCK.now(),
        path=detail.path,
        number=detail.number,
        choice=Choice(choice),
        approver=given["actor"],
        by="operator",
        roles=trust_of(settings).roles_of(given["actor"]),
        request=IDS.message(),
        digest=digest,
        reason=given["reason"],
        edited=given["edited"],
    )
    store = await open_store(settings.store)
    try:
        return await operate(store, CLOCK, detail.saga, decision)
    finally:
        await store.close()


def _text(detail: Any) -> str:
    """For a person, the subject last."""
    lines = [
        f"{detail.place} of {detail.name} {detail.key}  (saga {detail.saga}, request {detail.number}: {detail.state})",
        f"who may decide: {' or '.join(detail.roles)}; {detail.quorum} to approve",
    ]
    lines += [f"about: {detail.summary}"] if detail.summary else []
    lines += [f"not: {detail.requester}, who asked"] if detail.requester else []
    lines += [f"until: {detail.expires_at.isoformat(sep=' ', timespec='seconds')}"] if detail.expires_at else []
    for each in detail.decisions:
        reason = f": {each.reason}" if each.reason else ""
        lines.append(f"{each.at.isoformat(sep=' ', timespec='seconds')}  {each.approver} said {each.decision}{reason}")
    lines += [f"may be changed: {', '.join(detail.editable)}"] if detail.editable else []
    subject = msgspec.json.format(bytes(detail.subject), indent=2).decode()
    return "\n".join([*lines, f"digest: {detail.digest}", f"{detail.subject_type}:", subject])


def _age(seconds: float) -> str:
    """How long it waits, in the largest unit that fits."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
