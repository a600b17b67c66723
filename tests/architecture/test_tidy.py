"""House rules that no linter knows: sizes, names, honest tests, explained exceptions."""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FOLDERS = ("saga", "contracts", "services", "tests")

MODULE_LINES_MAX = 300
MODULE_LINES_RATCHET_MAX = 400
TEST_MODULE_LINES_MAX = 400  # a table of cases is long without being complicated
FUNCTION_LINES_MAX = 40
CLASS_LINES_MAX = 150
POSITIONAL_PARAMETERS_MAX = 5
BANNED_MODULE_NAMES = {"manager", "helper", "helpers", "util", "utils", "common", "base", "misc"}

# Justified exceptions, each with the size it may have. They may only shrink; one that is not needed any more fails.
RATCHET_MODULE_LINES: dict[str, int] = {}
RATCHET_FUNCTION_LINES: dict[str, int] = {}
RATCHET_CLASS_LINES: dict[str, int] = {
    "saga/define/builder.py::Builder": 168,  # one build: what is claimed, where it stands, and what may follow
    # A simulated world's parts hold every fault of theirs.
    "tests/simulation/broker.py::Broker": 189,
    "tests/simulation/checkers/shadow.py::Shadow": 157,
    "tests/simulation/deciding.py::Deciding": 178,
    "tests/simulation/orchestrator.py::Orchestrator": 213,
    "tests/simulation/participant.py::Participant": 266,
    "tests/simulation/structures.py::StructureAuthor": 188,
    "tests/simulation/workload.py::Author": 155,
}

SKIPS = {"skip", "skipif", "skipIf", "skipUnless", "xfail", "importorskip", "skipTest", "expectedFailure"}
BLOCKING_SLEEPS = {"asyncio.sleep", "time.sleep", "anyio.sleep"}
MOCKS = {"mock", "unittest.mock", "pytest_mock"}
UNFINISHED = re.compile(r"\b(?:[T]ODO|[F]IXME|[X]XX|[H]ACK)\b")
BARE_IGNORE = re.compile(r"#\s*(?:type|pyright):\s*ignore(?!\[[\w, -]+\]\s+#\s+\S)")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    """Path relative to the root, and text."""
    for folder in folders or FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text()


def nodes(*folders: str, about: Iterable[str]) -> Iterator[tuple[str, ast.AST]]:
    """Every node with "path:line" of where it is, of sources that contain one of these words: parsing takes long."""
    for path, text in sources(*folders):
        if any(word in text for word in about):
            for node in ast.walk(ast.parse(text)):
                yield f"{path}:{getattr(node, 'lineno', 1)}", node


class Defined(NamedTuple):
    """A function or a class, by "path::name"."""

    where: str
    is_class: bool
    lines: int
    positional: int
    """Parameters that need no name at the call."""


class Module(NamedTuple):
    """A module and what it defines."""

    path: str
    explained: bool
    """It is empty, or has a docstring."""
    defined: tuple[Defined, ...]


@cache
def modules() -> tuple[Module, ...]:
    """All of them, parsed once."""
    found: list[Module] = []
    for path, text in sources():
        tree = ast.parse(text)
        defined = tuple(
            Defined(f"{path}::{name}", isinstance(node, ast.ClassDef), body_lines(node), positional(node))
            for name, node in definitions(tree)
        )
        found.append(Module(path, not tree.body or bool(ast.get_docstring(tree)), defined))
    return tuple(found)


def positional(node: Function | ast.ClassDef) -> int:
    """How many parameters of a function are passed by position, but for the object itself."""
    if isinstance(node, ast.ClassDef):
        return 0
    names = [argument.arg for argument in node.args.posonlyargs + node.args.args]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def definitions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Functions and classes with their dotted names."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, Function | ast.ClassDef):
            name = f"{prefix}{child.name}"
            yield name, child
            yield from definitions(child, f"{name}.")
        else:
            yield from definitions(child, prefix)


def body_lines(node: Function | ast.ClassDef) -> int:
    """Lines of the body, without its docstring."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def dotted(node: ast.AST) -> str:
    """`a.b.c` for an attribute chain, else nothing."""
    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


def too_long(sizes: dict[str, int], limit: int, ratchet: dict[str, int]) -> list[str]:
    """What exceeds its limit, and which exceptions are not needed any more."""
    allowed = {name: ratchet.get(name, limit) for name in sizes}
    exceeding = [f"{name} has {sizes[name]} lines > {allowed[name]}" for name in sizes if sizes[name] > allowed[name]]
    needless = [f"{name} needs no exception any more" for name in ratchet if sizes.get(name, 0) <= limit]
    return exceeding + needless


def nothing(found: Iterable[str]) -> None:
    """Fail with one finding on each line."""
    listed = list(found)
    assert not listed, "\n" + "\n".join(listed)


def test_modules_are_short() -> None:
    """A module that needs scrolling for a minute has two subjects."""
    sizes = {path: text.count("\n") for path, text in sources()}
    tests = {path: lines for path, lines in sizes.items() if path.startswith("tests/")}
    nothing(too_long(tests, TEST_MODULE_LINES_MAX, {}))
    nothing(too_long({path: sizes[path] for path in sizes.keys() - tests}, MODULE_LINES_MAX, RATCHET_MODULE_LINES))
    assert max(RATCHET_MODULE_LINES.values(), default=0) <= MODULE_LINES_RATCHET_MAX


def test_functions_are_short() -> None:
    """A function fits on a screen."""
    sizes = {each.where: each.lines for module in modules() for each in module.defined if not each.is_class}
    nothing(too_long(sizes, FUNCTION_LINES_MAX, RATCHET_FUNCTION_LINES))


def test_classes_are_short() -> None:
    """A class has one reason to exist."""
    sizes = {each.where: each.lines for module in modules() for each in module.defined if each.is_class}
    nothing(too_long(sizes, CLASS_LINES_MAX, RATCHET_CLASS_LINES))


def test_parameters_have_names_at_the_call() -> None:
    """More than five positional parameters cannot be read where they are passed."""
    # In a test file pytest passes fixtures by name.
    nothing(
        each.where
        for module in modules()
        for each in module.defined
        if each.positional > POSITIONAL_PARAMETERS_MAX and "test_" not in module.path
    )


def test_no_module_is_a_drawer() -> None:
    """A name that fits everything attracts everything."""
    named = [path for path, _ in sources() if BANNED_MODULE_NAMES & set(Path(path).with_suffix("").parts)]
    nothing(named)


def test_every_module_says_what_it_is_for() -> None:
    """One sentence; an empty package file needs none."""
    nothing(module.path for module in modules() if not module.explained)


def test_no_error_is_swallowed() -> None:
    """An except that does nothing hides what it caught; `contextlib.suppress` at least names it where it is safe."""
    nothing(
        where
        for where, node in nodes(about=["except"])
        if isinstance(node, ast.ExceptHandler)
        and all(
            isinstance(line, ast.Pass) or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
            for line in node.body
        )
    )


def test_pure_tests_neither_sleep_nor_mock() -> None:
    """A unit test that waits is a race, and a mock tests itself. `asyncio.sleep(0)` only yields."""
    found = []
    for where, node in nodes("tests/unit", "tests/property", about=["sleep", "mock"]):
        match node:
            case ast.Call(func=called, args=[ast.Constant(value=0)]) if dotted(called) == "asyncio.sleep":
                pass
            case ast.Call(func=called) if dotted(called) in BLOCKING_SLEEPS:
                found.append(where)
            case ast.ImportFrom(module=str(module), names=names) if module in MOCKS or (
                module == "unittest" and any(name.name == "mock" for name in names)
            ):
                found.append(where)
            case ast.Import(names=names) if any(name.name in MOCKS for name in names):
                found.append(where)
    nothing(found)


def test_no_test_is_skipped() -> None:
    """What cannot run fails: a skipped test is a claim nobody checks."""
    nothing(
        where
        for where, node in nodes("tests", about=SKIPS)
        if isinstance(node, ast.Attribute)
        and node.attr in SKIPS
        and dotted(node).split(".")[0] in {"pytest", "unittest", "self"}
    )


def test_nothing_is_left_for_later() -> None:
    """Work to do belongs in an issue."""
    nothing(path for path, text in sources() if UNFINISHED.search(text))


def test_ignored_types_are_explained() -> None:
    """`type: ignore[code]  # reason`: which rule, and why it is wrong here."""
    nothing(
        f"{path}:{number}"
        for path, text in sources()
        for number, line in enumerate(text.splitlines(), 1)
        if BARE_IGNORE.search(line)
    )


def test_nobody_imports_the_shop_window() -> None:
    """`saga/__init__.py` gathers names for users; inside, an import of it would be a cycle."""
    inside = {path.stem for path in (ROOT / "saga").iterdir()}
    nothing(
        where
        for where, node in nodes("saga", about=["from saga import"])
        if isinstance(node, ast.ImportFrom)
        and node.module == "saga"
        and any(name.name not in inside for name in node.names)
    )


def test_typing_imports_count_as_imports() -> None:
    """A cycle hidden behind TYPE_CHECKING is a cycle. The shop window may: it loads its names when asked."""
    nothing(
        where
        for where, node in nodes("saga", "services", "contracts", about=["TYPE_CHECKING"])
        if isinstance(node, ast.If)
        and dotted(node.test).endswith("TYPE_CHECKING")
        and not where.startswith("saga/__init__.py")
    )
