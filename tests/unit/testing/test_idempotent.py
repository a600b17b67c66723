"""`assert_idempotent` lets good services pass, and says of each planted fault which rule it breaks."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from saga.adapters.sqlite.database import SqliteDatabase
from saga.adapters.system import SystemClock
from saga.contract import Context, Handler, RetryLater
from saga.participant import Participant
from saga.ports import Database, Transaction
from saga.testing import NotIdempotent, assert_idempotent
from tests.unit.testing.till import (
    TABLES,
    TOTAL,
    Book,
    Done,
    Look,
    OwnInbox,
    Pay,
    Provider,
    Recall,
    Transfer,
    Unpay,
    pay,
    pay_and_decline,
    pay_by_itself,
    unpay,
    unpay_by_booking,
    unpay_nothing,
)

UNPAY = Unpay(id="p-1")
PAY = Pay(id="p-1")


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """The till's own tables."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_payments.sql").write_text(TABLES)
    return folder


def till(run: Callable[[Pay, Context], Awaitable[Any]] = pay, undo: Callable[..., Any] = unpay) -> list[Handler]:
    return [Pay.handled_by(run), Unpay.handled_by(undo)]


async def test_a_good_service_passes(migrations: Path) -> None:
    """Every story is told, and its process was killed at every await of each."""
    proven = await assert_idempotent(till(), PAY, effects=TOTAL, undo=UNPAY, migrations=migrations)
    assert len(proven.stories) == 13
    assert proven.crashes > 12


async def test_a_participant_brings_its_own_tables(migrations: Path) -> None:
    """Its migrations are applied without being told."""
    participant = Participant("till", till(), migrations=migrations)
    await assert_idempotent(participant, PAY, effects=TOTAL, undo=lambda cmd, _: Unpay(id=cmd.id))


async def test_a_declared_refusal_is_tried_too(migrations: Path) -> None:
    """It is remembered, and nothing is undone for it."""
    proven = await assert_idempotent(
        till(), Pay(id="p-1", amount=101), effects=TOTAL, undo=UNPAY, migrations=migrations
    )
    assert any("refused for a declared reason" in story for story in proven.stories)


async def test_any_database_will_do(migrations: Path, tmp_path: Path) -> None:
    """One that is given is shared by all stories, so each is about another payment."""
    database = SqliteDatabase(str(tmp_path / "till.sqlite"), clock=SystemClock())
    await database.migrate("till", migrations)
    await assert_idempotent(
        till(), lambda name: Pay(id=name), effects=TOTAL, undo=lambda cmd, _: Unpay(id=cmd.id), database=database
    )
    await database.close()


async def test_providers_that_keep_their_promise_pass() -> None:
    """A key is applied once, an interrupted booking is found."""
    provider = Provider()
    await assert_idempotent(provider.transfers(), Transfer(), effects=provider.count, undo=Recall())
    await assert_idempotent(provider.bookings(), Book(), effects=provider.count)


async def test_effects_may_be_counted_by_a_coroutine() -> None:
    """Somewhere else, over a network."""
    provider = Provider()

    async def count() -> int:
        return provider.count()

    await assert_idempotent(provider.bookings(), Book(), effects=count)


async def test_a_participant_without_the_library_passes() -> None:
    """A function from message to reply is judged by the same rules."""
    own = OwnInbox()
    await assert_idempotent(own, PAY, effects=lambda: own.count, undo=UNPAY)


# ------------------------------------------------------------------------------------------------- planted faults


def broken_by(caught: pytest.ExceptionInfo[NotIdempotent]) -> str:
    return " | ".join(finding.rule for finding in caught.value.findings)


async def test_a_handler_that_commits_its_own_effect_is_caught(migrations: Path) -> None:
    """Killed after its commit and before the inbox's, it does it again."""
    with pytest.raises(NotIdempotent) as caught:
        await assert_idempotent(till(pay_by_itself), PAY, effects=TOTAL, undo=UNPAY, migrations=migrations)
    assert "what an interrupted run did" in broken_by(caught)
    told = str(caught.value)
    assert told.startswith("till.Pay.v1 (effect inbox) breaks what a participant must do")
    assert "the command: the process was killed at await" in told
    assert "in pay_by_itself, till.py:" in told
    assert "expected: effects changed by 7\n    happened: effects changed by 14" in told
    assert told.endswith("what happens elsewhere needs provider_key or probe")


async def test_a_handler_with_an_effect_elsewhere_is_caught() -> None:
    """What the transaction cannot roll back is done again after a crash."""
    provider = Provider()

    async def outside(_: Pay, ctx: Context) -> Done:
        provider.keys.append(ctx.key)
        return Done()

    with pytest.raises(NotIdempotent) as caught:
        await assert_idempotent(Pay.handled_by(outside), PAY, effects=provider.count)
    assert "what an interrupted run did" in broken_by(caught)


async def test_a_refusal_with_an_effect_is_caught(migrations: Path) -> None:
    """It says declined, and the money is gone."""
    with pytest.raises(NotIdempotent, match="a declared refusal has no effect"):
        await assert_idempotent(till(pay_and_decline), PAY, effects=TOTAL, undo=UNPAY, migrations=migrations)


async def test_an_undo_that_forgets_is_caught(migrations: Path) -> None:
    """The effect stands after the undo."""
    with pytest.raises(NotIdempotent) as caught:
        await assert_idempotent(till(undo=unpay_nothing), PAY, effects=TOTAL, undo=UNPAY, migrations=migrations)
    assert "an undo takes the effect back, once" in broken_by(caught)


async def test_an_undo_that_is_done_twice_is_caught(migrations: Path) -> None:
    """Killed between its own commit and the inbox's, it takes the money back again."""
    with pytest.raises(NotIdempotent) as caught:
        await assert_idempotent(till(undo=unpay_by_booking), PAY, effects=TOTAL, undo=UNPAY, migrations=migrations)
    assert any("in the middle of the undo" in finding.story for finding in caught.value.findings)


async def test_a_provider_that_gets_another_key_each_time_is_caught() -> None:
    """A fresh key is a fresh transfer."""
    provider = Provider()
    handlers = provider.transfers(lambda ctx: f"{ctx.key}-{len(provider.keys)}")
    with pytest.raises(NotIdempotent, match=r"Fix: give ctx.key to the provider"):
        await assert_idempotent(handlers, Transfer(), effects=provider.count)


async def test_a_probe_that_never_finds_anything_is_caught() -> None:
    """The courier is booked again."""
    provider = Provider()

    async def blind(_: Book, __: Context) -> None:
        return None

    with pytest.raises(NotIdempotent, match=r"the probe must find by ctx.key"):
        await assert_idempotent(provider.bookings(blind), Book(), effects=provider.count)


async def test_a_read_that_writes_is_caught() -> None:
    """The contract promised to change nothing."""
    provider = Provider()

    async def look(_: Look, ctx: Context) -> Done:
        provider.keys.append(ctx.key)
        return Done()

    with pytest.raises(NotIdempotent, match="a read_only command changes nothing"):
        await assert_idempotent(Look.handled_by(look), Look(), effects=provider.count)


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ("ignores the tombstone", "an undo that comes first leaves a tombstone"),
        ("commits before its effect", "what an interrupted run did"),
        ("commits after its effect", "what an interrupted run did"),
        ("looks long before it writes", "of deliveries at the same time one is worked on"),
        ("takes other bytes", "a key with other bytes is refused"),
        ("fails what expired", "an unknown key that has expired is refused"),
    ],
)
async def test_a_participant_that_breaks_one_rule_is_caught(fault: str, rule: str) -> None:
    """The failure names the rule that was broken, and the deliveries that broke it."""
    own = OwnInbox(fault=fault)
    with pytest.raises(NotIdempotent) as caught:
        await assert_idempotent(own, PAY, effects=lambda: own.count, undo=UNPAY)
    assert rule in broken_by(caught)
    assert all(finding.log for finding in caught.value.findings)


class Autocommit:
    """A team's database that commits every statement by itself."""

    dialect: Any = "sqlite"

    def __init__(self, inner: Database) -> None:
        self._inner = inner

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Nothing is ever rolled back."""
        yield _Statements(self._inner)


class _Statements:
    def __init__(self, inner: Database) -> None:
        self._inner = inner

    @property
    def handle(self) -> object:
        return self

    async def execute(self, sql: str, *arguments: object) -> list[tuple[object, ...]]:
        async with self._inner.begin() as tx:
            return await tx.execute(sql, *arguments)


async def test_a_database_that_does_not_roll_back_is_caught(migrations: Path, tmp_path: Path) -> None:
    """The handler is right, its team's adapter is not."""
    database = SqliteDatabase(str(tmp_path / "till.sqlite"), clock=SystemClock())
    await database.migrate("till", migrations)
    with pytest.raises(NotIdempotent) as caught:
        await assert_idempotent(
            till(),
            lambda name: Pay(id=name),
            effects=TOTAL,
            undo=lambda cmd, _: Unpay(id=cmd.id),
            database=Autocommit(database),
        )
    await database.close()
    assert "what an interrupted run did" in broken_by(caught)


async def test_an_answer_that_never_comes_is_told() -> None:
    """A participant that raises has answered nothing."""

    async def breaks(_: Any) -> Any:
        raise ValueError("boom")

    with pytest.raises(NotIdempotent, match="every delivery is answered"):
        await assert_idempotent(breaks, PAY, effects=lambda: 0)


# ---------------------------------------------------------------------------------- tests that would show nothing


async def test_effects_that_see_nothing_are_refused(migrations: Path) -> None:
    """A count that never moves would let everything pass."""
    with pytest.raises(TypeError, match=r"was answered ok/applied, and effects saw nothing of it. Fix: effects="):
        await assert_idempotent(till(), PAY, undo=UNPAY, migrations=migrations)


@pytest.mark.parametrize("effects", ["select id from payments", lambda: None, lambda: "7"])
async def test_effects_that_are_no_number_are_refused(migrations: Path, effects: Any) -> None:
    """One whole number is needed."""
    with pytest.raises(TypeError, match="Fix: SQL or a function that gives one whole number"):
        await assert_idempotent(till(), PAY, effects=effects, undo=UNPAY, migrations=migrations)


async def test_a_command_that_is_not_carried_out_is_refused(migrations: Path) -> None:
    """There is nothing to repeat."""

    async def never(_: Pay, __: Context) -> Done:
        raise RetryLater("the till is shut")

    with pytest.raises(TypeError, match=r"was answered retry/unavailable: the till is shut, so there is nothing to re"):
        await assert_idempotent(till(never), PAY, effects=TOTAL, migrations=migrations)


async def test_a_read_cannot_be_undone() -> None:
    """A test that asks for it is mistaken."""

    async def look(_: Look, __: Context) -> Done:
        return Done()

    with pytest.raises(TypeError, match="read_only: there is nothing to undo"):
        await assert_idempotent(Look.handled_by(look), Look(), undo=UNPAY)


async def test_sql_needs_a_database() -> None:
    """A participant without the library has none that we know."""
    with pytest.raises(TypeError, match="effects is SQL"):
        await assert_idempotent(OwnInbox(), PAY, effects=TOTAL)
