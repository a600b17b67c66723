"""Looking at sagas and operating them, by id and by key."""

import asyncio
import inspect
import re
from decimal import Decimal
from pathlib import Path

import pytest

from saga.adapters.sqlite import open_store
from saga.cli.sagas import STATUSES, WAIT_KINDS, show_below, show_cost
from saga.core import outstanding
from saga.core.state import Phase
from saga.engine.lookup import ChildDetail
from saga.ports import Batch
from tests.conformance.store.places import new_saga, view
from tests.unit.cli.conftest import Type
from tests.unit.engine.rig import TWO_STEPS, ManualClock

NOBODY = "01930000-0000-7000-8000-00000000ffff"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["list"], 4),
        (["history", NOBODY], 4),
        (["db", "status"], 1),
        (["doctor"], 1),
        (["definitions", "list"], 4),
        (["topology", "plan"], 4),
        (["parked", "discard", "--all", "--yes", "--reason", "r"], 4),
    ],
)
def test_no_file_is_made_of_a_mistyped_path(saga: Type, store: str, command: list[str], code: int) -> None:
    """Only `saga db migrate` makes one: the others say that it is not there."""
    done = saga("--amqp", "amqp://127.0.0.1:1/", *command)
    assert done.code == code, done
    assert "saga db migrate" in done.err + done.out
    assert not Path(store.removeprefix("sqlite:///")).exists()


@pytest.mark.parametrize("empty", [True, False])
def test_a_store_without_tables_says_what_to_type(saga: Type, store: str, empty: bool) -> None:
    """Whatever is asked of it, be it empty or not there."""
    if empty:
        Path(store.removeprefix("sqlite:///")).touch()
    for command in (["list"], ["show", NOBODY], ["definitions", "list"], ["parked", "list"]):
        done = saga(*command)
        assert done.code == 4, done
        assert "fix:  run `saga db migrate`" in done.err
        assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "typed",
    [
        ("list", "--status", "parkd"),
        ("list", "--wait-kind", "repply"),
        ("list", "--since", "-1"),
        ("list", "--since", "nan"),
        ("list", "--since", "inf"),
        ("start", "order", "--timeout", "-5"),
        ("signal", NOBODY, "paid", "--timeout", "nan"),
        ("watch", NOBODY, "--timeout", "inf"),
        ("conform", "nobody", "--patience", "inf"),
    ],
)
def test_a_word_or_a_length_of_time_that_is_none(saga: Type, typed: tuple[str, ...]) -> None:
    """An operator who is told that nothing was found believes that all is well."""
    done = saga(*typed)
    assert done.code == 2, done
    assert typed[-1] in done.err


def test_every_status_and_wait_can_be_asked_for() -> None:
    """The words of the core, which the command line does not load for them."""
    assert set(STATUSES) == {*Phase, "parked"}
    shown = inspect.getsource(outstanding)
    assert set(WAIT_KINDS) == set(re.findall(r"\bWait\(\s*\"([a-z]+)\"", shown))


def test_what_names_a_saga_and_its_commits(saga: Type, started: str) -> None:
    """`-o id` is one word a line: the id behind a key, and the version of each commit."""
    assert saga("show", "order/o1", "-o", "id").out == f"{started}\n"
    assert saga("history", started, "-o", "id").out == "1\n"


def test_the_list(saga: Type, started: str) -> None:
    """A table for people, JSON for programs, ids for pipes."""
    assert "o1" in saga("list").out
    rows = saga("list", "-o", "json").json()
    assert [(row["saga"], row["key"], row["status"]) for row in rows] == [(started, "o1", "running")]
    assert saga("list", "-o", "id").out.strip() == started
    assert saga("list", "--status", "completed", "-o", "json").json() == []


@pytest.mark.parametrize("by", ["id", "key"])
def test_one_saga(saga: Type, started: str, by: str) -> None:
    """By its id, or by definition and key: every reason why it waits."""
    reference = started if by == "id" else "order/o1"
    done = saga("show", reference)
    assert done.code == 0
    assert "\nrunning  started 2" in done.out
    assert "not begun: charge" in done.out
    assert "waits: reserve: reply of reserve-service.Reserve.v1 is due" in done.out
    assert saga("show", reference, "-o", "json").json()["saga"] == started
    assert "SagaStarted" in saga("history", reference).out


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (NOBODY, "there is no saga"),
        ("order/nobody", "no saga order with the key 'nobody'"),
        ("nonsense", "DEFINITION/KEY"),
    ],
)
@pytest.mark.usefixtures("started")
def test_what_is_not_found(saga: Type, reference: str, said: str) -> None:
    """Exit code 3 and the next thing to type, whatever was to be done."""
    for command in (["show"], ["history"], ["cancel", "--reason", "r"], ["pause", "--reason", "r"]):
        done = saga(command[0], reference, *command[1:])
        assert done.code == 3, done
        assert said in done.err


def test_operating(saga: Type, started: str) -> None:
    """Pause and resume, cancel by key; what has ended is a conflict."""
    assert saga("pause", "order/o1", "--reason", "maintenance").json()["paused"]
    assert "paused" in saga("list").out
    assert not saga("resume", "order/o1", "--reason", "done").json()["paused"]
    assert saga("cancel", "order/o1", "--reason", "r").json()["phase"] == "compensating"
    assert saga("abandon", started, "--reason", "r", "--yes").json()["phase"] == "abandoned"
    done = saga("cancel", started, "--reason", "r")
    assert (done.code, done.err.splitlines()[0]) == (4, "SAGA-3002 the saga has ended: abandoned")


def test_sub_sagas_that_match_are_not_passed_over(saga: Type, started: str, store: str) -> None:
    """What is parked stands in front of an operator, also while the saga above it is being undone."""

    async def below() -> str:
        opened = await open_store(store.removeprefix("sqlite:///"), clock=ManualClock())
        child = new_saga(root=started, parent=started, definition=TWO_STEPS.hash, view=view("parked", "parked"))
        await opened.commit(Batch(starts=[child]))
        await opened.close()
        return child.saga

    child = asyncio.run(below())
    parked = saga("list", "--status", "parked", "-o", "id")
    assert (parked.code, parked.out) == (0, "")
    assert parked.err == "sub-sagas match too: --all shows them\n"
    shown = saga("list", "--status", "parked", "--all", "-o", "id")
    assert (shown.out, shown.err) == (f"{child}\n", "")
    assert saga("list", "--status", "running", "-o", "id").err == ""
    assert saga("list", "-o", "id").err == ""


@pytest.mark.usefixtures("started")
def test_a_verdict_that_does_not_fit(saga: Type) -> None:
    """A step that is not parked: a conflict that says so."""
    done = saga("resolve", "order/o1", "reserve", "retry", "--reason", "r")
    assert done.code == 4
    assert "reserve" in done.err


@pytest.mark.usefixtures("started")
def test_parked_messages(saga: Type) -> None:
    """None yet."""
    assert saga("parked", "list", "-o", "json").json() == []
    assert "no parked message 7" in saga("parked", "show", "7").err


def test_migrating_twice(saga: Type) -> None:
    """The second time there is nothing to do; status agrees."""
    assert saga("db", "status").code == 1
    assert "applied 0001" in saga("db", "migrate").out
    assert "nothing to do" in saga("db", "migrate").out
    assert saga("db", "status").code == 0


def test_abandon_asks_nobody_off_a_terminal(saga: Type, started: str) -> None:
    """Without --yes nothing happens, also where an answer could be read."""
    done = saga("abandon", started, "--reason", "r")
    assert done.code == 2
    assert "SAGA-1014" in done.err
    assert saga("show", started, "-o", "json").json()["status"] == "running"


def test_a_json_line_is_a_line(saga: Type, started: str) -> None:
    """Also where the input came with line ends in it."""
    for output in ("json", "jsonl"):
        lines = saga("history", started, "-o", output).out.splitlines()
        assert len(lines) == 1
        assert '"input":{"id":"o1"}' in lines[0]


def test_what_is_parked_below_is_shown_with_the_command_that_helps(capsys: pytest.CaptureFixture[str]) -> None:
    """By the id of the sub-saga, which is the one to resolve."""
    child = ChildDetail("access/account", "0193-c", "inner", 1, "parked", "in-doubt: nobody knows", ("reserve",))
    show_below([child], [], "0193-a")
    assert capsys.readouterr().out.splitlines() == [
        "sub-saga access/account: 0193-c  inner v1  parked  waits: in-doubt: nobody knows",
        "  fix: saga resolve 0193-c reserve retry --reason …; saga show 0193-c says more",
    ]


def test_what_a_saga_cost_is_shown_to_the_last_digit(capsys: pytest.CaptureFixture[str]) -> None:
    """Its own, and with what is below it; nothing where nobody told anything."""
    show_cost({}, {}, 0)
    assert capsys.readouterr().out == ""
    own = {"USD": Decimal("0.0123"), "tokens": Decimal(1520)}
    show_cost(own, own, 0)
    show_cost(own, {**own, "USD": Decimal("1000000.000000000001")}, 2)
    assert capsys.readouterr().out.splitlines() == [
        "cost: 0.0123 USD, 1520 tokens",
        "cost: 0.0123 USD, 1520 tokens",
        "cost with sub-sagas: 1000000.000000000001 USD, 1520 tokens",
        "cost that cannot be read, in no sum: of 2 answers",
    ]


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("command", [["list"], ["parked", "list", "-o", "json"], ["show", "order/o1"], ["errors"]])
def test_a_reader_that_has_seen_enough_is_no_failure(unread: Type, command: list[str]) -> None:
    """`| head -1` closes the pipe: nothing is said, and the exit code is 0."""
    done = unread(*command)
    assert (done.code, done.err) == (0, "")
