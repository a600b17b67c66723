"""`saga trace`: a saga's trace, made from its history whenever it is wanted."""

import asyncio
import re
from pathlib import Path
from typing import Any

import click

from saga.cli.failure import CommandFailed
from saga.cli.main import settings_of

FORMATS = ("otlp-json", "otlp", "jaeger")
PLACE = "{trace}"
"""Where the id stands in `trace_url`."""
ADDRESS = re.compile(r"[\w.-]+:\d{1,5}")


@click.group()
def trace() -> None:
    """The trace of a saga, from its history: also when no backend ever heard of it, or has forgotten it."""


@trace.command()
@click.argument("saga")
@click.option("--to", "target", default="-", help="A file, or http://host:port of an OTLP backend [default: stdout].")
@click.option("--format", "form", type=click.Choice(FORMATS), help="Of a file: otlp-json (default), otlp, jaeger.")
@click.pass_context
def export(ctx: click.Context, saga: str, target: str, form: str | None) -> None:
    """Rebuild the trace of SAGA: the same bytes whenever it is done, for what had happened by then.

    The form `jaeger` is what Jaeger's search page takes as an upload. A backend gets the ids it got before.
    """
    settings = settings_of(ctx)
    remote = _is_backend(target)
    if remote and form is not None:
        raise click.UsageError("--format is for files; a backend is sent OTLP. Fix: leave one of them out")
    asyncio.run(_export(settings, saga, target, None if remote else form or FORMATS[0]))


def _is_backend(target: str) -> bool:
    """Whether it is no file. Raises UsageError for what looks like a backend and is none that we can speak to."""
    from saga.settings import masked

    if target.startswith(("http://", "https://")):
        return True
    if not target:
        raise click.UsageError("--to is empty. Fix: a file, or http://host:port of an OTLP backend")
    if "://" in target or ADDRESS.fullmatch(target):
        raise click.UsageError(
            f"--to {masked(target)} is no file, and spans go over HTTP. "
            "Fix: http://host:port, usually port 4318; for a file of that name put ./ before it"
        )
    return False


async def _export(settings: Any, saga: str, target: str, form: str | None) -> None:
    from saga.settings import masked

    spans = await _spans(settings, saga)
    if form is None:
        await _send(settings, spans, target)
        click.echo(f"{len(spans)} spans sent to {masked(target)}", err=True)
        return
    data = _encoded(spans, form)
    if target == "-":
        click.echo(data, nl=False)
        return
    _write(Path(target), data)
    click.echo(f"{len(spans)} spans in {target}", err=True)


async def _spans(settings: Any, saga: str) -> Any:
    from saga.cli.reference import saga_id
    from saga.engine.retrace import whole_trace
    from saga.stores import CLOCK, open_store

    store = await open_store(settings.store)
    try:
        spans = await whole_trace(store, CLOCK, await saga_id(store, saga), texts=settings.trace_texts)
    finally:
        await store.close()
    if spans is None:
        raise _unknown(saga)
    return spans


def _unknown(saga: str) -> Exception:
    from saga.engine.operate import NoSuchSaga

    return NoSuchSaga(f"there is no saga {saga} in this store. Fix: saga list --all")


def _encoded(spans: Any, form: str) -> bytes:
    from saga.adapters.telemetry.files import jaeger_json, otlp_json
    from saga.adapters.telemetry.otlp import request

    if form == "otlp":
        return request(spans)
    return jaeger_json(spans) if form == "jaeger" else otlp_json(spans)


async def _send(settings: Any, spans: Any, url: str) -> None:
    from saga.bootstrap.telemetry import trace_backend
    from saga.settings import masked

    backend = trace_backend(settings, url)
    try:
        await backend.export(spans)
    finally:
        await backend.close()
    if backend.rejected:
        raise CommandFailed("SAGA-4016", f"{masked(url)} did not take {backend.rejected} of {len(spans)} spans")


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise CommandFailed(
            "SAGA-1005", f"{path} cannot be written: {error.strerror}. Fix: name another --to"
        ) from None


@trace.command()
@click.argument("saga")
@click.pass_context
def url(ctx: click.Context, saga: str) -> None:
    """Print where SAGA is to be seen in your tracing backend, from the setting trace_url."""
    from saga.settings import SettingsError

    settings = settings_of(ctx)
    if not settings.trace_url:
        raise SettingsError(
            "trace_url is not set, so nobody knows where traces are shown. "
            'Fix: trace_url = "http://jaeger:16686/trace/{trace}" in saga.toml, or SAGA_TRACE_URL'
        )
    if PLACE not in settings.trace_url:
        raise SettingsError(
            f"trace_url has no {PLACE} in it, so every saga would have the same link. "
            'Fix: trace_url = "http://jaeger:16686/trace/{trace}" in saga.toml, or SAGA_TRACE_URL'
        )
    click.echo(settings.trace_url.replace(PLACE, asyncio.run(_trace(settings, saga))))


async def _trace(settings: Any, saga: str) -> str:
    """That of the root, whichever of its sagas is named."""
    from saga.cli.reference import saga_id
    from saga.core.identity import trace_id
    from saga.ports import SagaFilter
    from saga.stores import open_store

    store = await open_store(settings.store)
    try:
        found = await store.sagas(SagaFilter(ids=(await saga_id(store, saga),)))
    finally:
        await store.close()
    if not found:
        raise _unknown(saga)
    return trace_id(found[0].root)
