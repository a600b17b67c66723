"""Which sagas are traced: one decision a saga, at its start, made from its id so that nobody can decide otherwise."""

from collections.abc import Iterable
from typing import Final

import msgspec

from saga.core.identity import trace_id

OTHERS: Final = "*"
_RANDOM_DIGITS: Final = 14
"""Of a trace id, from the right: the 56 bits that W3C trace context promises to be random, as a UUIDv7's are."""


class Sampling(msgspec.Struct, frozen=True):
    """The share of each definition's sagas that is traced."""

    ratios: dict[str, float] = {}
    """By name; `*` stands for every other. What is not named is traced."""

    def traces(self, name: str, root: str) -> bool:
        """Whether the trace with this root saga is to be taken."""
        ratio = self.ratios.get(name, self.ratios.get(OTHERS, 1.0))
        return int(trace_id(root)[-_RANDOM_DIGITS:], 16) < ratio * 16**_RANDOM_DIGITS


def sampling_of(entries: Iterable[str]) -> Sampling:
    """Read `definition=ratio` entries. Raises ValueError with the reason and the fix."""
    ratios: dict[str, float] = {}
    for entry in entries:
        name, equals, text = entry.partition("=")
        try:
            ratio = float(text)
        except ValueError:
            ratio = -1.0
        if not (name and equals and 0.0 <= ratio <= 1.0):
            raise ValueError(f"{entry!r} is no share. Fix: definition=0.1, or *=0.1 for all others; from 0 to 1")
        ratios[name.strip()] = ratio
    return Sampling(ratios)
