"""Every documented exit code, by a real `saga` process."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from saga.core.codes import Exit
from tests.integration.orders_place import Place
from tests.integration.test_cli_real import saga

NOBODY = "01930000-0000-7000-8000-00000000ffff"
NO_SERVER = "127.0.0.1:1"


def order(key: str) -> tuple[str, ...]:
    """The command that starts one."""
    return ("start", "order", "--data", f'{{"id":"{key}"}}')


ORDER = order("o1")


@pytest.fixture
async def place(database: str, vhost: str) -> Place:
    """A migrated store and a declared broker, nobody at work."""
    place = Place(database, vhost)
    await place.prepare()
    return place


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("list",), Exit.OK),
        (("errors",), Exit.OK),
        (("--store", "sqlite:///{folder}/new.db", "db", "status"), Exit.FAILED),
        (("list", "--limit", "many"), Exit.USAGE),
        (("--store", "oracle://h/d", "list"), Exit.USAGE),
        (("--profile", "nowhere", "list"), Exit.USAGE),
        (("show", NOBODY), Exit.NOT_FOUND),
        (("history", "order/nobody"), Exit.NOT_FOUND),
        (("cancel", NOBODY, "--reason", "r"), Exit.NOT_FOUND),
        (("parked", "show", "7"), Exit.NOT_FOUND),
        (("errors", "SAGA-0000"), Exit.NOT_FOUND),
        (("--store", "sqlite:///{folder}/new.db", "list"), Exit.CONFLICT),
        (("--amqp", "amqp://guest:wrong@{broker}", *ORDER), Exit.AUTH),
        (("--amqp", f"amqp://{NO_SERVER}/", *ORDER), Exit.UNREACHABLE),
        (("--store", f"postgres://{NO_SERVER}/saga", "list"), Exit.UNREACHABLE),
        ((*ORDER, "--timeout", "0.5"), Exit.TIMEOUT),
    ],
)
async def test_each_code(place: Place, tmp_path: Path, arguments: Sequence[str], code: Exit) -> None:
    """What it says is in docs/reference/exit-codes.md; an error has a code of its own besides."""
    places = {"{folder}": str(tmp_path), "{broker}": place.amqp.partition("@")[2]}
    typed = list(arguments)
    for name, value in places.items():
        typed = [each.replace(name, value) for each in typed]
    ended, _, err = await saga(place, *typed)
    assert ended == code, err
    assert err.startswith("SAGA-") == (code is not Exit.OK)


async def test_how_a_saga_ended(place: Place) -> None:
    """0 completed, 7 compensated, 8 abandoned: of `saga start --wait`. What has ended cannot be cancelled: 4."""
    async with place.orchestrating():
        async with place.serving():
            assert (await saga(place, *ORDER, "--wait"))[0] == Exit.OK
        assert (await saga(place, "cancel", "order/o1", "--reason", "r"))[0] == Exit.CONFLICT
        await abandoned_or_cancelled(place, "abandon", "--yes")
        assert (await saga(place, *order("abandon"), "--wait"))[0] == Exit.ABANDONED
        await abandoned_or_cancelled(place, "cancel")
        async with place.serving():
            assert (await saga(place, *order("cancel"), "--wait"))[0] == Exit.COMPENSATED


async def abandoned_or_cancelled(place: Place, verb: str, *more: str) -> None:
    """A saga of the verb's name that an operator ended, or is about to."""
    assert (await saga(place, *order(verb)))[0] == Exit.OK
    assert (await saga(place, verb, f"order/{verb}", "--reason", "r", *more))[0] == Exit.OK
