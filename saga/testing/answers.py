"""What scripted participants answer, and what becomes of their messages on the way.

reply, failure      CardCharged("ch-1"), CardDeclined("no"): done, or refused for a declared business reason
ok, failed          the same in words; `failed` also takes a code without a value
retry, refused      about this delivery only: the outcome stays unknown
silent              no answer, and nothing was done

lost, late, stuck, twice    wrap an answer: its reply is lost or late, its command is late, everything comes twice
costing                     wraps an answer: it tells what its work cost
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from saga.contract import Failure, contract_of
from saga.core.messages import CommandMessage, Kind, Outcome, RefusedCode
from saga.cost import Cost, read
from saga.define import Definition

C = TypeVar("C", bound=msgspec.Struct)

UNDO_SUFFIX = ".undo"
"""`charge.undo` is the compensation of the step `charge`."""
NOW = timedelta(0)


def address(path: str, kind: Kind) -> str:
    """What tests call an action or its compensation: `charge`, `charge.undo`."""
    return path if kind is Kind.ACTION else f"{path}{UNDO_SUFFIX}"


def split(step: str) -> tuple[str, Kind]:
    """The path and kind behind such a name."""
    plain = step.removesuffix(UNDO_SUFFIX)
    return plain, Kind.ACTION if plain == step else Kind.COMPENSATION


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A command on its way to a participant."""

    step: str
    """`charge`, or `charge.undo` for its compensation."""
    at: datetime
    message: CommandMessage
    """As it stands on the wire: key, attempt, expiry."""

    @property
    def type_name(self) -> str:
        """`payments.ChargeCard.v1`."""
        return self.message.type_name

    @property
    def body(self) -> bytes:
        """Its JSON."""
        return self.message.body

    def as_a(self, kind: type[C]) -> C:
        """The command as its class. Raises TypeError when it is another one."""
        wanted = contract_of(kind).type_name
        if wanted != self.type_name:
            raise TypeError(f"{self.step} was sent {self.type_name}, which is no {wanted}")
        return msgspec.json.decode(self.body, type=kind)

    def __str__(self) -> str:
        again = "" if self.message.attempt == 1 else f" attempt {self.message.attempt}"
        return f"{self.step}: {self.type_name}{again} {self.body.decode()}"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a participant says to one delivery. Made by `ok`, `failed`, `retry`, `refused` and `silent`."""

    outcome: Outcome | None
    """None: it says nothing."""
    value: msgspec.Struct | None = None
    code: str = ""
    message: str = ""
    after: timedelta | None = None
    done: msgspec.Struct | None = None
    """With `retry` and `silent`: what it did nevertheless."""
    plays: "Played | None" = None
    """Of a sub-saga: it runs, and its end is the answer."""
    cost: Cost | None = None
    """What its work cost."""


class Played(msgspec.Struct, frozen=True):
    """A sub-saga that is played itself. Made by `played`."""

    definition: Definition[Any, Any]
    answers: "Answers"


class Mishap(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, and what becomes of its messages. Made by `lost`, `late`, `stuck` and `twice`."""

    answer: Answer
    reply_lost: bool = False
    reply_after: timedelta = NOW
    command_after: timedelta = NOW
    copies: int = 1
    times: int | None = 1
    """How many deliveries it befalls; None: all."""


One = msgspec.Struct | Callable[[Sent], msgspec.Struct]
"""A reply, a failure, an `Answer` or `Mishap`, or a function that makes one from the command."""
Script = One | Sequence[One]
"""Several are used up sending by sending; then its last answer goes on, without its mishap, or its function is asked
every time."""
Answers = Mapping[str, Script]
"""Scripts by step: `charge`, and `charge.undo` for its compensation. Compensations need none.

`seats/add` answers in every item, one after the other; `seats[2]/add` in that one. So with turns: `draft#3/write`.
"""


def ok(reply: msgspec.Struct | None = None) -> Answer:
    """Done. Compensations need no reply."""
    return Answer(outcome=Outcome.OK, value=reply)


def failed(failure: Failure | str, message: str = "") -> Answer:
    """A declared business refusal: nothing was done, for good. A bare code will do where nobody reads the rest."""
    if isinstance(failure, str):
        return Answer(outcome=Outcome.FAILED, code=failure, message=message)
    return Answer(outcome=Outcome.FAILED, value=failure, code=type(failure).__name__, message=message)


def retry(code: str = "unavailable", *, after: timedelta | None = None, done: msgspec.Struct | None = None) -> Answer:
    """Not now; nothing is claimed. `after` is the participant's wish. With `done` it did it, and does not know."""
    return Answer(outcome=Outcome.RETRY, code=code, after=after, done=done)


def refused(code: RefusedCode | str, message: str = "") -> Answer:
    """This delivery is not taken; says nothing of the step. Raises ValueError for a code the wire does not have."""
    return Answer(outcome=Outcome.REFUSED, code=RefusedCode(code).value, message=message)


def played(definition: Definition[Any, Any], answers: "Answers") -> Answer:
    """The sub-saga is played with these answers, and undone as it would be; `run.children` has its run."""
    return Answer(outcome=Outcome.OK, plays=Played(definition, answers))


def silent(*, done: msgspec.Struct | None = None) -> Answer:
    """No answer, ever. With `done` it did it first."""
    return Answer(outcome=None, done=done)


def lost(answer: msgspec.Struct | None = None, *, times: int | None = 1) -> Mishap:
    """It is done and the reply never arrives; `times=None`: none of its replies ever does."""
    return msgspec.structs.replace(_mishap(answer), reply_lost=True, times=times)


def late(answer: msgspec.Struct | None = None, *, by: timedelta) -> Mishap:
    """It is done at once, and the reply takes that long."""
    return msgspec.structs.replace(_mishap(answer), reply_after=by)


def stuck(answer: msgspec.Struct | None = None, *, by: timedelta) -> Mishap:
    """The command itself takes that long to arrive; what its key allows then is done."""
    return msgspec.structs.replace(_mishap(answer), command_after=by)


def twice(answer: msgspec.Struct | None = None) -> Mishap:
    """The command is delivered twice, and each delivery is answered."""
    return msgspec.structs.replace(_mishap(answer), copies=2)


def costing(cost: str, answer: msgspec.Struct | None = None) -> Mishap:
    """It tells what its work cost: `costing("0.0123 USD, 1520 tokens", CardCharged("ch-1"))`. Told again with the same
    answer, it counts once. Raises ValueError for a text that is no cost."""
    mishap = _mishap(answer)
    return msgspec.structs.replace(mishap, answer=msgspec.structs.replace(mishap.answer, cost=read(cost)))


def _mishap(answer: msgspec.Struct | None) -> Mishap:
    return mishap_of(ok() if answer is None else answer)


def mishap_of(one: Any) -> Mishap:
    """Whatever a script holds, in its one form. Raises TypeError for what is no answer."""
    match one:
        case Mishap():
            return one
        case Answer():
            return Mishap(answer=one)
        case Failure():
            return Mishap(answer=failed(one))
        case msgspec.Struct():
            return Mishap(answer=ok(one))
        case _:
            raise TypeError(f"{one!r} is no answer. Fix: a reply, a declared failure, ok(), retry(), lost(...), ...")
