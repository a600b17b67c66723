"""Authoring: a typed function becomes a definition, which is data; what cannot work is refused, place by place."""

import sys
from datetime import timedelta
from types import ModuleType
from typing import Any

from saga.core.errors import DefinitionError, Problem
from saga.define.definition import DEADLINE_DEFAULT, Definition, define
from saga.define.diagram import mermaid
from saga.define.explain import explain, explain_data
from saga.define.lint import lint
from saga.define.placeholder import PlaceholderMisuse
from saga.define.saga import Otherwise, Saga
from saga.define.words import (
    On,
    Retry,
    all_of,
    any_of,
    coalesce,
    no_undo,
    not_,
    one_of,
    present,
    required,
    size,
    text,
)

__all__ = [
    "Definition",
    "DefinitionError",
    "On",
    "Otherwise",
    "PlaceholderMisuse",
    "Problem",
    "Retry",
    "Saga",
    "all_of",
    "any_of",
    "coalesce",
    "define",
    "explain",
    "explain_data",
    "lint",
    "mermaid",
    "no_undo",
    "not_",
    "one_of",
    "present",
    "required",
    "size",
    "text",
]


class _Callable(ModuleType):
    """The package and the word `saga.define` share a name, and Python binds whichever was imported last."""

    def __call__(self, name: str, *, version: int, deadline: timedelta = DEADLINE_DEFAULT) -> Any:
        return define(name, version=version, deadline=deadline)


sys.modules[__name__].__class__ = _Callable
