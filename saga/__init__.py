"""The shop window: what a team needs to write contracts, participants, definitions and callers.

Names are imported when they are first used: a contracts module must not pay for a broker client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saga.client import Client
    from saga.contract import Command, Context, Effect, Failure, InDoubt, RetryLater, command
    from saga.core.errors import DefinitionError
    from saga.define import (
        On,
        Retry,
        Saga,
        all_of,
        any_of,
        coalesce,
        define,
        no_undo,
        not_,
        one_of,
        present,
        required,
        size,
        text,
    )
    from saga.participant import Participant

__all__ = [
    "Client",
    "Command",
    "Context",
    "DefinitionError",
    "Effect",
    "Failure",
    "InDoubt",
    "On",
    "Participant",
    "Retry",
    "RetryLater",
    "Saga",
    "all_of",
    "any_of",
    "coalesce",
    "command",
    "define",
    "no_undo",
    "not_",
    "one_of",
    "present",
    "required",
    "size",
    "text",
]

_HOMES = {
    "Client": "saga.client",
    "Participant": "saga.participant",
    "DefinitionError": "saga.core.errors",
    **dict.fromkeys(
        ("Command", "Context", "Effect", "Failure", "InDoubt", "RetryLater", "command"),
        "saga.contract",
    ),
}


if not TYPE_CHECKING:  # checkers go by the imports above, and find a name that is misspelt

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module 'saga' has no attribute {name!r}")
        value = getattr(import_module(_HOMES.get(name, "saga.define")), name)
        if name != "define":  # the subpackage of that name is bound by the import itself; it can be called
            globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
