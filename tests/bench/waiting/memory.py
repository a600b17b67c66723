"""Memory of a process, as the kernel counts it."""

from pathlib import Path

import msgspec


class Memory(msgspec.Struct, frozen=True):
    """In MiB."""

    rss: float
    pss: float
    """Pages shared with other processes count in parts."""


def memory_of(pid: int) -> Memory:
    """Of one process, without its children."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    fields = {name: value for name, _, value in (line.partition(":") for line in lines)}
    return Memory(*(round(int(fields[name].split()[0]) / 1024, 1) for name in ("Rss", "Pss")))
