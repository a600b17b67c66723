"""How a command ends, as a number for scripts. Stable."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of `saga`."""

    OK = 0
    FAILED = 1
    """The operation failed, or a check found something."""
    USAGE = 2
    """Nothing was tried: an argument, a setting or a file named there cannot be used."""
    NOT_FOUND = 3
    CONFLICT = 4
    """It does not fit the present state: already decided, published with other content, tables or queues missing."""
    AUTH = 5
    UNREACHABLE = 6
    """Broker or store do not answer: the same command may succeed later."""
    COMPENSATED = 7
    """The saga that was waited for ended compensated."""
    ABANDONED = 8
    """The saga that was waited for ended abandoned: an operator closed it as it was."""
    TIMEOUT = 124
    """What was waited for has not come in time; it goes on."""
