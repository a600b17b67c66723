"""Place: a point of a run that is looked at, and what may be read there."""

from datetime import datetime

import msgspec

from saga.core.address import Address, inside, instance
from saga.core.plan import Plan
from saga.core.sources import Recorded
from saga.core.state import SagaState


class Place(msgspec.Struct, frozen=True, eq=False):
    """A definition, a state, an address in it, and the time."""

    plan: Plan
    state: SagaState
    at: Address
    now: datetime

    def path(self, template: str) -> str:
        """The instance that a block's template path means here."""
        return instance(template, self.at)

    def read(self, **more: bytes) -> Recorded:
        """What expressions read here; `more` are sources that stand only for this look."""
        return Recorded(self.state, self.at, more=more)

    def inside(self, template: str, index: str) -> "Place":
        """The place within one item (`[2]`) or turn (`#3`) of a block."""
        return msgspec.structs.replace(self, at=inside(template, self.at, index))
