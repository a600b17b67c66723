"""Dying at a chosen await: what a killed process leaves behind, at every place where it can be killed."""

import asyncio
from collections.abc import Coroutine, Generator
from pathlib import Path
from types import CodeType
from typing import Any, Generic, TypeVar

T = TypeVar("T")

ENGINE = str(Path(__file__).parents[1])


class Died(Exception):
    """The process was killed where it was told to die; its text says where that was."""


async def dying(work: Coroutine[Any, Any, T], at: int) -> T:
    """Run `work` until it has awaited something `at` times; there it is cut, as if its process had been killed.

    What it waited for has happened; what it holds is let go, as a lost connection would. Returns the result of work
    that ends before. Raises Died.
    """
    cut = _Cut(work, at)
    try:
        result = await cut
    except (Exception, asyncio.CancelledError):
        if cut.is_cut:
            raise Died(cut.where) from None
        raise
    finally:
        cut.survive()
    if cut.is_cut:  # it did not mind; but whoever is killed answers nobody
        raise Died(cut.where)
    return result


class _Cut(Generic[T]):
    """Hands the awaits of `work` through and counts them."""

    def __init__(self, work: Coroutine[Any, Any, T], at: int) -> None:
        self._work = work
        self._at = at
        self.is_cut = False
        self.where = ""
        self._task: asyncio.Task[Any] | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._work.__await__()
        awaits_count = 0
        error: BaseException | None = None
        while True:
            try:
                waited_for = steps.send(None) if error is None else steps.throw(error)
            except StopIteration as end:
                result: T = end.value
                return result
            error = None
            try:
                yield waited_for
            except BaseException as outer:  # noqa: BLE001 - of the task around us: it is for the work to hear
                error = outer
            awaits_count += 1
            if awaits_count == self._at and error is None:
                self.is_cut, self.where = True, _where(self._work)
                self._task = asyncio.current_task()
                assert self._task is not None
                self._task.cancel()  # not only thrown: who asks whether it was meant for them, is told yes
                try:
                    yield
                except asyncio.CancelledError as cancelled:
                    error = cancelled

    def survive(self) -> None:
        """Let the task around the work go on, if it was the cut that cancelled it."""
        if self._task is not None:
            self._task.uncancel()


def _where(work: object) -> str:
    """What waits there: the innermost function that is not ours, or ours where the library is on its own."""
    codes: list[tuple[CodeType, int]] = []
    while (frame := getattr(work, "cr_frame", None)) is not None:
        codes.append((frame.f_code, frame.f_lineno))
        work = getattr(work, "cr_await", None)
    theirs = [found for found in codes if not found[0].co_filename.startswith(ENGINE)]
    if theirs:
        code, line = theirs[-1]
        return f"in {code.co_qualname}, {Path(code.co_filename).name}:{line}"
    # Below the participant there are only statements; above them stands what they are for.
    ours = [code.co_qualname for code, _ in codes if "participant" in code.co_filename]
    return f"in the library's {ours[-1]}" if ours else "in the library"
