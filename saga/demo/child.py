"""Runs a module as `python -m saga.demo.child MODULE [ARGUMENT]...` and does not outlive whoever started it.

The starter holds the other end of standard input; when it is gone, however it went, this process ends like by SIGTERM,
and soon after by force.
"""

import os
import runpy
import signal
import sys
import threading

DRAIN_SECONDS_MAX = 5.0


def main() -> None:
    """Become the module."""
    threading.Thread(target=_watch_starter, daemon=True).start()
    module, sys.argv = sys.argv[1], sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _watch_starter() -> None:
    while os.read(0, 1024):
        continue
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(DRAIN_SECONDS_MAX)
    os._exit(1)


if __name__ == "__main__":
    main()
