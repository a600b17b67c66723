"""The tutorial, followed from its first line to its last."""

import shlex
from pathlib import Path

import pytest

from tests.acceptance.walkthrough import Walkthrough
from tests.servers import PostgresServer, PrivateRabbit

PAGE = "docs/tutorial.md"
DATABASES = ("saga", "theatre", "bank")
CONTROL = "rabbitmqctl"


@pytest.mark.timeout(240)
def test_the_tutorial_works_as_printed(tmp_path: Path, postgres: PostgresServer, unique_name: str) -> None:
    """Files, commands and what they show: on one process, after kill -9, and on real servers. Only Docker is left."""
    names = {name: f"{unique_name}_{name}" for name in DATABASES}
    for name in names.values():
        postgres.create_database(name)
    addresses = {f"postgres://postgres:saga@127.0.0.1:5432/{name}": postgres.dsn_of(names[name]) for name in DATABASES}
    with PrivateRabbit() as rabbit:
        addresses["127.0.0.1:5672"] = f"{rabbit.host}:{rabbit.port}"
        with Walkthrough(tmp_path, addresses) as reader:
            _control(reader.folder / "commands" / CONTROL, rabbit)
            reader.follow(PAGE)
            reader.end()
    assert [block.split(" ", 1)[0] for block in reader.skipped] == ["docker"]
    for name in names.values():
        postgres.drop_database(name)


def _control(script: Path, rabbit: PrivateRabbit) -> None:
    """The broker's own tool, for the broker that runs here."""
    own = {
        name: value for name, value in rabbit._env.items() if name == "HOME" or name.startswith(("RABBITMQ_", "ERL_"))
    }
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in own.items())
    script.write_text(f'#!/bin/sh\n{exports}exec "{rabbit.binaries / CONTROL}" "$@"\n')
    script.chmod(0o755)
