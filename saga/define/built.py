"""What `define` returns: a definition as data, with the Python types of its ends and the definitions it embeds."""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec

from saga.core import definition as core
from saga.core.errors import Problem
from saga.define.lint import lint

I = TypeVar("I")  # noqa: E741 - input, as in Definition[I, O]
O = TypeVar("O")  # noqa: E741 - output


class Definition(msgspec.Struct, Generic[I, O], frozen=True):
    """A saga definition, ready to be published: data, and the Python types of its ends."""

    name: str
    version: int
    hash: str
    """Of `canonical`: the definition's identity."""
    canonical: bytes
    compiled: core.Definition
    input: type[I]
    output: type[O]
    children: "tuple[Definition[Any, Any], ...]" = ()
    """The definitions that its steps start as sub-sagas, in the order written, each once: published with it."""
    signals: dict[str, type[Any]] = {}
    """The types of the signals it waits for, by name."""

    @property
    def lints(self) -> tuple[Problem, ...]:
        """Advice; an error would have refused the definition."""
        return lint(self.compiled)

    def family(self) -> "Iterator[Definition[Any, Any]]":
        """Every definition below, children before their parents and each once; this one is the last."""
        seen: set[str] = set()
        for child in self.children:
            for member in child.family():
                if member.hash not in seen:
                    seen.add(member.hash)
                    yield member
        yield self
