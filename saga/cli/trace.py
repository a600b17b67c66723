"""`saga trace`: a saga's trace, made from its history whenever it is wanted."""

import asyncio
from pathlib import Path
from typing import Any

import click

from saga.cli.main import settings_of

FORMATS = ("otlp-json", "otlp", "jaeger")


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
    remote = target.startswith(("http://", "https://"))
    if remote and form is not None:
        raise click.UsageError("--format is for files; a backend is sent OTLP. Fix: leave one of them out")
    asyncio.run(_export(settings, saga, target, None if remote else form or FORMATS[0]))


async def _export(settings: Any, saga: str, target: str, form: str | None) -> None:
    spans = await _spans(settings, saga)
    if form is None:
        await _send(settings, spans, target)
        click.echo(f"{len(spans)} spans sent to {target}", err=True)
        return
    data = _encoded(spans, form)
    if target == "-":
        click.echo(data, nl=False)
        return
    _write(Path(target), data)
    click.echo(f"{len(spans)} spans in {target}", err=True)


async def _spans(settings: Any, saga: str) -> Any:
    from saga.cli.reference import saga_id
    from saga.engine.operate import NoSuchSaga
    from saga.engine.retrace import whole_trace
    from saga.stores import CLOCK, open_store

    store = await open_store(settings.store)
    try:
        spans = await whole_trace(store, CLOCK, await saga_id(store, saga), texts=settings.trace_texts)
    finally:
        await store.close()
    if spans is None:
        raise NoSuchSaga(f"there is no saga {saga} in this store. Fix: saga list")
    return spans


def _encoded(spans: Any, form: str) -> bytes:
    from saga.adapters.telemetry.files import jaeger_json, otlp_json
    from saga.adapters.telemetry.otlp import request

    if form == "otlp":
        return request(spans)
    return jaeger_json(spans) if form == "jaeger" else otlp_json(spans)


async def _send(settings: Any, spans: Any, url: str) -> None:
    from saga.bootstrap import trace_backend

    backend = trace_backend(settings, url)
    try:
        await backend.export(spans)
    finally:
        await backend.close()


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror}. Fix: name another --to") from None


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
    spans = asyncio.run(_spans(settings, saga))
    click.echo(settings.trace_url.replace("{trace}", spans[0].trace))
