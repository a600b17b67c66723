"""Lengths of time as options give them: never less than nothing, and never endless."""

import math
from typing import Any

import click

DECADE_SECONDS = 10 * 366 * 86_400.0


class Length(click.FloatRange):
    """A number from 0 up to ten years of its unit, which is no `nan`."""

    def __init__(self, *, unit_seconds: float = 1.0, least: float = 0.0) -> None:
        super().__init__(min=least, max=DECADE_SECONDS / unit_seconds)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raises BadParameter."""
        found = super().convert(value, param, ctx)
        if math.isnan(found):
            self.fail(f"{value!r} is no length of time", param, ctx)
        return found


SECONDS = Length()
HOURS = Length(unit_seconds=3_600.0)
