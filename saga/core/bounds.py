"""How much and how long one saga may be, with units. They stop only what would begin: compensation always fits."""

from datetime import timedelta

RECORDED_BYTES_MAX = 1024 * 1024
EVENTS_MAX = 10_000
ACTION_EXPIRES_AFTER = timedelta(days=7)
"""A command's `saga-expires-at`: one constant, not the attempt's timeout, or a long backlog would starve for ever."""
RESEND_AFTER = timedelta(seconds=10)
"""An attempt not known to have reached the broker is sent again after this long."""
RESEND_CAP = timedelta(minutes=1)
"""While a queue stays away the re-sends become rarer, up to this."""
UNCOUNTED_FIRST = timedelta(seconds=1)
"""First back-off after an answer that is no attempt; doubled up to the caps below."""
BUSY_RETRY_CAP = timedelta(seconds=15)
UNKNOWN_COMMAND_RETRY_CAP = timedelta(days=1)
"""Two events each time: a history would be full in half a week of minutes."""
GAP_ASK_AFTER = timedelta(minutes=1)
"""A command its service does not know is sent again that often between two attempts, without a record."""
RETRY_AFTER_MAX = timedelta(days=1)
SLEEP_MAX = timedelta(days=3_660)
SIGNALS_WAITING_MAX = 100
"""Signals of one saga that no wait has consumed."""
SIGNALS_WAITING_BYTES_MAX = 256 * 1024
"""Of their bodies together."""
SIGNALS_MAX = 10_000
"""That one saga takes in its life: their ids are kept, so that each counts once."""
MAP_ITEMS_MAX = 1_000
"""The greatest `limit` a definition may give an `each` block."""
TURNS_MAX = 1_000
"""The greatest `limit` a definition may give a `repeat` block."""
DECISIONS_MAX = 100
"""People who may decide on one request."""
SUMMARY_CHARACTERS_MAX = 500
CHILDREN_MAX = 1_000
"""Sagas below one root."""
CHILD_DEPTH_MAX = 8
"""Sagas above a child, the root included."""
WHY_CHARACTERS_MAX = 300
"""Of a participant's own words in the reason why a saga waits."""
