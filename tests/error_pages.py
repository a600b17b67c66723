"""The pages of the error codes, written from the catalogue: `python -m tests.error_pages` writes them.

What stands outside the marks is written by hand and kept.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from saga.core.codes import CODES, Code, Exit

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference" / "errors"
INDEX = FOLDER / "README.md"
EXITS = ROOT / "docs" / "reference" / "exit-codes.md"
BEGIN, END = "<!-- from the catalogue -->", "<!-- /from the catalogue -->"
MARKED = re.compile(rf"{BEGIN}\n.*?{END}\n", re.DOTALL)

FAMILIES = {
    "1": "The command line, settings and what they name",
    "2": "Definitions, contracts and participants",
    "3": "Sagas",
    "4": "Broker, store and databases",
    "50": "Messages that are refused or parked",
    "51": "Deliveries that a participant refuses",
    "52": "Steps that are parked",
    "53": "What is said to a saga and does not count",
    "6": "`saga conform` and `saga demo`",
    "9": "Defects",
}
ENDS = {
    Exit.OK: "It was done. With `saga start --wait` and `saga watch`: the saga ended `completed`.",
    Exit.FAILED: "The operation failed, or a check found something.",
    Exit.USAGE: "Nothing was tried: an argument, a setting or a file named there cannot be used.",
    Exit.NOT_FOUND: "There is no such saga, definition, version, message or code.",
    Exit.CONFLICT: "It does not fit the present state: already decided, published with another content, tables or "
    "queues missing.",
    Exit.AUTH: "Broker or database refuse the login, or the user lacks a right.",
    Exit.UNREACHABLE: "Broker or store do not answer; the same command may succeed later.",
    Exit.COMPENSATED: "`saga start --wait`, `saga watch`: the saga ended `compensated`.",
    Exit.ABANDONED: "`saga start --wait`, `saga watch`: the saga ended `abandoned`, closed by an operator as it was; "
    "`saga watch --until-parked`: a step waits for an operator.",
    Exit.TIMEOUT: "`saga start`: no answer, or no end, within `--timeout`. What was taken goes on.",
}


def pages() -> dict[Path, str]:
    """Every page as it has to be, with its hand-written text as it is."""
    return {
        EXITS: _kept(EXITS, "# Exit codes", _exits()),
        INDEX: _kept(INDEX, "# Error codes", _index()),
        **{ROOT / code.page: _kept(ROOT / code.page, f"# {code.number}", _page(code)) for code in CODES.values()},
    }


def _kept(path: Path, title: str, generated: str) -> str:
    block = f"{BEGIN}\n{generated}\n{END}\n"
    if not path.exists():
        return f"{title}\n\n{block}"
    return MARKED.sub(lambda _: block, path.read_text(), count=1)


def _page(code: Code) -> str:
    word = f"The engine and participants write it as `{code.word}`.\n" if code.word else ""
    return (
        f"**{_sentence(code.title)}**\n{word}\n**Why.** {_sentence(code.why)}\n\n**Fix.** {_sentence(code.fix)}\n\n"
        f"A command that ends with it has the exit code [{code.exit_code}](../exit-codes.md)."
    )


def _sentence(text: str) -> str:
    ended = text if text[-1] in ".!?" else f"{text}."
    return ended[0].upper() + ended[1:] if ended.split()[0] not in ("saga", "s.when(...)") else ended


def _index() -> str:
    return "\n\n".join("\n".join(_family(prefix, title)) for prefix, title in FAMILIES.items())


def _family(prefix: str, title: str) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| code | word | it says | exit |\n| --- | --- | --- | --- |"
    for code in sorted(CODES.values(), key=lambda code: code.number):
        if code.number.startswith(f"SAGA-{prefix}"):
            word = f"`{code.word}`" if code.word else ""
            yield f"| [{code.number}]({code.number}.md) | {word} | {code.title} | {code.exit_code} |"


def _exits() -> str:
    rows = "\n".join(f"| {one.value} | {ENDS[one]} |" for one in Exit)
    return f"| exit code | it says |\n| --- | --- |\n{rows}"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in pages().items():
        path.write_text(text)
