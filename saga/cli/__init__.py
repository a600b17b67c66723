"""The command line. Commands are imported when they are called: `saga --help` must not pay for a broker client."""

from saga.cli.main import main

__all__ = ["main"]
