"""The broker's rights as a file."""

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Type


@pytest.mark.usefixtures("started")
def test_callers_and_gateways_get_what_they_need_and_no_more(saga: Type) -> None:
    """Callers start, signal and cancel what is published; gateways decide as well; nobody else is called `saga`."""
    done = saga("topology", "export", "--caller", "shop", "--gateway", "desk")
    assert done.code == 0, done
    written = {
        (right["user"], right["exchange"]): right["write"]
        for right in done.json()["topic_permissions"]
        if right["user"] in {"shop", "desk"}
    }
    for user in ("shop", "desk"):
        assert written[user, "saga.start"] == written[user, "saga.signals"] == "^(order|pivotal)$"
    assert (written["shop", "saga.control"], written["desk", "saga.control"]) == ("^(cancel)$", "^(cancel|decide)$")
    assert "saga" not in {user["name"] for user in done.json()["users"]}
    assert "saga.commands.saga" in {queue["name"] for queue in done.json()["queues"]}


@pytest.mark.usefixtures("started")
def test_a_caller_may_start_what_is_published_whatever_services_are_named(saga: Type) -> None:
    """Which services there are says nothing of what a caller may do; without callers the store is not asked."""
    done = saga("topology", "export", "--service", "courier", "--caller", "shop")
    assert done.code == 0, done
    started = {
        right["exchange"]: right["write"] for right in done.json()["topic_permissions"] if right["user"] == "shop"
    }
    assert started["saga.start"] == started["saga.signals"] == "^(order|pivotal)$"
    assert {"saga.commands.courier"} == {
        queue["name"] for queue in done.json()["queues"] if queue["name"].startswith("saga.commands.")
    } - {"saga.commands.saga"}
    alone = saga("--store", "postgres://127.0.0.1:1/away", "topology", "export", "--service", "courier")
    assert alone.code == 0, alone


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("orchestrator", "not USER:PASSWORD"),
        ("orchestrator:", "not USER:PASSWORD"),
        (":geheim", "not USER:PASSWORD"),
        ("orchestrator:geheim ", "blank"),
        ("orchestrator: geheim", "blank"),
        ("deploy:geheim", "already"),
    ],
)
def test_a_password_nobody_meant_is_refused(saga: Type, tmp_path: Path, line: str, said: str) -> None:
    """A line without a colon is not the empty password; the line is named and what is in it is not shown."""
    (tmp_path / "passwords").write_text(f"deploy:old\n\n{line}\n")
    done = saga("topology", "export", "--passwords", "passwords")
    assert (done.code, done.out) == (2, "")
    assert "passwords, line 3: " in done.err
    assert said in done.err
    assert "geheim" not in done.err


@pytest.mark.usefixtures("started")
def test_whose_password_is_missing_or_too_many_is_said(saga: Type, tmp_path: Path) -> None:
    """A certificate may be meant, and a file may serve several brokers: the export goes on, and says who it is."""
    (tmp_path / "passwords").write_text("deploy:a b\nreserve-service:b\nbook-service:c\nchrage-service:d\n")
    done = saga("topology", "export", "--passwords", "passwords", "--caller", "shop")
    assert done.code == 0, done
    hashes = {user["name"]: user["password_hash"] for user in done.json()["users"]}
    assert {name for name, hashed in hashes.items() if hashed} >= {"deploy", "reserve-service", "book-service"}
    assert "nobody here is called chrage-service" in done.err
    [missing] = [line for line in done.err.splitlines() if "certificate" in line]
    assert "orchestrator" in missing
    assert "shop" in missing
    assert "deploy" not in missing


@pytest.mark.parametrize("command", ["plan", "apply", "diff"])
@pytest.mark.parametrize("url", ["http://a:geheim@h", "amqp:///v", "amqp://a:geheim@h:notaport/", "dev:///nowhere"])
def test_an_address_that_can_never_work_is_no_outage(saga: Type, command: str, url: str) -> None:
    """As everywhere: the fix is in what was typed, and no later time will do."""
    done = saga("--amqp", url, "topology", command, "--service", "courier")
    assert done.code == 2, done
    assert "SAGA-1004" in done.err
    assert "amqp://user:password@host" in done.err
    assert "geheim" not in done.err
