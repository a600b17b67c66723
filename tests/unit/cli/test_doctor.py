"""The doctor, where things are missing: every part is looked at, whatever the others say."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from saga.adapters.sqlite import open_store
from saga.ports import Batch
from saga.stores import CLOCK
from tests.conformance.store.places import parked
from tests.unit.cli.conftest import Type, Typed

NOBODY_THERE = "amqp://guest:guest@127.0.0.1:1/"


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens where the broker is looked for."""
    monkeypatch.setenv("SAGA_AMQP", NOBODY_THERE)


def found(done: Typed) -> dict[tuple[str, str], Any]:
    """Findings by severity and area."""
    return {(each["severity"], each["area"]): each for each in done.json()}


def test_settings_that_cannot_be_read(saga: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else can be looked at then."""
    monkeypatch.setenv("SAGA_LOG_LEVEL", "loud")
    done = saga("doctor", "-o", "json")
    assert done.code == 1
    [finding] = done.json()
    assert (finding["severity"], finding["area"]) == ("error", "settings")
    assert "log_level" in finding["what"]
    assert "debug" in finding["fix"]


def test_a_store_without_tables_and_no_broker(saga: Type) -> None:
    """Both are said, each with the command."""
    done = saga("doctor", "-o", "json")
    assert done.code == 1
    findings = found(done)
    assert findings["error", "store"]["fix"] == "saga db migrate"
    assert "127.0.0.1:1" in findings["error", "broker"]["what"]
    assert findings.keys() == {("error", "store"), ("error", "broker")}
    assert done.err == ""


def test_a_store_that_is_not_there(saga: Type, tmp_path: Path) -> None:
    """Its failure is a finding, and the broker is looked at all the same."""
    done = saga("--store", f"sqlite:///{tmp_path}/no/such/folder/x", "doctor", "-o", "json")
    assert [each["area"] for each in done.json()] == ["store", "broker"]
    assert done.code == 1


def test_people_read_what_why_and_fix(saga: Type, started: str, store: str) -> None:
    """The worst first; how many of each at the end; nothing of a saga that cannot be read on stderr."""

    async def park() -> None:
        opened = await open_store(store.removeprefix("sqlite:///"), clock=CLOCK)
        await opened.commit(Batch(parked=[parked(reason="unknown-definition", origin="saga.start")]))
        await opened.close()

    asyncio.run(park())
    done = saga("doctor")
    lines = done.out.splitlines()
    assert done.code == 1
    assert lines[0].startswith("error ")
    assert any(line.startswith("warning  messages: messages parked from saga.start: 1") for line in lines)
    assert any(f"saga show {started}" in line for line in lines)
    assert [line[9:14] for line in lines].count("why: ") == [line[9:14] for line in lines].count("fix: ") > 2
    assert done.err.strip().endswith("note")
    assert "Traceback" not in done.err


def test_wrong_kinds_of_addresses(saga: Type) -> None:
    """What names no broker is a finding like any other."""
    for amqp in ("http://x", "dev:///no/such/folder", "amqp://"):
        done = saga("--amqp", amqp, "doctor", "-o", "json")
        assert done.code == 1, done
        assert ("error", "broker") in found(done), amqp
