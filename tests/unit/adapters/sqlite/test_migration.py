"""How a file of SQL becomes statements: one at a time, whatever the lines look like."""

import pytest

from saga.adapters.sqlite.migration import statements

TRIGGER = "create trigger t after insert on a begin update a set b = ';'; delete from c; end;"


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("create table a (b); create table c (d);", ["create table a (b);", "create table c (d);"]),
        ("create table a (\n  b\n);\ncreate table c (d)", ["create table a (\n  b\n);", "create table c (d)"]),
        (f"{TRIGGER} select 1;", [TRIGGER, "select 1;"]),
        (
            "insert into a values ('x;y'); -- one; two\nselect ';';",
            ["insert into a values ('x;y');", "-- one; two\nselect ';';"],
        ),
        ("select 1 /* a; b */ + 1; select 2;", ["select 1 /* a; b */ + 1;", "select 2;"]),
        ("", []),
        ("\n  \n", []),
    ],
)
def test_the_statements_of_a_file(sql: str, found: list[str]) -> None:
    """Semicolons of texts, comments and triggers end nothing."""
    assert [one.strip() for one in statements(sql)] == found
