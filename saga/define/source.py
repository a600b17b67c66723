"""Reads the author's source for what never reaches a placeholder: Python answers `is` and `isinstance` by itself.

Functions called from a definition are not read.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from types import FunctionType

from saga.core.errors import Problem

_SILENT_CALLS = frozenset({"isinstance", "issubclass", "type", "id", "callable", "hasattr"})
_FIX = "write present(x) or not_(present(x)) for None, x == Tier.VIP for a member, inside s.when(...) or coalesce(...)"


def silent_decisions(function: Callable[..., object]) -> list[Problem]:
    """Every place in a function where Python would decide for ever, while building, without a sign of it."""
    if not isinstance(function, FunctionType):
        return []
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError):
        return []  # typed into a prompt, or a lambda in the middle of an expression: there is nothing to read
    return [
        Problem(
            f"line {first + node.lineno - 1}",
            f"'{ast.unparse(node)}' is decided while the definition is built, whatever the value will be",
            _FIX,
        )
        for node in sorted(_silent(tree), key=lambda node: (node.lineno, node.col_offset))
    ]


def _silent(tree: ast.AST) -> Iterator[ast.expr | ast.pattern]:
    for node in ast.walk(tree):
        match node:
            case ast.Compare() if any(isinstance(operator, ast.Is | ast.IsNot) for operator in node.ops):
                yield node
            case ast.Call(func=ast.Name(id=name)) if name in _SILENT_CALLS:
                yield node
            case ast.MatchClass() | ast.MatchSingleton():
                yield node
            case _:
                pass
