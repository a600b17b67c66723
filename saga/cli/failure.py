"""How an error leaves a command: its code, place and reason, then why, what to do, and where its page is."""

import os
import sys
import traceback
from collections.abc import Sequence
from itertools import pairwise

import click
import msgspec

from saga.core.codes import CODES, Code, Exit, code_of
from saga.core.errors import DefinitionError, SagaError

FIX = " Fix: "
UNKNOWN = CODES["SAGA-1000"]
USAGE = CODES["SAGA-1001"]
DEFECT = CODES["SAGA-9001"]
RED, DIM = "31;1", "2"


class CommandFailed(SagaError):
    """A command cannot do what it was asked. The message is place and reason, then ` Fix: ` and what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, code=code)


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as one JSON object: stable, fields are only added."""

    code: str
    message: str
    why: str
    fix: str
    exit_code: int
    page: str
    word: str = ""
    """As the wire spells it."""
    problems: list[dict[str, str]] = []
    """Of a definition: place, reason and fix of each."""


def told(error: Exception) -> Told:
    """What there is to say about an error, whatever it is."""
    if isinstance(error, SagaError):
        return _of_ours(error, code_of(error.code) or UNKNOWN)
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx is not None else "saga"
        message, _, fix = error.format_message().partition(FIX)
        return _told(USAGE, f"{command}: {message}", fix or f"{command} --help")
    if isinstance(error, click.ClickException):
        message, _, fix = error.format_message().partition(FIX)
        return _told(UNKNOWN, message, fix)
    return _told(DEFECT, f"{type(error).__name__}: {error}", "")


def report(error: Exception, arguments: Sequence[str]) -> int:
    """Write the error to stderr, as JSON where the command line asks for it; returns the exit code."""
    found = told(error)
    if found.code == DEFECT.number:
        traceback.print_exception(error)
    if wants_json(arguments):
        click.echo(msgspec.json.encode(found).decode(), err=True)
    else:
        click.echo(as_text(found, coloured=sys.stderr.isatty() and not os.environ.get("NO_COLOR")), err=True)
    return found.exit_code


def as_text(found: Told, *, coloured: bool) -> str:
    """For people: one line that could stand alone, then three that help."""

    def paint(text: str, how: str) -> str:
        return f"\033[{how}m{text}\033[0m" if coloured else text

    lines = [f"{paint(found.code, RED)} {found.message}"]
    lines += [
        f"  {paint(label, DIM)} {text}"
        for label, text in (("why: ", found.why), ("fix: ", found.fix), ("page:", found.page))
    ]
    return "\n".join(lines)


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether `-o json` or `-o jsonl` was typed; also where the line cannot be understood otherwise."""
    forms = ("json", "jsonl")
    spelled = {f"{option}{form}" for option in ("-o", "-o=", "--output=") for form in forms}
    return any(one in spelled for one in arguments) or any(
        option in ("-o", "--output") and form in forms for option, form in pairwise(arguments)
    )


def _of_ours(error: SagaError, code: Code) -> Told:
    if isinstance(error, DefinitionError):
        return _of_definition(error, code)
    message, _, fix = str(error).partition(FIX)
    return _told(code, message, fix)


def _of_definition(error: DefinitionError, code: Code) -> Told:
    """One problem is the message; several are listed below it."""
    problems = [{"place": each.place, "reason": each.reason, "fix": each.fix} for each in error.problems]
    about = "; ".join([error.definition, *getattr(error, "__notes__", ())])
    if len(error.problems) == 1:
        (only,) = error.problems
        found = _told(code, f"{only.place}: {only.reason} [{about}]", only.fix)
    else:
        _, _, listed = str(error).partition("\n")
        found = _told(code, f"{about}: {len(problems)} problems\n{listed}", "")
    return msgspec.structs.replace(found, problems=problems)


def _told(code: Code, message: str, fix: str) -> Told:
    return Told(
        code=code.number,
        message=message.rstrip().removesuffix("."),
        why=code.why,
        fix=fix or code.fix,
        exit_code=int(code.exit_code),
        page=code.page,
        word=code.word,
    )


def stopped() -> Exception:
    """What an unanswered question becomes where nobody can be asked."""
    return CommandFailed("SAGA-1014", "it asks before it goes on, and nobody answered. Fix: --yes, once you are sure")


__all__ = ["CommandFailed", "Exit", "Told", "as_text", "report", "stopped", "told", "wants_json"]
