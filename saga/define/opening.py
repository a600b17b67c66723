"""Blocks are written with `with`; one that is called and not opened would be lost without a sign of it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import update_wrapper
from types import TracebackType
from typing import Concatenate, Generic, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T", covariant=True)


class Watches(Protocol):
    """Who is told of blocks."""

    unopened: "dict[int, Opening[object]]"


class Watching(Protocol):
    """Who has verbs that open blocks."""

    @property
    def _builder(self) -> Watches: ...

    @property
    def _place(self) -> str:
        """Of a block without a name."""
        ...


V = TypeVar("V", bound=Watching)


class Opening(AbstractContextManager[T], Generic[T]):
    """What a verb with a block returns: to be opened at once, `with s.each(...) as seat:`."""

    __slots__ = ("_inside", "_watches", "name", "written")

    def __init__(self, watches: Watches, inside: AbstractContextManager[T], written: str, name: str) -> None:
        self._watches, self._inside, self.written, self.name = watches, inside, written, name
        watches.unopened[id(self)] = self

    def __enter__(self) -> T:
        self._watches.unopened.pop(id(self), None)
        return self._inside.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> bool | None:
        return self._inside.__exit__(kind, error, traceback)


def block(
    written: str,
) -> Callable[[Callable[Concatenate[V, P], Iterator[T]]], Callable[Concatenate[V, P], Opening[T]]]:
    """Make a verb of a generator: what stands before its `yield` opens the block, what stands behind closes it.

    `written` is how an author writes it, behind `with`.
    """

    def verb(generator: Callable[Concatenate[V, P], Iterator[T]]) -> Callable[Concatenate[V, P], Opening[T]]:
        opened = contextmanager(generator)

        def called(self: V, /, *args: P.args, **kwargs: P.kwargs) -> Opening[T]:
            named = next((value for value in (*args, *kwargs.values()) if isinstance(value, str)), self._place)
            return Opening(self._builder, opened(self, *args, **kwargs), written, named)

        update_wrapper(called, generator)
        return called

    return verb
