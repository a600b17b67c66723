"""`docs/README.md` for people and `docs/llms.txt` for their tools, from the pages: `python -m tests.document_index`."""

import re
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
INDEX, LLMS = DOCS / "README.md", DOCS / "llms.txt"
SUMMARY = (
    "A saga engine over RabbitMQ, in Python. An orchestrator keeps an append-only history per saga, sends step "
    "commands to participants, takes their replies, and issues the declared compensations in reverse order when a "
    "late step fails."
)
NO_PROSE = ("|", "```", "#", "<", "- ")
SECTIONS = {
    "Start here": ("../README.md", "tutorial.md"),
    "How-to guides": ("how-to/*.md",),
    "Reference": ("reference/*.md", "reference/errors/README.md"),
    "Explanation": ("explanation/*.md",),
    "Optional": ("decisions/README.md", "../CHANGELOG.md"),  # what a tool with little room may leave out
}


def pages() -> dict[Path, str]:
    """Both files as they have to be."""
    sections = [(title, list(_listed(patterns))) for title, patterns in SECTIONS.items()]
    return {
        INDEX: _written("# Documentation", "What there is to read.", sections),
        LLMS: _written("# saga-engine", f"> {SUMMARY}", sections),
    }


def _written(title: str, summary: str, sections: list[tuple[str, list[str]]]) -> str:
    parts = [title, summary, *("\n".join([f"## {name}", "", *lines]) for name, lines in sections)]
    return "\n\n".join(parts) + "\n"


def _listed(patterns: tuple[str, ...]) -> Iterator[str]:
    for pattern in patterns:
        folder, _, name = pattern.rpartition("/")
        for path in sorted((DOCS / folder).glob(name)):
            title, said = _about(path.read_text())
            yield f"- [{title}]({folder}{'/' if folder else ''}{path.name}): {said}"


def _about(page: str) -> tuple[str, str]:
    """The title of a page and its first sentence, without links."""
    title, _, rest = page.removeprefix("# ").partition("\n")
    prose = next(part.strip() for part in rest.split("\n\n") if part.strip() and not part.strip().startswith(NO_PROSE))
    plain = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", " ".join(prose.split()))
    sentence = re.match(r".+?[.!?](?= |$)", plain)
    return title, sentence[0] if sentence else f"{plain.rstrip(':')}."


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
