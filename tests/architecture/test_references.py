"""What is written from the code is fresh, and what is written by hand names only what is there."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from saga.cli.main import cli
from tests import document_index, log_reference, metrics_reference, python_reference, reference_pages
from tests.reference_pages import FIX, every_command

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("docs/llms.txt")]
    + [page for folder in ("infra", "services", "tests") for page in ROOT.glob(f"{folder}/**/README.md")]
)
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:\w+=\S+ )*saga (?=[a-z-])(.+)")
SHELL_SIGNS = {"|", ">", "<", "&", "&&", ";"}
ELSEWHERE = re.compile(r"[a-z]+:")


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


WRITTEN = {
    "commands, settings, events": reference_pages,
    "metrics": metrics_reference,
    "python": python_reference,
    "logs": log_reference,
    "index": document_index,
}


@pytest.mark.parametrize("what", WRITTEN)
def test_what_is_written_from_the_code_is_fresh(what: str) -> None:
    """A page that says what the code said yesterday is a lie."""
    stale = [named(path) for path, text in WRITTEN[what].pages().items() if path.read_text() != text]
    assert stale == [], FIX


@pytest.mark.parametrize("module", [python_reference.WINDOW, *python_reference.MODULES])
def test_the_documented_names_are_exactly_the_public_ones(module: str) -> None:
    """What the reference lists is `__all__`: sorted, each there, and nothing left out by accident."""
    public = importlib.import_module(module).__all__
    assert python_reference.documented(python_reference.PAGE.read_text())[module] == public
    assert len(public) == len(set(public))
    assert all(hasattr(importlib.import_module(module), name) for name in public)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A relative link names a file of the repository; behind # a heading of it."""
    dead = []
    for link in LINK.findall(FENCED.sub("", page.read_text())):
        if ELSEWHERE.match(link):
            continue
        name, _, heading = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.is_relative_to(ROOT) or not target.exists() or (heading and heading not in _headings(target)):
            dead.append(link)
    assert dead == []


def _headings(page: Path) -> set[str]:
    """As the usual renderers name them."""
    titles = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_that_is_shown_exists(page: Path) -> None:
    """With its options."""
    wrong = [f"saga {words}: {problem}" for words in _shown(page.read_text()) if (problem := _problem(words))]
    assert wrong == []


def _shown(page: str) -> Iterator[str]:
    """What stands behind `saga` in blocks for a shell, and in the text."""
    for language, block in FENCED.findall(page):
        if language in {"sh", "bash", "console"}:
            lines = block.replace("\\\n", " ").splitlines()
            yield from (found[1] for line in lines if (found := COMMAND.match(line.strip())))
    for words in re.findall(r"`([^`\n]+)`", FENCED.sub("", page)):
        if found := COMMAND.fullmatch(words):
            yield found[1]


def _problem(words: str) -> str:
    """Why it is no command; nothing when it is one. Values are not looked at: a page names them as it likes."""
    try:
        given = shlex.split(words, comments=True)
    except ValueError as error:
        return str(error)
    signs = [place for place, word in enumerate(given) if word in SHELL_SIGNS]
    given = given[: signs[0]] if signs else given
    command: click.Command = cli
    context = click.Context(cli, info_name="saga")
    while True:
        try:
            _, rest, _ = command.make_parser(context).parse_args(given)
        except click.NoSuchOption as error:
            return error.format_message()
        except click.BadOptionUsage:  # named without its value
            return ""
        if not isinstance(command, click.Group) or not rest:
            return ""
        below = command.get_command(context, rest[0])
        if below is None:
            return f"{context.command_path} has no {rest[0]}"
        command, context, given = below, click.Context(below, info_name=rest[0], parent=context), rest[1:]


def test_a_wrong_command_would_be_found() -> None:
    """The checker above sees what is not there, and takes what is."""
    assert _problem("start --no-such") == "No such option '--no-such'."
    assert _problem("definitions burn") == "saga definitions has no burn"
    assert _problem("--profile prod list -o json | head") == ""
    assert list(_shown("`saga list`, `saga.define`\n```sh\nSAGA_STORE=x saga db migrate  # why\n```\n")) == [
        "db migrate  # why",
        "list",
    ]


def test_every_command_says_what_it_does() -> None:
    """And each of its options."""
    silent = [
        f"{context.command_path} {parameter.opts[-1]}"
        for context, command in every_command()
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.help
    ]
    assert [context.command_path for context, command in every_command() if not command.help] == []
    assert silent == []
