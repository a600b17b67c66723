"""The guides about testing, followed as printed: every block of code is run, every printed failure is what it says."""

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import saga.testing

GUIDES = Path(__file__).parents[3] / "docs" / "how-to"
SAGA, PARTICIPANT = GUIDES / "test-a-saga.md", GUIDES / "test-a-participant.md"


def blocks(guide: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", guide.read_text(), re.MULTILINE | re.DOTALL)


class Reader:
    """Somebody who types a guide into an empty folder."""

    def __init__(self, guide: Path, folder: Path) -> None:
        self.texts = blocks(guide, "text")
        """What is printed there."""
        self.names: list[str] = []
        for block in [*blocks(guide, "python"), *blocks(guide, "sql")]:
            name = re.match(r"(?:#|--) (\S+)\n", block)
            assert name, f"{guide.name}: a block that does not say which file it is\n{block}"
            path = folder / name[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(block)
            if path.suffix == ".py":
                self.names.append(path.stem)

    def module(self, name: str) -> ModuleType:
        return importlib.import_module(name)

    def tests(self, name: str) -> list[Callable[[], Any]]:
        members = vars(self.module(name)).items()
        return [member for key, member in members if key.startswith("test_") and inspect.isfunction(member)]


@pytest.fixture(params=[SAGA, PARTICIPANT], ids=lambda guide: guide.stem)
def reader(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """One guide, typed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)
    yield Reader(request.param, tmp_path)
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


async def run(test: Callable[[], Any]) -> None:
    result = test()
    if inspect.isawaitable(result):
        await result


async def test_every_block_does_what_the_guide_says(reader: Reader) -> None:
    """Tests pass, but those of `test_wrong.py`: they fail, and what they say is what the guide says."""
    said, tests_count = StringIO(), 0
    for name in reader.names:
        reader.module(name)
        for test in reader.tests(name):
            tests_count += 1
            with redirect_stdout(said):
                if name != "test_wrong":
                    await run(test)
                    continue
                with pytest.raises(AssertionError) as raised:
                    await run(test)
                print(raised.value)
    assert tests_count >= 5
    for text in reader.texts:
        assert text in said.getvalue()


def test_every_name_of_the_guides_is_public() -> None:
    """What is imported from the kit there is in `__all__`."""
    for guide in (SAGA, PARTICIPANT):
        for names in re.findall(r"from saga\.testing import (.+)", guide.read_text()):
            assert {name.strip() for name in names.split(",")} <= set(saga.testing.__all__), guide.name


def test_all_is_what_there_is() -> None:
    """The names of the kit are sorted, exist, and none is left out by accident."""
    exported = saga.testing.__all__
    assert len(exported) == len(set(exported))
    public = {name for name, value in vars(saga.testing).items() if name[0] != "_" and not inspect.ismodule(value)}
    assert public == set(exported)


def test_the_kit_needs_no_test_framework() -> None:
    """Whoever imports it gets no pytest."""
    kit = Path(saga.testing.__file__).parent
    assert not [
        path.name
        for path in kit.glob("*.py")
        if re.search(r"^\s*(?:import|from) pytest", path.read_text(), re.MULTILINE)
    ]
