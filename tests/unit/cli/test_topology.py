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
