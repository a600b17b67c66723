"""CPU seconds of processes, as the kernel counts them."""

import os
from collections.abc import Mapping
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """So far, of each process with its children, also of those that have ended.

    Not for a process that started others of these: it would be counted as all of them.
    """
    return {name: _tree(pid) for name, pid in pids.items()}


def _tree(pid: int) -> float:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return 0.0
    return _own(pid) + sum(_tree(int(child)) for child in children)


def _own(pid: int) -> float:
    """Of the process, and of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / TICKS_PER_SECOND
