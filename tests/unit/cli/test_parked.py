"""What an operator does about messages nobody could use."""

import asyncio
import signal
from collections.abc import Callable

import pytest

from saga import wire
from saga.adapters.sqlite import open_store
from saga.engine import redrive
from saga.ports import Batch, ParkedMessage, ParkedVerb, Store
from saga.stores import CLOCK
from tests.conformance.store.places import parked
from tests.unit.cli.conftest import Type
from tests.unit.test_wire import a_reply, delivered

Park = Callable[..., None]


@pytest.fixture
def park(saga: Type, store: str) -> Park:
    """Parks messages in the migrated store."""
    assert saga("db", "migrate").code == 0

    def keep(*messages: ParkedMessage) -> None:
        async def commit() -> None:
            opened = await open_store(store.removeprefix("sqlite:///"), clock=CLOCK)
            for message in messages:
                await opened.commit(Batch(parked=[message]))
            await opened.close()

        asyncio.run(commit())

    return keep


def test_the_list_shows_what_is_to_be_decided_on(saga: Type, park: Park) -> None:
    """Filters, and the settled ones apart."""
    park(parked(), parked(origin="saga.start", reason="not-json"))
    assert [row["id"] for row in saga("parked", "list", "-o", "json").json()] == [2, 1]
    assert saga("parked", "list", "--code", "not-json", "-o", "id").out.split() == ["2"]
    assert saga("parked", "list", "--queue", "saga.replies", "-o", "id").out.split() == ["1"]
    assert saga("parked", "discard", "1", "--reason", "a test's", "--actor", "ann", "--yes").code == 0
    assert saga("parked", "list", "-o", "id").out.split() == ["2"]
    [settled] = saga("parked", "list", "--settled", "-o", "json").json()
    assert (settled["id"], settled["settled"]) == (1, "discarded")
    [action] = saga("parked", "show", "1").json()["actions"]
    assert (action["verb"], action["actor"], action["reason"]) == ("discarded", "ann", "a test's")


@pytest.mark.parametrize("command", [["redrive"], ["discard", "--yes"]])
@pytest.mark.parametrize("selection", [[], ["1", "--all"], ["1", "--code", "nul"]])
def test_it_is_said_which(saga: Type, park: Park, command: list[str], selection: list[str]) -> None:
    """Numbers or filters, never both, never everything by mistake."""
    park(parked())
    done = saga("parked", *command, *selection, "--reason", "r")
    assert done.code == 2
    assert "--all, --queue, --code" in done.err
    assert saga("parked", "redrive", "--all", "--again", "--reason", "r").code == 2


def test_a_reason_is_asked_for(saga: Type, park: Park) -> None:
    """Both are recorded with who and why."""
    park(parked())
    for command in (["redrive", "1"], ["discard", "1", "--yes"]):
        done = saga("parked", *command)
        assert done.code == 2
        assert "--reason" in done.err


def test_nobody_is_asked_off_a_terminal(saga: Type, park: Park) -> None:
    """Without --yes nothing is discarded; a rehearsal asks nothing and changes nothing."""
    park(parked())
    done = saga("parked", "discard", "--all", "--reason", "r")
    assert (done.code, "--yes" in done.err) == (2, True)
    rehearsed = saga("parked", "discard", "--all", "--reason", "r", "--dry-run", "-o", "json")
    assert (rehearsed.code, [each["outcome"] for each in rehearsed.json()]) == (0, ["would be discarded"])
    assert saga("parked", "list", "-o", "id").out.split() == ["1"]


def test_what_cannot_go_back_is_refused_and_the_rest_goes_on(saga: Type, park: Park) -> None:
    """Each with its reason; the exit code says that something stayed."""
    park(parked(exchange=""), parked(body=b"no json"), parked())
    for rehearsal in (["--dry-run"], []):
        done = saga("parked", "redrive", "--all", "--reason", "r", "-o", "json", *rehearsal)
        assert done.code == 4, done
        assert [each["outcome"] for each in done.json()] == ["refused"] * 3
        assert "does not say where to go back to" in done.json()[0]["detail"]
        assert "3 of 3 messages were refused" in done.err
    assert len(saga("parked", "list", "-o", "json").json()) == 3


def test_a_second_time_needs_again(saga: Type, park: Park) -> None:
    """Settled is settled, whoever asks; the refusal names who, when and why, and comes before anything is done."""
    park(parked(), parked())
    assert saga("parked", "discard", "2", "--reason", "old", "--actor", "ann", "--yes").code == 0
    for command in (["redrive", "1", "2"], ["discard", "1", "2", "--yes"]):
        done = saga("parked", *command, "--reason", "r")
        assert done.code == 4
        assert "message 2 was discarded by ann" in done.err
        assert "old" in done.err
    assert saga("parked", "show", "1").json()["actions"] == []
    again = saga("parked", "redrive", "2", "--reason", "r", "--again", "--dry-run", "-o", "json")
    assert "SAGA-3008" not in again.err


def test_a_number_nobody_has(saga: Type, park: Park) -> None:
    """Exit code 3 before anything is done."""
    park(parked())
    done = saga("parked", "discard", "1", "7", "--reason", "r", "--yes")
    assert done.code == 3
    assert "no parked message 7" in done.err
    assert saga("parked", "show", "1").json()["settled"] is None


def test_nothing_matches(saga: Type, park: Park) -> None:
    """An empty list, and no failure."""
    park(parked())
    assert saga("parked", "redrive", "--code", "nul", "--reason", "r", "-o", "json").json() == []
    assert saga("parked", "redrive", "--code", "nul", "--reason", "r").err.strip() == "nothing found"


def test_ctrl_c_finishes_the_one_at_hand(saga: Type, park: Park, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message under way is settled, the others are left as they were, and the exit code is 130."""
    park(parked(), parked(), parked())
    noted = redrive.note

    async def pressed(store: Store, number: int, verb: ParkedVerb, wish: redrive.Redriving) -> None:
        if number == 2:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0)
        await noted(store, number, verb, wish)

    monkeypatch.setattr(redrive, "note", pressed)
    done = saga("parked", "discard", "--all", "--reason", "r", "--yes", "-o", "jsonl")
    assert done.code == 130
    assert "stopped after 2" in done.err
    assert saga("parked", "list", "-o", "id").out.split() == ["3"]


@pytest.mark.parametrize("odd", ["\x1b[2J\x1b]0;mine\x07", "two\nlines", "\u202ereversed", "\x9b1m"])
def test_a_terminal_obeys_no_message(saga: Type, park: Park, odd: str) -> None:
    """What a hostile sender wrote is shown, not carried out, wherever people read it; JSON escapes it anyway."""
    park(parked(detail=odd, origin=odd, reason=odd, exchange=odd))
    for command in (["list"], ["redrive", "--all", "--reason", "r", "--dry-run"], ["show", "1"]):
        done = saga("parked", *command)
        assert odd not in done.out
        assert all(line.isprintable() for line in done.out.splitlines())
    assert odd not in saga("doctor").out


def test_a_rehearsal_refuses_what_redriving_refuses(saga: Type, park: Park) -> None:
    """A reply to a saga that this store does not have is well formed, and has no way back all the same."""
    park(wire.parked_from_delivery(delivered(wire.reply_to_wire(a_reply())), "unknown-saga", "no such saga"))
    for rehearsal in (["--dry-run"], []):
        done = saga("parked", "redrive", "1", "--reason", "r", "-o", "json", *rehearsal)
        assert done.code == 4, done
        assert [each["outcome"] for each in done.json()] == ["refused"]
        assert "not in this store" in done.json()[0]["detail"]


@pytest.mark.parametrize("output", ["table", "jsonl", "id", "json"])
def test_the_work_is_done_though_nobody_reads_of_it(saga: Type, unread: Type, park: Park, output: str) -> None:
    """`| head -1` sees one line and stops no work half-way; what was refused is still the exit code."""
    park(parked(), parked(), parked())
    done = unread("parked", "discard", "--all", "--reason", "r", "--yes", "-o", output)
    assert (done.code, done.err) == (0, "")
    assert saga("parked", "list", "-o", "json").json() == []
    park(parked(exchange=""), parked(exchange=""))
    refused = unread("parked", "redrive", "--all", "--reason", "r", "-o", output)
    assert refused.code == 4
    assert "2 of 2 messages were refused" in refused.err
