"""What every recorded event has, and what those have that an answer leads to."""

from datetime import datetime

import msgspec

from saga.cost import Cost


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True):
    """A fact. `at` is the decision's time, by the store's clock."""

    at: datetime


class Costly(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact that an answer may lead to. Its cost stands in the first of them only, so it counts once."""

    cost: Cost | None = None
    """What the answer said that its work cost; `{}` when that cannot be read."""
