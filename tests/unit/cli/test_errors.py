"""How errors leave: one message, a stable exit code, never a traceback, never a password."""

import pytest

from saga.cli.main import COMMANDS
from tests.unit.cli.conftest import Type


def test_help_names_every_command(saga: Type) -> None:
    """Without importing any of them."""
    done = saga("--help")
    assert done.code == 0
    for name in COMMANDS:
        assert f"  {name} " in done.out


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(saga: Type, name: str) -> None:
    """`--help` works for each."""
    done = saga(name, "--help")
    assert done.code == 0
    assert "Usage: saga" in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--store", "mysql://a:geheim@h/d", "list"], 2, "store 'mysql://a:***@h/d' is not known"),
        (["--amqp", "http://a:geheim@h", "start", "order"], 2, "amqp://user:password@host:port/vhost"),
        (["--amqp", "amqp://a:geheim@127.0.0.1:1/", "start", "order"], 6, "127.0.0.1:1"),
        (["--store", "postgres://a:geheim@127.0.0.1:1/d", "list"], 6, "postgres"),
        (["start", "order", "--data", "@missing.json"], 2, "missing.json cannot be read"),
        (["list", "--tag", "country"], 2, "'country' is no name=value"),
        (["list", "--limit", "0"], 2, "--limit"),
        (["list", "--before", "junk"], 2, "'junk' is no saga id"),
        (["--store", "postgres://a:geheim@h:port/d", "list"], 2, "SAGA-1004"),
        (["--store", "postgres://a:geheim@h/d?sslmode=maybe", "db", "migrate"], 2, "sslmode"),
        (["--amqp", "amqp://a:geheim@h:port/", "start", "order"], 2, "amqp://user:password@host"),
        (["--amqp", "dev:///nowhere", "start", "order"], 6, "saga dev --state /nowhere"),
        (["topology", "export", "--service", "a.b"], 2, "a name without dots"),
        (["topology", "export", "--service", "a", "--passwords", "/dev/null/x"], 2, "--passwords"),
        (["abandon", "order/o1", "--reason", "r"], 2, "--yes"),
        (["errors", "SAGA-0000"], 3, "saga errors"),
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["--config", "nowhere.toml", "list"], 2, "there is no nowhere.toml"),
        (["--profile", "staging", "list"], 2, "saga.toml"),
        (["explain", "nowhere.module"], 2, "nowhere.module"),
        (["explain", "json"], 2, "holds no definition"),
        (["run", "--health", "nonsense"], 1, "--health nonsense"),
        (["run", "--processes", "0"], 2, "--processes"),
    ],
)
def test_what_went_wrong_and_what_to_do(saga: Type, arguments: list[str], code: int, said: str) -> None:
    """One message with place, reason and fix."""
    done = saga(*arguments)
    assert done.code == code, done
    assert said in done.err
    assert "Traceback" not in done.err
    assert "geheim" not in done.err


def test_settings_are_explained(saga: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with its source, passwords masked."""
    monkeypatch.setenv("SAGA_AMQP", "amqp://shop:geheim@broker/")
    done = saga("--log-level", "debug", "config", "explain", "-o", "json")
    found = {row["name"]: (row["value"], row["source"]) for row in done.json()}
    assert found["amqp"] == ("amqp://shop:***@broker/", "environment")
    assert found["log_level"] == ("debug", "flag")
    assert found["processes"] == ("1", "default")
    assert "geheim" not in done.out
