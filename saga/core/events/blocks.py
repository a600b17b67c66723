"""The way through the blocks of a definition."""

import msgspec

from saga.core.events.recorded import Event


class ArmChosen(Event, frozen=True, kw_only=True, tag="ArmChosen", omit_defaults=True):
    """A condition was evaluated, once."""

    path: str
    taken: bool


class BlockFailed(Event, frozen=True, kw_only=True, tag="BlockFailed", omit_defaults=True):
    """An attempt block gave up: what it did is undone, then the other way is taken."""

    path: str
    step: str
    code: str
    released: tuple[str, ...] = ()
    """What was parked in it, going forward: it is undone as unknown, and in front of nobody any more."""


class BlockUndone(Event, frozen=True, kw_only=True, tag="BlockUndone", omit_defaults=True):
    """Everything an attempt block did is undone; its otherwise part begins."""

    path: str


class BranchChosen(Event, frozen=True, kw_only=True, tag="BranchChosen", omit_defaults=True):
    """The first branch of a block where one is enough has succeeded: the others are undone."""

    path: str
    branch: str
    """The one that won."""
    others: tuple[str, ...]
    """The branches that are given up and undone."""
    released: tuple[str, ...] = ()
    """What was parked in those, going forward: it is undone as unknown, and in front of nobody any more."""


class MapStarted(Event, frozen=True, kw_only=True, tag="MapStarted", omit_defaults=True):
    """The items of an `each` block, frozen: the index in this list is an item's address for ever."""

    path: str
    items: tuple[msgspec.Raw, ...]
    """In the order of the list."""


class LoopTurned(Event, frozen=True, kw_only=True, tag="LoopTurned", omit_defaults=True):
    """A turn of a loop is through."""

    path: str
    turn: int
    """From 1."""
    done: bool
    """The condition holds: there is no further turn."""
