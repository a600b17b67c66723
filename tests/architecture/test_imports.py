"""Imports point inward: the contracts of pyproject.toml hold, and the core stays pure."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

# The core computes. What is not listed here would let in time, chance, the network or the disk.
CORE_MAY_IMPORT = {
    "saga.contract", "saga.core", "saga.cost", "msgspec",
    "__future__", "abc", "base64", "bisect", "collections", "contextlib", "copy", "dataclasses", "datetime", "decimal",
    "enum", "fractions", "functools", "hashlib", "heapq", "itertools", "json", "math", "operator", "re", "string",
    "struct", "textwrap", "types", "typing", "typing_extensions", "unicodedata",
}  # fmt: skip

# One technology, one folder: what may import a library, so that it can be replaced there.
HOMES = {
    "aio_pika": "saga/adapters/rabbitmq/",
    "aiormq": "saga/adapters/rabbitmq/",
    "pamqp": "saga/adapters/rabbitmq/",
    "asyncpg": "saga/adapters/postgres/",
    "sqlite3": "saga/adapters/sqlite/",
    "opentelemetry": "saga/adapters/telemetry/",
    "prometheus_client": "saga/adapters/telemetry/",
    "click": "saga/cli/",
}

# The public face: all that a service or a contract may know of the engine.
PUBLIC = {
    "contracts": {"saga.contract"},
    "services": {"saga", "saga.contract", "saga.define", "saga.participant"},
}


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
    assert [
        f"{path}: {name}"
        for path, name in imports("saga/core")
        if not any(within(name, allowed) for allowed in CORE_MAY_IMPORT)
    ] == []


def test_each_library_has_one_home() -> None:
    """Only the adapter of a technology imports its library."""
    assert [
        f"{path}: {name}"
        for path, name in imports("saga")
        for library, home in HOMES.items()
        if within(name, library) and not path.startswith(home)
    ] == []


def test_services_and_contracts_use_the_public_face() -> None:
    """What a reference service needs, any service can have."""
    assert [
        f"{path}: {name}"
        for folder, allowed in PUBLIC.items()
        for path, name in imports(folder)
        if within(name, "saga") and name not in allowed
    ] == []


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def imports(folder: str) -> Iterator[tuple[str, str]]:
    """Each file below the folder with each module it imports."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for name in sorted(imported(ast.parse(path.read_text()))):
            yield path.relative_to(ROOT).as_posix(), name


def imported(tree: ast.AST) -> set[str]:
    """Dotted names of the modules it names; relative imports are banned by ruff."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found
