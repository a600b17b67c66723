"""The reference of the Python API, written from its docstrings: `python -m tests.python_reference`.

Signatures are those of the source, so the page does not depend on the version of Python that writes it.
"""

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "python.md"
BEGIN, END = "<!-- from the code -->", "<!-- /from the code -->"
MARKED = re.compile(rf"{BEGIN}\n.*?{END}\n", re.DOTALL)
WINDOW = "saga"
MODULES = ("saga.contract", "saga.define", "saga.participant", "saga.client", "saga.testing")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def pages() -> dict[Path, str]:
    """The page as it has to be, with its hand-written text as it is."""
    written = "\n\n".join([_window(), *(part for name in MODULES for part in _module(name))])
    page = PAGE.read_text()
    assert MARKED.search(page), f"{PAGE} lacks the marks {BEGIN} … {END}"
    return {PAGE: MARKED.sub(lambda _: f"{BEGIN}\n{written}\n{END}\n", page, count=1)}


def documented(page: str) -> dict[str, list[str]]:
    """The names that the page lists, by module."""
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for line in page.splitlines():
        if line.startswith("## "):
            found[line.removeprefix("## ")] = names = []
        elif heading := re.match(r"(?:### |- `(?=\w+` of ))(\w+)", line):
            names.append(heading[1])
    return found


def _window() -> str:
    module = importlib.import_module(WINDOW)
    homes = {name: home for home in reversed(MODULES) for name in importlib.import_module(home).__all__}
    lines = [f"- `{name}` of `{homes[name]}`" for name in module.__all__]
    return "\n".join(
        [f"## {WINDOW}", "", "The names a team needs on the first day, from the modules below.", "", *lines]
    )


def _module(name: str) -> Iterator[str]:
    module = importlib.import_module(name)
    yield f"## {name}"
    yield inspect.cleandoc(module.__doc__ or "").split("\n\n")[0]
    elsewhere = {
        each: home for home in MODULES[: MODULES.index(name)] for each in importlib.import_module(home).__all__
    }
    for each in module.__all__:
        yield f"### {each}"
        if each in elsewhere:
            yield f"That of `{elsewhere[each]}`."
        else:
            yield from _thing(each, getattr(module, each), module)


def _thing(name: str, value: Any, module: ModuleType) -> Iterator[str]:
    if inspect.isclass(value):
        yield from _class(value)
    elif inspect.isfunction(value):
        yield _code(_signature(_parsed(value)))
        yield _said(name, value.__doc__)
    else:
        yield from _named_value(name, module)


def _class(kind: type[Any]) -> Iterator[str]:
    parsed = _parsed(kind)
    assert isinstance(parsed, ast.ClassDef)
    fields, methods = list(_fields(parsed)), list(_methods(parsed))
    bases = f"({', '.join(map(ast.unparse, parsed.bases))})" if parsed.bases else ""
    yield _code(
        "\n".join([f"class {kind.__name__}{bases}:", *(text for text, _ in fields), *(text for text, _ in methods)])
    )
    yield _said(kind.__name__, kind.__dict__.get("__doc__"))
    members = [(_name(text), said) for text, said in (*fields, *_attributes(parsed), *methods) if said]
    if members:
        yield "\n".join(f"- `{name}`: {said}" for name, said in members)


def _name(text: str) -> str:
    """The name in a line of a class."""
    found = re.search(r"(?:def )?(\w+)\s*[:(=]", text)
    assert found, text
    return found[1]


def _fields(parsed: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for line, after in zip(parsed.body, [*parsed.body[1:], None], strict=True):
        if isinstance(line, ast.AnnAssign | ast.Assign):
            text = ast.unparse(line)
            if not text.startswith("_"):
                yield f"    {text}", _docstring(after)


def _attributes(parsed: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """What `__init__` sets and explains."""
    for node in parsed.body:
        if isinstance(node, Function) and node.name == "__init__":
            for line, after in zip(node.body, [*node.body[1:], None], strict=True):
                if isinstance(line, ast.Assign) and _docstring(after):
                    yield ast.unparse(line).removeprefix("self."), _docstring(after)


def _methods(parsed: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for node in parsed.body:
        if isinstance(node, Function) and (not node.name.startswith("_") or node.name == "__init__"):
            shown = textwrap.indent(_signature(node), "    ")
            yield shown, "" if node.name == "__init__" else _flat(ast.get_docstring(node))


def _signature(node: ast.AST) -> str:
    assert isinstance(node, Function)
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    decorated = "".join(f"@{ast.unparse(each)}\n" for each in node.decorator_list)
    arguments = ast.unparse(node.args)
    returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{decorated}{word} {node.name}({arguments}){returned}"


def _named_value(name: str, module: ModuleType) -> Iterator[str]:
    """A constant or an alias, where it is assigned."""
    for body in _bodies(str(Path(module.__file__ or "").parent)):
        for line, after in zip(body, [*body[1:], None], strict=True):
            targets = line.targets if isinstance(line, ast.Assign) else []
            if targets and ast.unparse(targets[0]) == name:
                yield _code(ast.unparse(line))
                yield _said(name, _docstring(after))
                return
    raise AssertionError(f"{name} is assigned nowhere below {module.__name__}")


@cache
def _bodies(folder: str) -> tuple[list[ast.stmt], ...]:
    return tuple(ast.parse(path.read_text()).body for path in sorted(Path(folder).glob("*.py")))


def _parsed(value: Any) -> ast.stmt:
    (parsed,) = ast.parse(textwrap.dedent(inspect.getsource(value))).body
    return parsed


def _docstring(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return _flat(node.value.value)
    return ""


def _flat(text: str | None) -> str:
    return " ".join((text or "").split())


def _said(name: str, text: str | None) -> str:
    assert text, f"{name} says nothing of itself. Fix: a docstring"
    return inspect.cleandoc(text)


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
