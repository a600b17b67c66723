"""`saga completion`: what the shell loads, and what answers it."""

import logging
import os
import sys

import click
from click.shell_completion import get_completion_class

VARIABLE = "_SAGA_COMPLETE"
"""Set by the shell: this is no command, the words so far want an end."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash:  eval "$(saga completion bash)"        in ~/.bashrc
    zsh:   eval "$(saga completion zsh)"         in ~/.zshrc
    fish:  saga completion fish | source         in ~/.config/fish/config.fish

    Saga ids, keys and definition names come from the store, if it answers at once.
    """
    found = get_completion_class(shell)
    assert found is not None, "one of the shells of the library"
    click.echo(found(ctx.find_root().command, {}, "saga", VARIABLE).source())


def answer(cli: click.Group) -> None:
    """Answer the shell and end, whatever a thread still waits for."""
    logging.disable()
    code: object = 1
    try:
        cli(prog_name="saga", standalone_mode=False)
    except SystemExit as leave:
        code = leave.code
    finally:
        sys.stdout.flush()
        os._exit(code if isinstance(code, int) else 1)
