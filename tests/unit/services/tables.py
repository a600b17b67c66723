"""A service's own database, in memory, for handlers that are called as plain functions."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import services
from saga.contract import Context, Undone

SERVICES = Path(services.__file__).parent


class Tables:
    """SQLite that takes `$1` parameters, as the participant library's transaction does."""

    def __init__(self, file: str = ":memory:") -> None:
        self.connection = sqlite3.connect(file, isolation_level=None)

    @property
    def handle(self) -> object:
        return self

    async def execute(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return self.rows(sql, *arguments)

    def rows(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(re.sub(r"\$(\d+)", r"?\1", sql), arguments).fetchall()

    def migrate(self, service: str) -> "Tables":
        for script in sorted((SERVICES / service / "migrations").glob("*.sql")):
            self.connection.executescript(script.read_text())
        return self

    def context(self, *, key: str = "key-1", step: str = "step", undone: Undone | None = None) -> Context:
        return Context(tx=self, key=key, saga="saga-1", step=step, attempt=1, undone=undone)
