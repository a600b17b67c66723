"""Makes the tables of the floor: the engine's, the inbox's and the effects."""

import asyncio
import sys

import asyncpg

from saga.adapters.postgres.database import inbox_sql
from saga.adapters.postgres.migration import ENGINE
from tests.bench.stage import EFFECTS


async def prepare(database: str) -> None:
    """All in one database."""
    engine = [file.read_text() for file in sorted(ENGINE.folder.glob("*.sql"))]
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("\n".join([*engine, inbox_sql(), EFFECTS.read_text()]))
    finally:
        await connection.close()


if __name__ == "__main__":
    asyncio.run(prepare(sys.argv[1]))
