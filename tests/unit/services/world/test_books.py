"""Append-only books of the outside world."""

from pathlib import Path

from services.world.books import Books, read


def test_lines_come_back_in_the_order_written(tmp_path: Path) -> None:
    """Every line has its kind, a time, and a number that rises over restarts."""
    path = tmp_path / "new" / "books.jsonl"
    Books(path).write("book", tracking="t1")
    Books(path).write("cancel", tracking="t1")
    Books(path).write("book", tracking="t1")
    assert [(line["kind"], line["tracking"], line["sequence"]) for line in read(path)] == [
        ("book", "t1", 1),
        ("cancel", "t1", 2),
        ("book", "t1", 3),
    ]
    assert len(read(path, "book")) == 2
    times = [line["at_ns"] for line in read(path)]
    assert times == sorted(times)


def test_a_line_cut_short_is_no_line(tmp_path: Path) -> None:
    """Half a line at the end is not read, and the next one does not grow out of it."""
    path = tmp_path / "books.jsonl"
    Books(path).write("book", tracking="t1")
    with path.open("ab") as file:
        file.write(b'{"kind":"bo')
    assert [line["tracking"] for line in read(path)] == ["t1"]
    Books(path).write("book", tracking="t2")
    assert [line["tracking"] for line in read(path)] == ["t1", "t2"]


def test_books_nobody_wrote_are_empty(tmp_path: Path) -> None:
    """An auditor may come before the first line."""
    assert read(tmp_path / "none.jsonl") == []
