"""Where a block stands in a run: `seats[2]/add` is the step `seats/add` for item 2, `draft#3/write` that of turn 3.

A definition knows templates (`seats/add`), a history knows instances (`seats[2]/add`). Names of blocks cannot hold
`[`, `#` or `/`, so the two forms never meet.
"""

import re
from collections.abc import Mapping

_INDEX = re.compile(r"\[\d+\]|#\d+")

Address = Mapping[str, str]
"""For every `each` and `repeat` around a place: its template path -> its instance, `{"seats": "seats[2]"}`."""

TOP: Address = {}


def template(path: str) -> str:
    """The path as the definition writes it."""
    return _INDEX.sub("", path) if "[" in path or "#" in path else path


def instance(path: str, at: Address) -> str:
    """A template path as seen from an address: innermost `each` or `repeat` first."""
    if not at or "/" not in path:
        return path
    parent, _, name = path.rpartition("/")
    return f"{at.get(parent) or instance(parent, at)}/{name}"


def address_of(path: str) -> Address:
    """The address at which an instance path stands: of what is around it, not of itself."""
    if "/" not in path:
        return TOP
    found: dict[str, str] = {}
    here = ""
    for part in path.split("/")[:-1]:
        here = f"{here}/{part}" if here else part
        found[template(here)] = here
    return found


def inside(path: str, at: Address, index: str) -> Address:
    """The address within one item (`[2]`) or turn (`#3`) of the block whose template path is given."""
    return {**at, path: instance(path, at) + index}
