"""Deciding at the command line: what is shown, what is recorded, and every reason why it does not count."""

import asyncio

import msgspec
import pytest

from saga.adapters.sqlite import open_store
from saga.core.definition import canonical
from saga.core.messages import StartMessage
from saga.engine.cache import SagaCache
from saga.engine.catalog import Catalog
from saga.engine.dispatch import Dispatches
from saga.engine.draft import Desk
from saga.engine.handle import Handler
from saga.engine.receive import Work
from saga.engine.settings import EngineSettings, Trust
from saga.engine.start import Starts
from saga.engine.time import StoreClock
from saga.ports import StoredDefinition
from saga.stores import CLOCK
from tests.unit.cli.conftest import Type
from tests.unit.engine.rig import CountingIds, Rig, start_message
from tests.unit.engine.test_decisions import FOUR_EYES, LETTER

TRUST = Trust(gateways=frozenset({"shop"}))


@pytest.fixture
def waiting(saga: Type, store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A letter that waits for its review, and a start by `bo` that he may not decide on; the letter's id."""
    assert saga("db", "migrate").code == 0
    monkeypatch.setenv("SAGA_APPROVERS", "bo=editor,cy=editor,eve=clerk")

    async def begin() -> str:
        opened = await open_store(store.removeprefix("sqlite:///"), clock=CLOCK)
        rig, clock = Rig(), CLOCK
        for plan in (LETTER, FOUR_EYES):
            named = plan.definition
            await opened.publish(StoredDefinition(plan.hash, named.name, named.version, canonical(named)))
        settings, time = EngineSettings(trust=TRUST), StoreClock(clock)
        catalog, dispatches = Catalog(opened, clock), Dispatches(rig.bus, opened, clock, 1)
        desk = Desk(Starts(catalog, CountingIds(), settings), dispatches, time, settings)
        handler = Handler(opened, SagaCache(opened, catalog, 10), desk, dispatches, time)
        for start in (start_message("o1"), start_message("o2", name="four-eyes", actor="bo")):
            await handler.handle([_work(start)])
        await opened.close()
        return CountingIds().saga()

    return asyncio.run(begin())


def _work(start: StartMessage) -> Work:
    return Work(msgspec.structs.replace(start, sender="shop"), "")


def digest(saga: Type, reference: str) -> str:
    """Of what is to be decided."""
    return saga("approvals", "show", reference, "review", "-o", "id").out.strip()


def test_what_waits_is_listed_and_shown(saga: Type, waiting: str) -> None:
    """Who may decide, since when, what about; the subject as it would be sent."""
    listed = saga("approvals", "list")
    assert "review" in listed.out
    assert "editor" in listed.out
    rows = saga("approvals", "list", "--name", "order", "-o", "json").json()
    assert [(row["saga"], row["place"], row["state"], row["subject"]) for row in rows] == [
        (waiting, "review", "open", {"order": "o1"})
    ]
    shown = saga("approvals", "show", waiting, "review")
    assert '"order": "o1"' in shown.out
    assert "who may decide: editor; 1 to approve" in shown.out
    assert "may be changed: order" in shown.out
    whole = saga("show", waiting).out
    assert "to be decided: review by editor" in whole
    assert f"next: saga approvals show {waiting} review" in whole


def test_an_approval_is_recorded_with_the_claim(saga: Type, waiting: str) -> None:
    """By whom, through whom, of what; the same again is the same."""
    given = ("approvals", "approve", waiting, "review", "--actor", "bo", "--digest", digest(saga, waiting)[:16])
    done = saga(*given, "--reason", "fine", "-o", "json")
    assert done.code == 0, done
    assert (done.json()["state"], done.json()["approver"]) == ("approved", "bo")
    assert saga(*given).code == 0
    history = saga("history", waiting).out
    assert history.count("ApprovalDecided") == 1
    assert "by=operator" in history


def test_what_was_edited_is_sent(saga: Type, waiting: str) -> None:
    """From the command line or a file."""
    options = ("--actor", "bo", "--digest", digest(saga, waiting), "--edit", '{"order":"o9"}')
    assert saga("approvals", "approve", waiting, "review", *options).code == 0
    assert '{"order":"o9"}' in saga("history", waiting, "-o", "jsonl").out


@pytest.mark.parametrize(
    ("options", "code", "number", "says"),
    [
        (("--actor", "eve"), 5, "SAGA-5305", "deciding needs the role editor; eve has: clerk"),
        (("--digest", "0" * 64), 4, "SAGA-5308", "look again"),
        (("--edit", '{"order":1}'), 4, "SAGA-5309", "order must stay a text"),
        (("--edit", "{"), 2, "SAGA-1006", "no JSON"),
        (("--digest", "abc"), 2, "SAGA-1001", "at least 12 characters"),
    ],
)
def test_what_does_not_count(
    saga: Type, waiting: str, options: tuple[str, ...], code: int, number: str, says: str
) -> None:
    """Place, reason and fix; nothing is recorded."""
    given = {"--actor": "bo", "--digest": digest(saga, waiting)} | dict(zip(options[::2], options[1::2], strict=True))
    done = saga("approvals", "approve", waiting, "review", *(word for pair in given.items() for word in pair))
    assert (done.code, number in done.err, says in done.err) == (code, True, True), done
    assert "ApprovalDecided" not in saga("history", waiting).out


def test_the_opposite_comes_too_late(saga: Type, waiting: str) -> None:
    """The error names who decided, and when."""
    seen = digest(saga, waiting)
    assert saga("approvals", "approve", waiting, "review", "--actor", "bo", "--digest", seen).code == 0
    done = saga("approvals", "reject", waiting, "review", "--actor", "cy", "--digest", seen, "--reason", "rude")
    assert done.code == 4
    assert "SAGA-5304 this was approved by bo (approve, " in done.err


def test_whoever_asked_may_not_decide(saga: Type, waiting: str) -> None:
    """Their own name is refused, whatever their role."""
    [other] = [row["saga"] for row in saga("list", "-o", "json").json() if row["saga"] != waiting]
    seen = saga("approvals", "show", other, "gate", "-o", "json").json()["digest"]
    done = saga("approvals", "approve", other, "gate", "--actor", "bo", "--digest", seen)
    assert (done.code, "SAGA-5306 bo asked for this" in done.err) == (5, True)
    assert saga("approvals", "approve", other, "gate", "--actor", "cy", "--digest", seen).code == 0


def test_nobody_is_asked_off_a_terminal(saga: Type, waiting: str) -> None:
    """Without a digest there is nothing that was looked at."""
    done = saga("approvals", "approve", waiting, "review", "--actor", "bo")
    assert (done.code, "SAGA-1014" in done.err, "--digest" in done.err) == (2, True, True)


def test_on_a_terminal_it_is_shown_and_asked(saga: Type, waiting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is approved is what was shown; a no changes nothing."""
    answers = iter([False, True])
    asked: list[str] = []

    def confirm(question: str, **_: object) -> None:
        asked.append(question)
        if not next(answers):
            import click

            raise click.Abort

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.confirm", confirm)
    no = saga("approvals", "approve", waiting, "review", "--actor", "bo")
    assert (no.code, '"order": "o1"' in no.err) == (130, True)
    yes = saga("approvals", "approve", waiting, "review", "--actor", "bo")
    assert "approve of review by bo is recorded: approved" in yes.out
    assert asked == ["Approve this?"] * 2


@pytest.mark.parametrize("verb", ["show", "approve"])
def test_nothing_was_asked_there(saga: Type, waiting: str, verb: str) -> None:
    """Exit code 3, and where to look."""
    done = saga("approvals", verb, waiting, "revue")
    assert (done.code, "saga approvals list --root" in done.err) == (3, True)


def test_the_preview_of_a_compensation(saga: Type, waiting: str) -> None:
    """Nothing is sent yet; after the approval its step may have happened."""
    assert "nothing has to be undone" in saga("compensate", waiting, "--preview").out
    saga("approvals", "approve", waiting, "review", "--actor", "bo", "--digest", digest(saga, waiting))
    shown = saga("compensate", waiting, "--preview")
    assert "reserve-service.UndoReserve.v1" in shown.out
    preview = saga("compensate", waiting, "--preview", "-o", "json").json()
    assert [[undo["path"] for undo in stage] for stage in preview["stages"]] == [["reserve"]]
    assert saga("compensate", waiting, "--reason", "r").code == 2, "it asks, and nobody is there"
    done = saga("compensate", waiting, "--reason", "r", "--yes")
    assert (done.code, done.json()["phase"]) == (0, "compensating")
    assert saga("compensate", waiting).code == 2
