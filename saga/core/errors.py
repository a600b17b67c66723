"""Every error the engine raises, by whose fault it is and what to do now.

    SagaError
    ├── DefinitionError       the author's: fix the definition         (.problems, each with place, reason, fix)
    ├── DefinitionConflict    the author's: published under this name and version with another content
    ├── ProtocolViolation     a peer's: park the message               (.code, .detail)
    ├── BadValue              the caller's: an argument that can never be used
    ├── Unavailable           nobody's: infrastructure; try again later
    │   └── StoreAway         (one of the databases; else it is the broker)
    ├── Unstorable            ours: a row the store will never take; set it aside
    ├── SchemaMismatch        the operator's: migrate, or the store was changed by hand
    └── BrokenMigration       the author's: a file of SQL that the database refuses

Each has a `code` of the catalogue (`saga.core.codes`): a number, or a word of the wire. A message is what happened and
where, then `Fix:` and what to do when the error knows better than the catalogue.

A business refusal is a value (a reply), never an exception. Losing a compare-and-swap is a value too (`Committed`).
"""

import msgspec


class SagaError(Exception):
    """Root of the tree."""

    code: str = "SAGA-1000"
    """Its entry in the catalogue; a raise may name a narrower one than its class."""

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong with a definition."""

    place: str
    """The step, block or field, e.g. `charge` or `reserve.lines[0].unit_count`."""
    reason: str
    fix: str
    kind: str = "error"
    """`error` refuses the definition; `lint` is advice."""
    code: str = "SAGA-2001"

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}. Fix: {self.fix}"


class DefinitionError(SagaError):
    """A definition that cannot be run, with every problem found."""

    code = "SAGA-2001"

    def __init__(self, definition: str, problems: tuple[Problem, ...]) -> None:
        self.definition = definition
        self.problems = problems
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        codes = {problem.code for problem in problems}
        text = "\n".join([f"{definition}: {count}", *(f"  {problem}" for problem in problems)])
        super().__init__(text, code=codes.pop() if len(codes) == 1 else None)


class DefinitionConflict(SagaError):
    """The same name and version was published before with another content."""

    code = "SAGA-2003"

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
        self.detail = detail
        super().__init__(f"{code}: {detail}", code=code)


class BadValue(SagaError, ValueError):
    """An argument that can never be used, whatever the state of the world."""

    code = "SAGA-1001"


class Unavailable(SagaError):
    """The broker or the store does not answer now; the same call may succeed later."""

    code = "SAGA-4001"


class StoreAway(Unavailable):
    """The store, or a participant's database, does not answer now."""

    code = "SAGA-4002"


class BackendAway(Unavailable):
    """The backend of traces or metrics does not take them now."""

    code = "SAGA-4015"


class Unstorable(SagaError):
    """The store will never take a row of what it was given; nothing of it was written."""

    code = "SAGA-4011"


class SchemaMismatch(SagaError):
    """The tables in the store are not those of this release."""

    code = "SAGA-4007"


class BrokenMigration(SagaError):
    """The database refuses a statement of a migration, now and later; nothing of the file was applied."""

    code = "SAGA-4017"

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(
            f"{place}: {reason}. Fix: correct the file, or what it meets in the database; it is not applied"
        )
