"""The catalogue of error codes: what each means, why it happens, what to do, and how a command that meets it ends.

A code has a number, `SAGA-4001`; the words that the engine and participants write (`key-reused`, `forged-sender`) are
codes as well, each with a number. Codes are stable: one is added, never given another meaning. The pages under
docs/reference/errors are written from here.
"""

from typing import Final

from saga.core.codes.answers import DELIVERIES, STEPS
from saga.core.codes.command_line import COMMAND_LINE
from saga.core.codes.exits import Exit
from saga.core.codes.failures import FAILURES
from saga.core.codes.messages import MESSAGES
from saga.core.codes.said import SAID
from saga.core.codes.shape import Code

CODES: Final = {each.number: each for each in (*COMMAND_LINE, *FAILURES, *MESSAGES, *DELIVERIES, *STEPS, *SAID)}
"""By number."""

_BY_WORD: Final = {each.word: each for each in CODES.values() if each.word}


def code_of(name: str) -> Code | None:
    """The code of a number or a word, in any case; None for what is not in the catalogue."""
    return CODES.get(name.upper()) or _BY_WORD.get(name.lower())


__all__ = ["CODES", "Code", "Exit", "code_of"]
