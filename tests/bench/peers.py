"""Where the peers are installed: each in an environment of its own, so that nothing of theirs comes near ours."""

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
DBOS_PYTHON = ROOT / ".venv" / "peers" / "dbos" / "bin" / "python"
_ASK = """
import importlib.metadata as m, json, platform
print(json.dumps({"DBOS Transact": m.version("dbos"), "SQLAlchemy": m.version("sqlalchemy"),
                  "psycopg": m.version("psycopg"), "Python of DBOS": platform.python_version()}))
"""


def dbos_interpreter(given: str | None) -> Path:
    """The Python that has dbos. Raises SystemExit with the fix."""
    interpreter = Path(given) if given else DBOS_PYTHON
    if not interpreter.exists():
        raise SystemExit(f"there is no {interpreter}. Fix: `make bench` installs it; or --dbos-python, or --only ours")
    return interpreter.absolute()


def dbos_versions(given: str | None) -> dict[str, str]:
    """Of the library and what it stands on."""
    command = [str(dbos_interpreter(given)), "-c", _ASK]
    found: dict[str, str] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found
