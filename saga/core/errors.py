"""Every error the engine raises, by whose fault it is and what to do now.

    SagaError
    ├── DefinitionError       the author's: fix the definition         (.problems, each with place, reason, fix)
    ├── DefinitionConflict    the author's: published under this name and version with another content
    ├── ProtocolViolation     a peer's: park the message               (.code, .detail)
    ├── Unavailable           nobody's: infrastructure; try again later
    ├── Unstorable            ours: a row the store will never take; set it aside
    └── SchemaMismatch        the operator's: migrate, or the store was changed by hand

A business refusal is a value (a reply), never an exception. Losing a compare-and-swap is a value too (`Committed`).
"""

import msgspec


class SagaError(Exception):
    """Root of the tree."""


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong with a definition."""

    place: str
    """The step, block or field, e.g. `charge` or `reserve.lines[0].unit_count`."""
    reason: str
    fix: str
    kind: str = "error"
    """`error` refuses the definition; `lint` is advice."""

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}. Fix: {self.fix}"


class DefinitionError(SagaError):
    """A definition that cannot be run, with every problem found."""

    def __init__(self, definition: str, problems: tuple[Problem, ...]) -> None:
        self.definition = definition
        self.problems = problems
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        super().__init__("\n".join([f"{definition}: {count}", *(f"  {problem}" for problem in problems)]))


class DefinitionConflict(SagaError):
    """The same name and version was published before with another content."""

    def __init__(self, name: str, version: int, stored_hash: str, new_hash: str) -> None:
        self.name = name
        self.version = version
        super().__init__(
            f"{name} v{version} is already published with another content "
            f"(stored {stored_hash[:12]}, new {new_hash[:12]}). Fix: give the changed definition a new version number"
        )


class ProtocolViolation(SagaError):
    """A message that breaks the wire contract."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        self.detail = detail
        super().__init__(f"{code}: {detail}")


class Unavailable(SagaError):
    """The broker or the store does not answer now; the same call may succeed later."""


class Unstorable(SagaError):
    """The store will never take a row of what it was given; nothing of it was written."""


class SchemaMismatch(SagaError):
    """The tables in the store are not those of this release."""
