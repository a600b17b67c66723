"""How much and how long one saga may be, with units. They stop new forward steps only: compensation always fits."""

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
UNKNOWN_COMMAND_RETRY_CAP = timedelta(minutes=1)
RETRY_AFTER_MAX = timedelta(days=1)
WHY_CHARACTERS_MAX = 300
"""Of a participant's own words in the reason why a saga waits."""
