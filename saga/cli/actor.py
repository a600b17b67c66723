"""Who acts at the command line, and why: recorded as it is said."""

import getpass
import os

import click


def login() -> str:
    """The name of this login; `uid-N` in a container whose user has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # in that order: before Python 3.13, since then, and on Windows
        return f"uid-{os.getuid()}" if hasattr(os, "getuid") else "unknown"


def not_blank(_ctx: click.Context, _option: click.Parameter, given: str | None) -> str | None:
    """What is recorded says something. Raises BadParameter."""
    if given is not None and not given.strip():
        raise click.BadParameter("is recorded and may not be blank")
    return given


actor_option = click.option(
    "--actor", default=login, callback=not_blank, help="Who; recorded as a claim [default: this login]."
)
reason_option = click.option("--reason", required=True, callback=not_blank, help="Why; recorded.")
