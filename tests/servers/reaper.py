"""Ends what a test run started, even when the run itself was killed: a child that waits for our end of a pipe."""

import subprocess
import sys
from pathlib import Path
from threading import Lock

# Reads "+ group folder" and "- group folder" lines; end of file means that the test run is over, however it ended.
_SCRIPT = """
import os, shutil, signal, sys
wards = {}
for line in sys.stdin:
    sign, group, folder = line.rstrip("\\n").split(" ", 2)
    if sign == "+":
        wards[group] = folder
    else:
        wards.pop(group, None)
for group in wards:
    try:
        os.killpg(int(group), signal.SIGKILL)
    except ProcessLookupError:
        pass
for folder in set(wards.values()):
    shutil.rmtree(folder, ignore_errors=True)
"""


class Reaper:
    """Process groups and their folders that must not outlive this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._child: subprocess.Popen[str] | None = None

    def watch(self, group: int, folder: Path) -> None:
        self._tell(f"+ {group} {folder}")

    def forget(self, group: int, folder: Path) -> None:
        """After the group has ended: its number may soon belong to somebody else."""
        self._tell(f"- {group} {folder}")

    def _tell(self, line: str) -> None:
        with self._lock:
            if self._child is None:
                self._child = subprocess.Popen(
                    [sys.executable, "-c", _SCRIPT], stdin=subprocess.PIPE, text=True, start_new_session=True
                )
            assert self._child.stdin is not None
            self._child.stdin.write(line + "\n")
            self._child.stdin.flush()


REAPER = Reaper()
