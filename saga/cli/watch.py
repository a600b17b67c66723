"""`saga watch`: a saga as it happens, each line a stored event."""

import asyncio
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import click
import msgspec

from saga.cli.failure import CommandFailed
from saga.cli.known import saga_argument
from saga.cli.lengths import SECONDS
from saga.cli.main import settings_of
from saga.cli.sagas import ENDINGS
from saga.cli.show import print_line, printable

LOOK_FIRST_SECONDS = 0.1
"""Between two looks at the store while something happens; doubles while nothing does."""
LOOK_MAX_SECONDS = 1.0
PARKED = "parked"


@click.command()
@saga_argument
@click.option("--timeout", type=SECONDS, help="Give up after so many seconds, with 124.")
@click.option("--until-parked", is_flag=True, help="Also stop when a step waits for an operator, with 8.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "jsonl"]),
    default="table",
    show_default=True,
    help="For people, or an event a line.",
)
@click.pass_context
def watch(ctx: click.Context, saga: str, timeout: float | None, until_parked: bool, output: str) -> None:  # noqa: FBT001 - a click flag
    """Follow SAGA (its id, or DEFINITION/KEY) until it has ended; Ctrl-C leaves, and the saga goes on.

    Exit codes: 0 completed, 7 compensated, 8 abandoned, 124 not ended in time.
    """
    status = asyncio.run(_watch(settings_of(ctx), saga, timeout, output, until_parked=until_parked))
    sys.exit(int(ENDINGS["abandoned"] if status == PARKED else ENDINGS.get(status, 0)))


class Shown(Protocol):
    """Where a saga's events go."""

    def event(self, row: Any) -> None:
        """One commit, with its events."""

    def standing(self, row: Any) -> None:
        """The saga's row, after what was shown."""

    def trouble(self, text: str) -> None:
        """Why nothing comes for now."""

    def close(self) -> None:
        """Nothing more comes."""


class Lines:
    """JSON for programs: an object for each event, stable."""

    def event(self, row: Any) -> None:
        """Everything its history keeps of it."""
        for index, event in enumerate(msgspec.json.decode(row.data, type=list[msgspec.Raw])):
            line = {"saga": row.saga, "version": row.version, "index": index, "at": row.at, "cause": row.cause}
            print_line({**line, "event": event})

    def standing(self, row: Any) -> None:
        """The events say it all."""

    def trouble(self, text: str) -> None:
        """Beside the data."""
        click.echo(text, err=True)

    def close(self) -> None:
        """Nothing is held back."""


class Lanes:
    """For people: what was done and what was undone, and on a terminal where the saga stands now."""

    def __init__(self, plan: Any) -> None:
        from saga.demo.screen import Screen
        from saga.demo.timeline import Timeline

        self._screen = Screen(sys.stdout, os.environ)
        self._timeline = Timeline(plan)

    def event(self, row: Any) -> None:
        """A line for each."""
        try:
            entries = self._timeline.add(row.data)
        except msgspec.DecodeError as error:
            text = f"version {row.version} of {row.saga} cannot be read: {error}. Fix: the release that wrote it"
            raise CommandFailed("SAGA-3003", f"{text}, or saga watch -o jsonl") from None
        for entry in entries:
            self._screen.entry(entry, printable(self._timeline.line(entry)))

    def standing(self, row: Any) -> None:
        """Both lanes, and what it waits for."""
        waits = [f"  waits     {printable(row.wait_text)}"] if row.wait_text else []
        if row.status == PARKED:
            waits.append(f"  next      saga show {row.saga}, then saga resolve moves the parked step")
        self._screen.below(["", *self._timeline.lanes(), *waits])

    def trouble(self, text: str) -> None:
        """Among the lines, for the terminal is one."""
        self._screen.say(printable(text), "bad")

    def close(self) -> None:
        """What stood last stays."""
        if self._timeline.ended:
            self._screen.below(self._timeline.lanes())
        self._screen.settle()


async def _watch(settings: Any, reference: str, timeout: float | None, output: str, *, until_parked: bool) -> str:
    """How it ended. Raises NoSuchSaga, Unavailable, CommandFailed."""
    from saga.cli.reference import saga_id
    from saga.stores import open_store

    store = await open_store(settings.store)
    clock = asyncio.get_running_loop().time
    until = None if timeout is None else clock() + timeout
    try:
        async with asyncio.timeout(None) as limit:
            saga = await saga_id(store, reference)
            shown = await _shown(store, saga, output)
            try:
                # Whoever has no time wants to know whether it has ended: one look is always taken.
                looked = partial(limit.reschedule, until)
                return await _follow(store, saga, shown, looked, until_parked=until_parked)
            finally:
                shown.close()
    except TimeoutError:
        hint = f"Fix: saga show {reference} says why it waits"
        raise CommandFailed("SAGA-3005", f"{reference} has not ended after {timeout:g} s. {hint}") from None
    finally:
        await store.close()


async def _shown(store: Any, saga: str, output: str) -> Shown:
    row = await _row(store, saga)
    if output == "jsonl":
        return Lines()
    from saga.engine.catalog import Catalog
    from saga.stores import CLOCK

    return Lanes(await Catalog(store, CLOCK).by_hash(row.definition))


async def _follow(store: Any, saga: str, shown: Shown, looked: Callable[[], None], *, until_parked: bool) -> str:
    """Show what is committed until the saga has ended. A store that goes away meanwhile is waited for.

    `looked` is called after each look.
    """
    from saga.core.errors import Unavailable
    from saga.stores import CLOCK

    ends = {"completed", *ENDINGS, *([PARKED] if until_parked else [])}
    follower, pause, away = Follower(store, saga, shown), LOOK_FIRST_SECONDS, False
    while True:
        news = None
        try:
            news = await follower.news()
            if news is None and (needed := await follower.below()) is not None:
                shown.standing(needed)
            away = False
        except Unavailable as error:
            if not follower.version:
                raise
            if not away:
                shown.trouble(f"waiting for the store: {error}")
            away = True
        if news is not None:
            shown.standing(news)
            if news.status in ends:
                return str(news.status)
        looked()
        pause = min(pause * 2, LOOK_MAX_SECONDS) if news is None else LOOK_FIRST_SECONDS
        await CLOCK.sleep(pause)


class Follower:
    """Reads on from where it stood; a read that fails half way shows nothing twice and leaves nothing out."""

    def __init__(self, store: Any, saga: str, shown: Shown) -> None:
        self.version = 0
        self._told_version = 0
        self._row: Any = None
        self._needed = ""
        self._store = store
        self._saga = saga
        self._shown = shown

    async def news(self) -> Any:
        """Show the new commits; returns the saga's row as it stands after them, None without any."""
        while page := await self._store.history(self._saga, self.version):
            for row in page:
                self._shown.event(row)
                self.version = row.version
        if self.version == self._told_version:
            return None
        row = await _row(self._store, self._saga)
        if row.version != self.version:
            return None  # it moved on meanwhile: the next look shows what led there
        self._told_version = self.version
        self._row, self._needed = row, ""
        return row

    async def below(self) -> Any:
        """The row, saying what below the saga stands in front of a person; None unless that changed."""
        from saga.engine.lookup import needed_below
        from saga.stores import CLOCK

        row = self._row
        needed = "" if row is None else await needed_below(self._store, CLOCK, row)
        if row is None or needed == self._needed:
            return None
        self._needed = needed
        said = f"{needed}; saga show {self._saga} says more" if needed else row.wait_text
        return msgspec.structs.replace(row, wait_text=said)


async def _row(store: Any, saga: str) -> Any:
    """As lists show it. Raises NoSuchSaga."""
    from saga.engine.operate import NoSuchSaga
    from saga.ports import SagaFilter

    rows = await store.sagas(SagaFilter(ids=(saga,), limit=1))
    if not rows:
        raise NoSuchSaga(f"there is no saga {saga} in this store. Fix: saga list")
    return rows[0]
