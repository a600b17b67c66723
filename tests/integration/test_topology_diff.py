"""`saga topology diff` against a broker with its management API: what is not as wanted, one thing at a time."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from saga.core.definitions_file import definitions_file, password_hash
from saga.core.topology import User, caller, deploy, orchestrator, participant, wanted_topology
from tests.servers import PrivateRabbit
from tests.servers.binaries import free_port

ROOT = Path(__file__).parents[2]
SERVICES = ("payments", "shipping")
ADMIN = User("admin", ".*", ".*", ".*", tags=("administrator",))
VIEWER = User("viewer", read="^none$", tags=("management",))
USERS = [orchestrator(), deploy(), *map(participant, SERVICES), caller("shop", controls=("cancel",))]
ASKED = ["--service", "payments", "--service", "shipping", "--caller", "shop"]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRabbit]:
    """A broker that loaded the exported definitions, and users to look with."""
    hashes = {user.name: password_hash("pw", b"salt") for user in (*USERS, ADMIN, VIEWER)}
    topology = wanted_topology(SERVICES, [*USERS, ADMIN, VIEWER])
    definitions = tmp_path_factory.mktemp("broker") / "definitions.json"
    definitions.write_bytes(definitions_file(topology, vhost="/", password_hashes=hashes))
    port = free_port()
    store = f"sqlite:///{definitions.parent / 'store'}"  # what a caller may start: nothing is published
    migrate = [sys.executable, "-m", "saga.cli", "--store", store, "db", "migrate"]
    subprocess.run(migrate, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=60)
    config = f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {port}"
    with PrivateRabbit(definitions=definitions, user="admin:pw", config=config) as broker:
        plugins = broker.folder / "enabled_plugins"
        plugins.write_text("[rabbitmq_management].\n")
        broker.eval(f'rabbit:await_startup(), rabbit_plugins:ensure("{plugins}").')
        broker.definitions = definitions  # type: ignore[attr-defined]  # to go back to
        broker.store = store  # type: ignore[attr-defined]  # what the command asks
        broker.api = f"http://127.0.0.1:{port}"  # type: ignore[attr-defined]  # where this one's plugin listens
        yield broker


class Done(msgspec.Struct):
    """What the command left behind."""

    code: int
    out: str
    err: str

    @property
    def found(self) -> dict[str, str]:
        """Detail by kind and thing."""
        return {f"{one['kind']}: {one['what']}": one["detail"] for one in msgspec.json.decode(self.out)}


async def diff(broker: PrivateRabbit, *arguments: str, user: str = "admin:pw", vhost: str = "%2F", **env: str) -> Done:
    """The command as a process of its own."""
    place = urlsplit(broker.url).netloc.rpartition("@")[2]
    command = [sys.executable, "-m", "saga.cli", "--amqp", f"amqp://{user}@{place}/{vhost}", "topology", "diff"]

    def typed() -> Done:
        ours = {"SAGA_AMQP_MANAGEMENT": broker.api, "SAGA_STORE": broker.store}  # type: ignore[attr-defined]  # set above
        given = {**os.environ, "PYTHONPATH": str(ROOT), **ours, **env}
        done = subprocess.run(
            [*command, *ASKED, *arguments], env=given, capture_output=True, text=True, timeout=60, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return await asyncio.to_thread(typed)


async def test_an_administrator_beside_it_is_the_only_difference(broker: PrivateRabbit) -> None:
    """What was exported and loaded is as wanted; whoever may do more is named. Left out, nothing is."""
    done = await diff(broker, "-o", "json")
    assert (done.code, list(done.found)) == (1, ["extra: user admin"]), done
    assert done.found["extra: user admin"] == "may configure .*, write .*, read .*"
    for user in ("admin:pw", "viewer:pw"):
        same = await diff(broker, "-o", "json", "--no-users", user=user)
        assert (same.code, same.out.strip(), same.err) == (0, "[]", ""), same
    assert (await diff(broker, "--no-users")).out == "as wanted\n"


BOUND = (
    'X = rabbit_misc:r(<<"/">>, exchange, <<"saga.commands">>),'
    'Q = rabbit_misc:r(<<"/">>, queue, <<"saga.commands.shipping">>),'
    'rabbit_binding:{verb}({{binding, X, <<"payments.#">>, Q, []}}, <<"test">>).'
)


@pytest.fixture
async def changed(broker: PrivateRabbit) -> AsyncIterator[None]:
    """Somebody went over it by hand."""

    def change() -> None:
        ctl = broker.ctl
        ctl("delete_queue", "saga.commands.payments")
        ctl("set_policy", "saga-kept", "^saga\\.(parking|dead)$", '{"delivery-limit":5}', "--apply-to", "queues")
        ctl("set_policy", "mine", "^saga", '{"max-length":5}', "--priority", "9", "--apply-to", "queues")
        ctl("set_permissions", "payments", "^$", ".*", "^saga\\.commands\\.payments$")
        ctl("clear_topic_permissions", "shipping")
        ctl("clear_permissions", "shop")
        broker.eval(BOUND.format(verb="add"))

    def restore() -> None:
        broker.ctl("clear_policy", "mine")
        broker.eval(BOUND.format(verb="remove"))
        broker.ctl("import_definitions", str(broker.definitions))  # type: ignore[attr-defined]  # set at its start

    await asyncio.to_thread(change)
    yield
    await asyncio.to_thread(restore)


@pytest.mark.usefixtures("changed")
async def test_each_change_is_told(broker: PrivateRabbit) -> None:
    """Missing, different, extra: queues, bindings, policies, rights and topic rights."""
    done = await diff(broker, "-o", "json")
    assert done.code == 1, done
    assert done.found.keys() == {
        "missing: queue saga.commands.payments",
        "missing: binding saga.commands -> saga.commands.payments under 'payments.#'",
        "extra: binding saga.commands -> saga.commands.shipping under 'payments.#'",
        "differs: policy saga-kept",
        "extra: policy mine",
        "differs: user payments",
        "differs: user shipping",
        "missing: user shop",
        "extra: user admin",
    }
    assert done.found["differs: policy saga-kept"] == (
        'definition: wanted {"delivery-limit":100000}, is {"delivery-limit":5}'
    )
    assert done.found["differs: user payments"].endswith(", is .*")
    assert done.found["differs: user shipping"].endswith(", is nothing")
    people = await diff(broker)
    assert "differs  policy saga-kept\n         definition: wanted" in people.out
    assert "9 things are not as wanted" in people.err
    assert "Fix" not in people.err
    assert "saga topology apply" in people.err


@pytest.mark.parametrize(
    ("arguments", "given", "code", "said"),
    [
        ([], {"user": "admin:wrong"}, 5, "401"),
        ([], {"user": "viewer:pw"}, 5, "--no-users"),
        (["--no-users"], {"vhost": "nowhere"}, 6, "404"),
        ([], {"user": "shop:pw"}, 5, "set_user_tags shop management"),
        ([], {"vhost": "nowhere"}, 6, "404"),
        (["--management", "http://127.0.0.1:1"], {}, 6, "rabbitmq-plugins enable rabbitmq_management"),
        (["--management", "127.0.0.1:1"], {}, 6, "http://user:password@host:15672"),
    ],
)
async def test_what_cannot_be_asked_is_refused_clearly(
    broker: PrivateRabbit, arguments: list[str], given: dict[str, Any], code: int, said: str
) -> None:
    """Wrong login, too few rights, no such vhost, the plugin off: which it was, and what to do."""
    done = await diff(broker, *arguments, **given)
    assert (done.code, said in done.err) == (code, True), done
    assert "Traceback" not in done.err
    assert ":wrong" not in done.err


@pytest.mark.usefixtures("changed")
async def test_the_doctor_sees_bindings_too(broker: PrivateRabbit, tmp_path: Path) -> None:
    """Where the management API is on; a queue that is missing is said once."""
    place = urlsplit(broker.url).netloc.rpartition("@")[2]
    command = [sys.executable, "-m", "saga.cli", "--amqp", f"amqp://admin:pw@{place}/%2F"]
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SAGA_AMQP_MANAGEMENT": broker.api,  # type: ignore[attr-defined]  # set above
        "SAGA_STORE": f"sqlite:///{tmp_path / 'store'}",
    }

    def typed() -> subprocess.CompletedProcess[bytes]:
        subprocess.run([*command, "db", "migrate"], env=env, check=True, timeout=60)
        publish = ["definitions", "publish", "services.ordering.definitions"]
        subprocess.run([*command, *publish], env=env, check=True, timeout=60)
        return subprocess.run([*command, "doctor", "-o", "json"], env=env, capture_output=True, timeout=60, check=False)

    done = await asyncio.to_thread(typed)
    assert done.returncode == 1, done.stderr
    what = [one["what"] for one in msgspec.json.decode(done.stdout) if one["area"] == "broker"]
    assert any(one.startswith("the service payments has no queue") for one in what)
    assert any(one.startswith("nobody serves shipping") for one in what)
    assert any(
        "extra: binding saga.commands -> saga.commands.shipping under 'payments.#', policy mine" in one for one in what
    )
    assert not any("binding saga.commands -> saga.commands.payments" in one for one in what)
