"""What an author writes down as data is looked at like what a checker would have looked at."""

from typing import Any

import msgspec
import pytest

from saga import Command, DefinitionError, Effect, Saga, command, define
from saga.core.evaluation import render
from saga.define import Definition
from tests.typing import orders as c


class Item(msgspec.Struct, frozen=True, rename="camel", tag="item", tag_field="kind"):
    """Other names on the wire, and a tag."""

    item_id: str
    unit_count: int = 1


class Parcel(msgspec.Struct, frozen=True):
    """Nested."""

    item: Item
    label: str | None = None


class Wish(msgspec.Struct, frozen=True):
    """What is given."""

    name: str
    count: int
    note: str | None = None


@command(service="post", effect=Effect.INBOX)
class Send(Command[c.Done], frozen=True):
    """Takes a parcel."""

    parcel: Parcel


def returning(result: Any, *, parcel: Any = None) -> Definition[Any, Any]:
    """A definition that returns what this function of the input gives."""
    given = parcel or (lambda _: Parcel(Item("x")))

    def written(s: Saga, wish: Wish) -> Parcel:
        s.pivot("send", Send(parcel=given(wish)))
        made: Parcel = result(wish)
        return made

    return define("t", version=1)(written)


def found(result: Any, *, parcel: Any = None) -> list[tuple[str, str, str]]:
    """What the build says about it."""
    with pytest.raises(DefinitionError) as failure:
        returning(result, parcel=parcel)
    return [(problem.place, problem.reason, problem.fix) for problem in failure.value.problems]


def test_a_dict_may_stand_for_a_struct() -> None:
    """With the names of the wire, whatever has a default left out."""
    definition = returning(lambda o: {"item": {"kind": "item", "itemId": o.name, "unitCount": o.count}})
    body = render(definition.compiled.output, {"input": b'{"name":"n","count":2}'})
    assert msgspec.json.decode(body, type=Parcel) == Parcel(Item("n", 2))
    assert returning(lambda o: {"item": {"itemId": o.name}, "label": o.note}).lints == ()


@pytest.mark.parametrize(
    ("item", "place", "reason", "fix"),
    [
        (lambda _: {"unitCount": 2}, "", "has no 'itemId', which Item needs", "its fields are itemId, unitCount"),
        (
            lambda _: {"itemId": "a", "unit_count": 2},
            "",
            "has the key 'unit_count', which Item does not know",
            "itemId",
        ),
        (lambda _: {"itemId": 5}, ".itemId", "5: Expected `str`, got `int`", "the contract accepts"),
        (lambda o: {"itemId": o.count}, ".itemId", "input.count is int, not str", "pass a value that is"),
        (lambda o: {"itemId": o.note}, ".itemId", "input.note may be null", "coalesce(x, default)"),
        (lambda _: {"itemId": "a", "kind": "thing"}, ".kind", "Invalid enum value 'thing'", "the contract accepts"),
    ],
)
def test_a_dict_that_stands_for_a_struct_is_looked_into(item: Any, place: str, reason: str, fix: str) -> None:
    """Otherwise the saga would complete, and nobody could read its result; also deep in a command."""
    for where, problems in (
        ("result.item", found(lambda o: {"item": item(o)})),
        ("send.parcel.item", found(lambda _: Parcel(Item("x")), parcel=lambda o: {"item": item(o)})),
    ):
        [problem] = problems
        assert problem[0] == where + place
        assert reason in problem[1]
        assert fix in problem[2]
