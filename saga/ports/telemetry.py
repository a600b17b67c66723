"""Where spans go."""

from collections.abc import Sequence
from typing import Protocol

from saga.core.spans import Span


class TraceBackend(Protocol):
    """A tracing backend. It may be sent the same span twice, and knows it by its id."""

    async def export(self, spans: Sequence[Span]) -> None:
        """Hand over all of them. Raises Unavailable while it cannot take them: send all of them again, later."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
