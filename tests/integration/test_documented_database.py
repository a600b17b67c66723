"""The database library of a team's own, as the guide prints it."""

import asyncio
import re
from pathlib import Path
from typing import Any

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "write-a-participant.md"


async def test_handlers_that_wait_take_turns(tmp_path: Path) -> None:
    """SQLite's own lock would stop the whole process for whoever comes second, and then refuse it."""
    printed = re.search(r"```python\n# own_database.py\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert printed is not None
    names: dict[str, Any] = {}
    exec(printed[1], names)
    database = names["OwnDatabase"](tmp_path / "own.sqlite")
    ended: list[int] = []

    async def handler(number: int) -> None:
        async with database.begin() as tx:
            await tx.execute("select $1", number)
            await asyncio.sleep(0)
            ended.append(number)

    await asyncio.gather(*(handler(number) for number in range(3)))
    assert ended == [0, 1, 2]
