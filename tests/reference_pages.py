"""The references of commands, settings and events, written from the code: `python -m tests.reference_pages`.

What stands outside the marks is written by hand and kept. `make docs` writes these pages and all others that follow
from the code.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, get_args

import click

from saga.cli.main import cli
from saga.core import events
from saga.settings import PREFIX, Settings

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
COMMANDS, SETTINGS, EVENTS = FOLDER / "cli.md", FOLDER / "settings.md", FOLDER / "events.md"
BEGIN, END = "<!-- from the code -->", "<!-- /from the code -->"
MARKED = re.compile(rf"{BEGIN}\n.*?{END}\n", re.DOTALL)
FIX = "stale. Fix: make docs"

KINDS = {
    "msgspec.Raw": "JSON",
    "datetime": "time",
    "dict[str, str]": "names and texts",
    "tuple[str, ...]": "texts",
    "Cost": "amounts by unit",
}
EVERYWHERE = {
    "at": "When it was decided, by the store's clock.",
    "path": "The step, or block, of the definition.",
    "kind": "`action` or `compensation`.",
    "execution": "Which execution of the step, from 1; a repeat under the same key is the same execution.",
    "attempt": "Which sending of the command, from 1.",
    "due_at": "When this attempt counts as unanswered.",
    "within_at": "When the execution has had its time.",
    "next_at": "When the next attempt follows.",
    "body": "The command as it was sent.",
    "code": "The code of the answer: the name of a declared failure, or a word of [the catalogue](errors/README.md).",
    "message": "What the service said to it, for people.",
    "failure": "The declared failure, as it was answered.",
    "effect": "What the answer claims: `applied`, `replayed` from the inbox, or `none`.",
    "outcome": "What was answered: `ok`, `failed`, `retry` or `refused`.",
    "handler_ms": "How long the handler took, in milliseconds, as the participant says.",
    "why": "The code of the reason.",
    "text": "The reason, for people.",
    "actor": "Who, as claimed; believed of gateway users.",
    "by": "The broker user, or `operator`.",
    "reason": "Why, as the person wrote it.",
    "evidence": "What was looked at, and what it showed.",
    "saga": "Its id.",
    "name": "Of the definition.",
    "start_key": "What the saga was started as: `k:` and the business key, or `m:` and the id of the start message.",
    "definition": "Its hash.",
    "definition_version": "Its version.",
    "input": "The input as it was sent.",
    "reply": "What was answered.",
    "output": "What the definition returns.",
    "root": "The saga at the top; the same, unless this one is a child.",
    "parent": "The saga above it.",
    "deadline_at": "When the whole saga has had its time.",
    "tags": "As the definition says.",
    "requester": "As the definition says.",
    "message_id": "Of the start message.",
    "reply_to": "Where answers go.",
    "taken": "Whether the condition held.",
    "verdict": "`retry`, `applied`, `not-applied` or `undo`.",
    "undoes_outcome": "What the engine knew of the action: `ok` or `unknown`.",
    "step": "The step whose failure it was.",
    "request": "Id of the cancel request.",
}


class Field(NamedTuple):
    """One field of a class, with the sentence below it."""

    name: str
    kind: str
    required: bool
    meaning: str


def pages() -> dict[Path, str]:
    """Every page as it has to be, with its hand-written text as it is."""
    return {
        COMMANDS: with_generated(COMMANDS, "\n\n".join(_commands())),
        SETTINGS: with_generated(SETTINGS, _settings()),
        EVENTS: with_generated(EVENTS, "\n\n".join(_events())),
    }


def with_generated(path: Path, generated: str) -> str:
    """A page with what stands between its marks replaced. Raises AssertionError for one that lacks them."""
    page = path.read_text()
    assert MARKED.search(page), f"{path} lacks the marks {BEGIN} … {END}"
    return MARKED.sub(lambda _: f"{BEGIN}\n{generated}\n{END}\n", page, count=1)


def every_command() -> Iterator[tuple[click.Context, click.Command]]:
    """Each command with the context that knows its name, parents first."""
    waiting = [click.Context(cli, info_name="saga")]
    while waiting:
        context = waiting.pop(0)
        command = context.command
        yield context, command
        if isinstance(command, click.Group):
            below = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
            waiting[:0] = [
                click.Context(each, info_name=name, parent=context) for name, each in below if each and not each.hidden
            ]


def _commands() -> Iterator[str]:
    for context, command in every_command():
        yield f"## {context.command_path}"
        yield inspect.cleandoc(command.help or "").replace("<", r"\<")
        yield f"```\n{' '.join([context.command_path, *command.collect_usage_pieces(context)])}\n```"
        records = [each.get_help_record(context) for each in command.params]
        rows = [(f"`{record[0]}`", record[1]) for record in records if record]
        if rows:
            yield table(("option", ""), rows)


def _settings() -> str:
    flags: dict[str, dict[str, list[str]]] = {}
    for context, command in every_command():
        for each in command.params:
            if isinstance(each, click.Option) and each.name in Settings.__struct_fields__:
                found = flags.setdefault(each.name, {})
                if "`saga`" not in found.get(
                    each.opts[-1], []
                ):  # where all commands take it, one of its own is another
                    found.setdefault(each.opts[-1], []).append(f"`{context.command_path}`")
    rows = []
    for field in fields_of(Settings):
        given = [f"`{flag}` of {', '.join(where)}" for flag, where in flags.get(field.name, {}).items()]
        default = getattr(Settings(), field.name)
        meaning = f"{field.meaning} {_bounds(Settings.__annotations__[field.name])}".strip()
        shown = "" if default in ("", ()) else f"`{str(default).lower() if isinstance(default, bool) else default}`"
        rows.append((f"`{field.name}`", f"`{PREFIX}{field.name.upper()}`", "; ".join(given), shown, meaning))
    return table(("setting", "environment", "flag", "default", "meaning"), rows)


def _bounds(kind: Any) -> str:
    """What of an annotation a reader needs: the range of a number, the words of a choice."""
    for meta in getattr(kind, "__metadata__", ()):
        if meta.ge is not None:
            return f"{meta.ge} to {meta.le}." if meta.le is not None else f"At least {meta.ge}."
    words = [word for word in get_args(kind) if isinstance(word, str)]
    return f"One of {', '.join(f'`{word}`' for word in words)}." if words else ""


def _events() -> Iterator[str]:
    for kind in get_args(events.AnyEvent):
        yield f"## {kind.__name__}"
        yield inspect.cleandoc(kind.__doc__ or "")
        fields = [*fields_of(kind), *(fields_of(events.Costly) if issubclass(kind, events.Costly) else [])]
        shown = [(f"`{f.name}`", f.kind, "" if f.required else "may be left out", f.meaning) for f in fields]
        if shown:
            yield table(("field", "is", "", "meaning"), shown)
    yield "## Why a step is parked"
    yield table(("code", "meaning"), ((f"`{code}`", text) for code, text in _words(events.ParkCode)))


def fields_of(kind: type[Any]) -> list[Field]:
    """The fields a class adds, in order. Raises AssertionError for one that nothing explains."""
    body = _body(kind)
    found = []
    for line, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            name, annotation = line.target.id, ast.unparse(line.annotation).removesuffix(" | None")
            meaning = _sentence(after) or (EVERYWHERE.get(name) if issubclass(kind, events.Event) else None)
            assert meaning, f"{kind.__name__}.{name} has no meaning. Fix: a docstring below it, or EVERYWHERE here"
            words = getattr(inspect.getmodule(kind), annotation, None)
            named = (
                "a word" if isinstance(words, type) and issubclass(words, Enum) else KINDS.get(annotation, annotation)
            )
            found.append(Field(name, _plain(named), line.value is None, meaning))
    return found


def _plain(kind: str) -> str:
    return {"str": "text", "int": "number", "bool": "true or false"}.get(kind, kind)


def _words(kind: type[Enum]) -> Iterator[tuple[str, str]]:
    body = _body(kind)
    for line, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            word = kind[line.targets[0].id].value
            yield word, _sentence(after) or f"See `saga errors {word}`."


def _body(kind: type[Any]) -> list[ast.stmt]:
    (parsed,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(parsed, ast.ClassDef)
    return parsed.body


def _sentence(node: ast.stmt | None) -> str:
    """The docstring that a statement is, on one line."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(node.value.value.split())
    return ""


def table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Markdown."""
    lines = [titles, tuple("---" for _ in titles), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
