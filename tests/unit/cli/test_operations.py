"""What operators say is recorded: it says something, it is JSON, and somebody said it."""

import os
import pwd

import pytest

from tests.unit.cli.conftest import Type


@pytest.mark.parametrize("blank", [("--reason", ""), ("--reason", "r", "--actor", " ")])
def test_nothing_blank_is_recorded(saga: Type, started: str, blank: tuple[str, ...]) -> None:
    """An operator who is asked why later has to find an answer."""
    done = saga("pause", started, *blank)
    assert done.code == 2
    assert "is recorded and may not be blank" in done.err
    assert saga("show", started, "-o", "json").json()["status"] == "running"


@pytest.mark.parametrize("reply", ['{"id":"a\\u0000b"}', "{", "@nowhere.json"])
def test_a_reply_that_no_service_would_send_is_refused(saga: Type, started: str, reply: str) -> None:
    """What is recorded here later steps pass on: the wire would refuse it there, and no retry could help."""
    about = ("--evidence", "looked", "--reason", "r")
    done = saga("resolve", started, "reserve", "applied", "--reply", reply, *about)
    assert done.code == 2
    assert done.err.startswith(("SAGA-1005", "SAGA-1006"))


def test_a_login_without_a_name_is_its_number(saga: Type, started: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under any number."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)

    def nobody(uid: int) -> pwd.struct_passwd:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert saga("pause", started, "--reason", "r").code == 0
    assert f"uid-{os.getuid()}" in saga("history", started, "-o", "jsonl").out
