"""Imports point inward: the contracts of pyproject.toml hold, and the core stays pure."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# The core computes. What is not listed here would let in time, chance, the network or the disk.
CORE_MAY_IMPORT = {
    "saga.contract", "saga.core", "msgspec",
    "__future__", "abc", "base64", "bisect", "collections", "contextlib", "copy", "dataclasses", "datetime", "decimal",
    "enum", "fractions", "functools", "hashlib", "heapq", "itertools", "json", "math", "operator", "re", "string",
    "struct", "textwrap", "types", "typing", "typing_extensions", "unicodedata",
}  # fmt: skip


def test_import_contracts_hold() -> None:
    """Layers, independence of adapters, no domain in the engine."""
    linted = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_the_core_imports_only_what_computes() -> None:
    """msgspec and the part of the standard library that does not touch the world."""
    foreign = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / "saga" / "core").rglob("*.py"))
        for name in imported(ast.parse(path.read_text()))
        if not any(name == allowed or name.startswith(f"{allowed}.") for allowed in CORE_MAY_IMPORT)
    }
    assert foreign == set()


def imported(tree: ast.AST) -> set[str]:
    """Dotted names of the modules it imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "saga":
            found |= {f"saga.{name.name}" for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found
