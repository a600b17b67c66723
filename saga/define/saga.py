"""`Saga`, handed to the author's function while it runs to be written down: every verb of a definition."""

import inspect
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import Enum

from saga.define.branching import SideBySide
from saga.define.builder import NAME, NAME_FIX
from saga.define.nesting import Nesting
from saga.define.people import People
from saga.define.placeholder import Placeholder, value_of
from saga.define.shapes import plain
from saga.define.steps import Steps
from saga.define.structure import Structure
from saga.define.waiting import Waiting

Taggable = str | int | Decimal | datetime | Enum


class Saga(Steps, Structure, SideBySide, Waiting, People, Nesting):
    """Writes a definition down. Names of steps and blocks are unique in a definition, and are their paths.

    Inside `each` and `repeat` the block's name stands in front: `seats/add`.
    """

    __slots__ = ()

    def key(self, value: str) -> None:
        """The business key, when the start names none: one saga for each key, for ever."""
        if self._builder.key is not None:
            self._builder.bad("key", "is given twice", "one business key, made with text(...) if it has parts")
        self._builder.key = self._builder.values.expression(value, str, self._builder.at_start("key"))

    def requester(self, value: str) -> None:
        """Who asks for this saga, as the input says."""
        if self._builder.requester is not None:
            self._builder.bad("requester", "is given twice", "name one")
        self._builder.requester = self._builder.values.expression(value, str, self._builder.at_start("requester"))

    def tag(self, **tags: Taggable) -> None:
        """Values of the input to find sagas by, written as text."""
        values = self._builder.values
        for name, value in tags.items():
            site = self._builder.at_start(f"tag.{name}")
            if not NAME.fullmatch(name):
                values.bad(site.place, "does not fit a tag", NAME_FIX)
            if name in self._builder.tags:
                values.bad(site.place, "is given twice", "give each tag a name of its own")
            is_text = isinstance(value, str) or (isinstance(value, Placeholder) and plain(value_of(value).type) is str)
            written = value if is_text else Placeholder("text", str, "{}", value)
            self._builder.tags[name] = values.expression(written, str, site)


def _optional(verb: Callable[..., object], *words: str) -> None:
    """Type checkers insist on these words. While a definition is built, leaving one out is a problem like any other."""
    function = inspect.unwrap(verb)
    function.__kwdefaults__ = {**(function.__kwdefaults__ or {}), **dict.fromkeys(words)}


_optional(Saga.step, "undo")
_optional(Saga.child, "undo")
_optional(Saga.each, "limit")
_optional(Saga.repeat, "limit")
_optional(Saga.approval, "roles")
_optional(Saga.gate, "roles")
