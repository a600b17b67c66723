"""Every release reads what every release wrote: golden bytes of each event, added to and never edited.

A new event, or a new field, gets a new file: `python -m tests.compatibility.test_golden_events` writes what is missing
and refuses to overwrite.
"""

import sys
from pathlib import Path

import msgspec
import pytest

from saga.core import events as e
from tests.compatibility.samples import samples

GOLDEN = Path(__file__).with_name("golden")
FILES = sorted(GOLDEN.glob("*.json"))


def newest(name: str) -> Path | None:
    """The golden file of this event with the highest number."""
    found = sorted(GOLDEN.glob(f"{name}.*.json"))
    return found[-1] if found else None


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_old_bytes_are_read(file: Path) -> None:
    """What was once written decodes to the event of its name, with every value it had."""
    data = file.read_bytes().rstrip(b"\n")
    (event,) = e.decode(data)
    assert type(event).__name__ == file.stem.split(".")[0]
    written, read = msgspec.json.decode(data)[0], msgspec.json.decode(e.encode((event,)))[0]
    assert {**written, **read} == read | written
    assert written.items() <= read.items()


@pytest.mark.parametrize("name", sorted(samples()))
def test_every_event_has_golden_bytes(name: str) -> None:
    """Today's bytes of each event are on file: a change of the format cannot go unseen."""
    file = newest(name)
    assert file is not None, "no golden file. Fix: python -m tests.compatibility.test_golden_events"
    assert file.read_bytes().rstrip(b"\n") == e.encode((samples()[name],)), (
        f"{name} is written otherwise than before. Fix: keep old fields as they are, give new ones a default, "
        "then add a golden file with python -m tests.compatibility.test_golden_events"
    )


def test_unknown_fields_of_a_newer_release_are_ignored() -> None:
    """During a rolling deploy an older release reads what a newer one wrote."""
    data = b'[{"event":"DeadlinePassed","at":"2026-01-02T03:04:05Z","newer":{"a":1}}]'
    (event,) = e.decode(data)
    assert isinstance(event, e.DeadlinePassed)


def main() -> int:
    """Write the golden files that are missing; never touch one that exists."""
    GOLDEN.mkdir(exist_ok=True)
    for name, event in samples().items():
        data, file = e.encode((event,)), newest(name)
        if file is not None and file.read_bytes().rstrip(b"\n") == data:
            continue
        number = 1 if file is None else int(file.stem.split(".")[1]) + 1
        with (GOLDEN / f"{name}.{number}.json").open("xb") as new:
            new.write(data + b"\n")
        print(f"added {name}.{number}.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
