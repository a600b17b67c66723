"""The servers and faults that other tests rely on do what their names say."""

import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import aio_pika
import asyncpg
import pytest
from pamqp.common import FieldTable

from tests.servers import (
    PostgresServer,
    PrivatePostgres,
    PrivateRabbit,
    RabbitServer,
    ServersMissing,
    binaries,
    provide,
    provide_postgres,
    provide_rabbit,
)
from tests.servers.process import descendants, lives

ROOT = Path(__file__).parents[2]
QUORUM: FieldTable = {"x-queue-type": "quorum"}


async def roundtrip(url: str) -> bytes:
    """Publish one message to a quorum queue with a confirm and take it back."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("q", durable=True, arguments=QUORUM)
        await channel.default_exchange.publish(aio_pika.Message(b"there and back"), "q")
        message = await queue.get()
        await message.ack()
        return message.body


async def test_each_test_has_a_database_of_its_own(database: str, postgres: PostgresServer, unique_name: str) -> None:
    """What one test writes no other test sees."""
    other = postgres.create_database(f"{unique_name}_other")
    for dsn in (database, other):
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE only_here ()")
        await connection.close()
    postgres.drop_database(f"{unique_name}_other")


async def test_a_template_is_prepared_once_and_copied(postgres: PostgresServer, unique_name: str) -> None:
    """Migrations run once for a run, not once for a test."""
    prepared = []

    def prepare(dsn: str) -> None:
        prepared.append(dsn)
        PostgresServer(dsn).execute("CREATE TABLE migrated ()")

    template = postgres.template(f"{unique_name}_template", prepare)
    assert postgres.template(template, prepare) == template
    dsn = postgres.create_database(f"{unique_name}_copy", template=template)
    assert PostgresServer(dsn).execute("SELECT count(*) FROM migrated") == "0"
    assert len(prepared) == 1
    postgres.drop_database(f"{unique_name}_copy")


async def test_each_test_has_a_vhost_of_its_own(vhost: str, rabbit: RabbitServer) -> None:
    """Queues of the same name do not meet, and quorum queues work on a single node."""
    other = rabbit.fresh_vhost()
    assert other not in vhost
    assert await roundtrip(vhost) == await roundtrip(rabbit.url_of(other))
    rabbit.release_vhost(other)


async def test_a_killed_postgres_keeps_what_it_committed() -> None:
    """kill -9, a restart and a freeze on a server of our own."""
    with PrivatePostgres() as server:
        assert server.execute("SHOW fsync") == server.execute("SHOW synchronous_commit") == "on"
        server.execute("CREATE TABLE kept ()")
        processes = descendants(server.pid)
        server.kill9()
        assert len(processes) > 1
        assert not any(map(lives, processes)), "one that still dies holds the memory that the next start asks for"
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncpg.connect(server.dsn, timeout=5)
        server.start()
        assert server.execute("SELECT count(*) FROM kept") == "0"
        server.sigstop()
        with pytest.raises(TimeoutError):
            await asyncpg.connect(server.dsn, timeout=0.3)
        server.sigcont()
        server.stop()
        server.start()
        assert server.execute("SELECT count(*) FROM kept") == "0"


async def test_a_private_broker_survives_kill_and_forgets_when_wiped(tmp_path: Path) -> None:
    """A kill -9 keeps confirmed messages; a wipe keeps only the definitions."""
    definitions = tmp_path / "definitions.json"
    definitions.write_text(
        '{"users": [{"name": "engine", "password": "secret", "tags": []}], "vhosts": [{"name": "/"}], "permissions":'
        ' [{"user": "engine", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}]}'
    )
    with PrivateRabbit(definitions=definitions, user="engine:secret") as broker:
        assert await roundtrip(broker.url) == b"there and back"
        broker.kill9()
        broker.start()
        assert broker.ctl("list_queues", "name", "--no-table-headers").split() == ["q"]
        broker.wipe()
        assert broker.ctl("list_queues", "name", "--no-table-headers").split() == []
        assert await roundtrip(broker.url) == b"there and back"


def test_an_expression_has_a_value_or_fails(rabbit: RabbitServer) -> None:
    """By rabbitmqctl, which every broker has, and by what is quicker."""
    for evaluated in (rabbit.eval, partial(RabbitServer.eval, rabbit)):
        assert evaluated("1 + 1.").strip() == "2"
        with pytest.raises(RuntimeError, match="badmatch"):
            evaluated("ok = bad.")


def test_a_killed_run_leaves_no_server_behind() -> None:
    """Whatever ends the run, its servers and their folders go with it."""
    script = (
        "from tests.servers import PrivatePostgres; p = PrivatePostgres(); p.start();"
        "print(p.pid, p.folder, flush=True); import time; time.sleep(60)"
    )
    run = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    with run:
        assert run.stdout is not None
        pid, folder = run.stdout.readline().split()
        run.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while (Path(folder).exists() or lives(int(pid))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(folder).exists()
    assert not lives(int(pid))


def test_addresses_in_the_environment_come_first(
    postgres: PostgresServer, rabbit: RabbitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that was given is used, and what was made there is removed."""
    monkeypatch.setenv("SAGA_TEST_POSTGRES", postgres.dsn)
    monkeypatch.setenv("SAGA_TEST_AMQP", rabbit.url)
    monkeypatch.setattr(provide, "_ctl_for", lambda _url: rabbit.ctl)
    with provide_postgres() as given:
        assert given.dsn == postgres.dsn
    with provide_rabbit() as broker:
        vhost = broker.fresh_vhost()
        assert vhost in rabbit.ctl("list_vhosts")
    assert vhost not in rabbit.ctl("list_vhosts")


def test_without_any_server_the_run_fails_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is skipped: the error carries the command that provides the server."""
    monkeypatch.delenv("SAGA_TEST_POSTGRES", raising=False)
    monkeypatch.delenv("SAGA_TEST_AMQP", raising=False)
    monkeypatch.setattr(provide, "docker_answers", lambda: False)
    monkeypatch.setattr(binaries, "find_folder", lambda *_: None)
    with (
        pytest.raises(ServersMissing, match="apt-get install -y --no-install-recommends postgresql"),
        provide_postgres(),
    ):
        pass
    with (
        pytest.raises(ServersMissing, match="apt-get install -y --no-install-recommends rabbitmq-server"),
        provide_rabbit(),
    ):
        pass


def test_no_two_runs_draw_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two ports one is drawn here and not yet listened on: another process draws the other one."""
    monkeypatch.setattr(binaries, "PORT_MIN", 19_990)
    monkeypatch.setattr(binaries, "PORT_MAX", 19_992)
    here = binaries.free_port()
    draw = "from tests.servers import binaries as b; b.PORT_MIN, b.PORT_MAX = 19_990, 19_992; print(b.free_port())"
    there = subprocess.run([sys.executable, "-c", draw], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {here, int(there.stdout)} == {19_990, 19_991}
