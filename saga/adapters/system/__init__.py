"""The real clock and real chance: the only place that asks the machine for time, ids and randomness."""

import asyncio
import secrets
import time
from datetime import UTC, datetime

__all__ = ["SystemClock", "SystemIds"]

_FRACTION_BITS = 12
_NANOSECONDS_PER_MILLISECOND = 1_000_000


class SystemClock:
    """`saga.ports.Clock` of this machine."""

    def now(self) -> datetime:
        """UTC, aware; may step back when the machine's clock is set."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let others run for that long."""
        await asyncio.sleep(seconds)


class SystemIds:
    """`saga.ports.Ids` of this machine: saga ids of one instance rise strictly, also within a millisecond."""

    def __init__(self) -> None:
        self._last = 0

    def saga(self) -> str:
        """A UUIDv7 whose twelve bits after the version count 244 ns steps (RFC 9562, 6.2, method 3)."""
        milliseconds, rest = divmod(time.time_ns(), _NANOSECONDS_PER_MILLISECOND)
        fraction = (rest << _FRACTION_BITS) // _NANOSECONDS_PER_MILLISECOND
        self._last = max((milliseconds << _FRACTION_BITS) | fraction, self._last + 1)
        milliseconds, fraction = divmod(self._last, 1 << _FRACTION_BITS)
        digits = f"{milliseconds:012x}7{fraction:03x}{(0b10 << 62) | secrets.randbits(62):016x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def message(self) -> str:
        """32 random hex characters."""
        return secrets.token_hex(16)
