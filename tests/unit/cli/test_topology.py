"""The broker's rights as a file."""

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
