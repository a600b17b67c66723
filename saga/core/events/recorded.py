"""What every recorded event has."""

from datetime import datetime

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True):
    """A fact. `at` is the decision's time, by the store's clock."""

    at: datetime
