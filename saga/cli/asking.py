"""Asking before what cannot be taken back; nobody is asked off a terminal."""

import sys

import click

from saga.cli.failure import stopped


def confirm(question: str, *, yes: bool) -> None:
    """Go on only with `--yes` or a yes. Raises CommandFailed off a terminal, Abort for a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise stopped()
    click.confirm(question, abort=True, err=True)
