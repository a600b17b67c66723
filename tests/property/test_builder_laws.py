"""Laws of the builder: what it accepts can be read by who gets it, and no two places of a diagram are one."""

import re
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from saga import Command, DefinitionError, Effect, Saga, coalesce, command, define, no_undo
from saga.core.evaluation import render
from saga.define import Definition, mermaid


class Item(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Names of the wire, a constraint, null and a default."""

    item_id: str
    unit_count: int | None = None
    price: float = 1.5


class Box(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Items in it."""

    item: Item
    items: list[Item]
    names: dict[str, str] = {}


class Given(msgspec.Struct, frozen=True):
    """What the saga is given."""

    items: list[Item] | None = None


@command(service="post", effect=Effect.INBOX)
class Send(Command[Box], frozen=True):
    """A command."""


def returning(result: Any) -> Definition[Any, Any] | None:
    """A definition whose result this is, or nothing when it is refused; the function may look at the input."""

    def written(s: Saga, given: Given) -> Box:
        s.step("send", Send(), undo=no_undo("stays"))
        made: Box = result(given)
        return made

    try:
        return define("t", version=1)(written)
    except DefinitionError:
        return None


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(-9, 9), st.text(max_size=3))
KEYS = st.sampled_from(["itemId", "unitCount", "price", "item_id", "odd"])
ITEMS = st.one_of(
    st.dictionaries(KEYS, SCALARS, max_size=3),
    st.builds(lambda known, more: {"itemId": known, **more}, st.text(max_size=3), st.dictionaries(KEYS, SCALARS)),
    SCALARS,
)
BOXES = st.fixed_dictionaries(
    {"item": ITEMS, "items": st.lists(ITEMS, max_size=2)},
    optional={"names": st.dictionaries(st.text(max_size=2), SCALARS, max_size=2), "odd": SCALARS},
)


def is_a(kind: Any, body: bytes) -> bool:
    """Whether these bytes are of this type."""
    try:
        msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        return False
    return True


@given(BOXES)
def test_a_dict_is_accepted_for_a_struct_exactly_if_it_is_one(box: dict[str, Any]) -> None:
    """A saga never completes with a result that its caller cannot read."""
    definition = returning(lambda _: box)
    assert (definition is not None) == is_a(Box, msgspec.json.encode(box))
    if definition is not None:
        assert is_a(Box, render(definition.compiled.output, {"input": b"{}"}))


@given(st.lists(ITEMS, max_size=3))
@example([None])
def test_what_stands_for_a_list_is_accepted_exactly_if_it_is_one(items: list[Any]) -> None:
    """A default is what the value would have been."""
    definition = returning(lambda o: Box(item=Item("x"), items=coalesce(o.items, items)))
    assert (definition is not None) == is_a(list[Item], msgspec.json.encode(items))
    if definition is not None:
        assert is_a(Box, render(definition.compiled.output, {"input": b'{"items":null}'}))


@given(st.sets(st.from_regex(r"[a-d][a-d_-]{0,8}(_undo|-undo)?", fullmatch=True), min_size=1, max_size=6))
def test_every_path_has_a_node_of_its_own(names: set[str]) -> None:
    """Whatever dashes and underscores its name has."""

    def written(s: Saga, _: Given) -> None:
        for name in sorted(names):
            s.step(name, Send(), undo=Send())

    nodes = re.findall(r"^ +(n_\w+)\[", mermaid(define("t", version=1)(written).compiled), re.MULTILINE)
    assert len(nodes) == len(set(nodes)) == 2 * len(names)
