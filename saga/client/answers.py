"""What a caller gets back, as values."""

from typing import Any, Generic, TypeVar

import msgspec

from saga.core.errors import SagaError
from saga.core.messages import ResultMessage, StartMessage
from saga.define import Definition

O = TypeVar("O")  # noqa: E741 - the output


class Refused(SagaError):
    """The engine refused what was asked; asking again the same way is refused again."""

    def __init__(self, code: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{code}: {reason}", code=code)


class Started(msgspec.Struct, Generic[O], frozen=True):
    """An accepted start. `Client.result` waits for its end."""

    saga: str
    existing: bool
    """The same start had been accepted before."""
    definition: Definition[Any, O] | str
    message: StartMessage
    """What was sent, and may be sent again."""


class Ended(msgspec.Struct, Generic[O], frozen=True):
    """How a saga ended."""

    saga: str
    status: str
    """`completed`, `compensated` or `abandoned`."""
    output: O | None
    """What the definition returns; None unless completed."""
    code: str = ""
    reason: str = ""
    """Why it was compensated or abandoned."""


def ended(definition: Definition[Any, O] | str, answer: ResultMessage) -> Ended[O] | Ended[msgspec.Raw]:
    """The typed end: of a definition known only by name the output stays JSON."""
    if isinstance(definition, str):
        raw = msgspec.Raw(answer.output) if answer.output else None
        return Ended(answer.saga, answer.status, raw, answer.code, answer.reason)
    output = msgspec.json.decode(answer.output, type=definition.output) if answer.output else None
    return Ended(answer.saga, answer.status, output, answer.code, answer.reason)
