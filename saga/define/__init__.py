"""Authoring: a typed function becomes a definition, which is data; what cannot work is refused, place by place."""

import sys
from datetime import timedelta
from types import ModuleType
from typing import Any

from saga.core.errors import DefinitionError, Problem
from saga.define.branching import Branches
from saga.define.built import Definition
from saga.define.definition import DEADLINE_DEFAULT, define
from saga.define.diagram import mermaid
from saga.define.explain import explain, explain_data
from saga.define.lint import lint
from saga.define.people import Approved
from saga.define.placeholder import PlaceholderMisuse
from saga.define.saga import Saga
from saga.define.structure import Otherwise, Turn
from saga.define.words import (
    Escalate,
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
    "Approved",
    "Branches",
    "Definition",
    "DefinitionError",
    "Escalate",
    "On",
    "Otherwise",
    "PlaceholderMisuse",
    "Problem",
    "Retry",
    "Saga",
    "Turn",
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
