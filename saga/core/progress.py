"""What a walk through the blocks finds at one place."""

import msgspec

from saga.core import events as e


class Done(msgspec.Struct, frozen=True):
    """This sequence is through."""


class Blocked(msgspec.Struct, frozen=True):
    """Something is under way, or waits for a person."""


class Failing(msgspec.Struct, frozen=True):
    """Something gave up; an enclosing attempt block may take another way."""

    path: str
    because: str
    code: str
    message: str
    at_rest: bool = True
    """Nothing that it began is under way any more: it takes up no place among its siblings."""


class Emit(msgspec.Struct, frozen=True):
    """What happens next."""

    events: tuple[e.AnyEvent, ...]


Progress = Done | Blocked | Failing | Emit
DONE = Done()
BLOCKED = Blocked()
