"""`saga signal`."""

import asyncio
from datetime import timedelta
from typing import Any

import click

from saga.cli.body import json_body
from saga.cli.failure import CommandFailed
from saga.cli.lengths import SECONDS
from saga.cli.main import settings_of
from saga.cli.sagas import ANSWERS_KEPT
from saga.cli.show import print_json


@click.command()
@click.argument("saga")
@click.argument("name")
@click.option("--data", default="null", help="The body as JSON; @FILE reads a file, - reads stdin.")
@click.option("--id", "message_id", help="The same signal under the same id counts once [default: a new id].")
@click.option("--timeout", type=SECONDS, default=30.0, show_default=True, help="Seconds to wait for the answer.")
@click.pass_context
def signal(ctx: click.Context, /, saga: str, name: str, data: str, **options: Any) -> None:
    """Tell SAGA (its id, or DEFINITION/KEY) the signal NAME, over the broker.

    It is kept until a wait takes it. Exit code 3 for what nobody waits for, 4 when it does not count.
    """
    body = json_body(data)
    try:
        print_json(asyncio.run(_signal(settings_of(ctx), saga, name, body, options)))
    except TimeoutError as error:
        raise CommandFailed("SAGA-3005", f"{error}; with --id it counts once") from None


async def _signal(settings: Any, saga: str, name: str, body: bytes, options: dict[str, Any]) -> dict[str, object]:
    from saga.bootstrap.brokers import open_bus
    from saga.client import Client
    from saga.stores import IDS

    definition, to = await _addressed(settings, saga)
    message_id = options["message_id"] or IDS.message()
    bus = await open_bus(settings.amqp, name="saga signal")
    client = Client(bus, IDS, name=f"cli-{IDS.message()[:8]}", answers_kept=ANSWERS_KEPT)
    try:
        within = timedelta(seconds=options["timeout"])
        await client.signal(definition, name, body, message_id=message_id, within=within, **to)
    finally:
        await client.close()
        await bus.close()
    return {"saga": saga, "signal": name, "id": message_id, "accepted": True}


async def _addressed(settings: Any, saga: str) -> tuple[str, Any]:
    """The definition, which is the routing key, and the id or key. A key needs no look into the store."""
    from saga.core.rows import is_saga_id
    from saga.engine.operate import NoSuchSaga
    from saga.ports import SagaFilter
    from saga.stores import open_store

    if not is_saga_id(saga):
        name, slash, key = saga.partition("/")
        if not slash:
            raise NoSuchSaga(f"{saga!r} names no saga. Fix: its id, or DEFINITION/KEY as in order/o-1; see saga list")
        return name, {"key": key}
    store = await open_store(settings.store)
    try:
        rows = await store.sagas(SagaFilter(ids=(saga,)))
    finally:
        await store.close()
    if not rows:
        raise NoSuchSaga(f"there is no saga {saga} in this store. Fix: saga list")
    return rows[0].name, {"saga": saga}
