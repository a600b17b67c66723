"""The limits of a definition, at their edges: what is at one builds, one more is refused with the place and the fix."""

import types
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from saga import Command, DefinitionError, Effect, Participant, command, define
from saga.contract import VERSION_MAX
from saga.core.bounds import MAP_ITEMS_MAX, TURNS_MAX
from saga.core.definition import DEFINITION_BYTES_MAX, DEPTH_MAX, NAME_CHARACTERS_MAX, STEPS_MAX, TAGS_MAX
from saga.define import Definition
from tests.typing import onboarding
from tests.typing import orders as c
from tests.unit.define import mistakes as m
from tests.unit.define import mistakes_of_structure as structure

LONGEST = "a" * NAME_CHARACTERS_MAX


def built(body: m.Body, name: str = "t", **header: Any) -> Definition[Any, Any]:
    def written(s: Any, order: c.PlaceOrder) -> None:
        body(s, order)

    made: Definition[Any, Any] = define(name, **{"version": 1, **header})(written)
    return made


def refusal(body: m.Body, name: str = "t") -> str:
    with pytest.raises(DefinitionError) as failure:
        built(body, name)
    [problem] = failure.value.problems
    return f"{problem.place}: {problem.reason}. Fix: {problem.fix}"


def steps(count: int, text: str = "") -> m.Body:
    def body(s: Any, o: Any) -> None:
        for number in range(count):
            s.step(f"s{number}", c.SendMail(to="a", subject=text), undo=m.KEPT)

    return body


def nested(depth: int) -> m.Body:
    def body(s: Any, o: c.PlaceOrder) -> None:
        with ExitStack() as stack:
            for number in range(depth):
                stack.enter_context(s.when(o.gift, name=f"w{number}"))
            s.read("quote", m.QUOTE)

    return body


def tagged(count: int) -> m.Body:
    def body(s: Any, o: Any) -> None:
        s.tag(**{f"t{number}": o.order_id for number in range(count)})
        s.read("quote", m.QUOTE)

    return body


def test_names() -> None:
    """Of a saga and of a step."""
    made = built(lambda s, _: s.read(LONGEST, m.QUOTE), LONGEST)
    assert made.name == LONGEST
    assert "does not fit a path" in refusal(lambda s, _: s.read(LONGEST + "a", m.QUOTE))
    assert f"at most {NAME_CHARACTERS_MAX}" in refusal(lambda s, _: s.read("quote", m.QUOTE), LONGEST + "a")


def test_names_of_services_and_commands() -> None:
    """They are words of a routing key."""

    def made(service: str, name: str) -> type[Command[c.Done]]:
        kind: type[Command[c.Done]] = types.new_class(name, (Command[c.Done],), {"frozen": True})
        return command(service=service, effect=Effect.INBOX)(kind)

    made(LONGEST, "C" * NAME_CHARACTERS_MAX)
    for service, name in ((LONGEST + "a", "Pay"), ("payments", "C" * (NAME_CHARACTERS_MAX + 1))):
        with pytest.raises(TypeError, match=f"at most {NAME_CHARACTERS_MAX}"):
            made(service, name)
    with pytest.raises(TypeError, match=f"at most {NAME_CHARACTERS_MAX}"):
        Participant(LONGEST + "a", [])


def test_versions() -> None:
    """Of a saga and of a command."""
    assert built(lambda s, _: s.read("quote", m.QUOTE), version=VERSION_MAX).version == VERSION_MAX
    with pytest.raises(DefinitionError, match=f"version={VERSION_MAX + 1}"):
        built(lambda s, _: s.read("quote", m.QUOTE), version=VERSION_MAX + 1)
    kinds = [types.new_class("Pay", (Command[c.Done],), {"frozen": True}) for _ in range(2)]
    command(service="payments", effect=Effect.INBOX, version=VERSION_MAX)(kinds[0])
    with pytest.raises(TypeError, match=f"version {VERSION_MAX + 1}"):
        command(service="payments", effect=Effect.INBOX, version=VERSION_MAX + 1)(kinds[1])


def test_steps() -> None:
    """A saga that needs more is several."""
    built(steps(STEPS_MAX))
    assert f"has {STEPS_MAX + 1} steps, more than {STEPS_MAX}. Fix: split" in refusal(steps(STEPS_MAX + 1))


def structured(body: m.Body) -> Definition[Any, Any]:
    """Over an input with seats to run over."""

    def written(s: Any, new: onboarding.NewCustomer) -> None:
        body(s, new)

    made: Definition[Any, Any] = define("t", version=1)(written)
    return made


def each_of(limit: int) -> m.Body:
    def body(s: Any, o: Any) -> None:
        with s.each("seats", o.seats, limit=limit):
            structure.add(s)

    return body


def turns_of(limit: int) -> m.Body:
    def body(s: Any, _o: Any) -> None:
        with s.repeat("writing", limit=limit) as turn:
            turn.until(s.read("draft", structure.DRAFT).good)

    return body


@pytest.mark.parametrize(("body_of", "most"), [(each_of, MAP_ITEMS_MAX), (turns_of, TURNS_MAX)])
def test_items_and_turns(body_of: Callable[[int], m.Body], most: int) -> None:
    """The greatest limit an `each` or a `repeat` may be given."""
    structured(body_of(most))
    with pytest.raises(DefinitionError, match=f"limit=1 to {most}"):
        structured(body_of(most + 1))


def test_depth() -> None:
    """Of blocks in blocks."""
    built(nested(DEPTH_MAX - 1))
    assert f"is nested deeper than {DEPTH_MAX}. Fix: split" in refusal(nested(DEPTH_MAX))


def test_tags() -> None:
    """Each is a column people search by."""
    built(tagged(TAGS_MAX))
    assert f"{TAGS_MAX + 1} tags, more than {TAGS_MAX}. Fix:" in refusal(tagged(TAGS_MAX + 1))


def test_size() -> None:
    """In its canonical form, constants and all."""
    empty_bytes = len(built(steps(1)).canonical)
    room_bytes = DEFINITION_BYTES_MAX - empty_bytes
    made = built(steps(1, "x" * room_bytes))
    assert len(made.canonical) == DEFINITION_BYTES_MAX
    said = refusal(steps(1, "x" * (room_bytes + 1)))
    assert f"is {DEFINITION_BYTES_MAX + 1} bytes, more than {DEFINITION_BYTES_MAX}" in said
