"""Commands of a definition and the rules of what undoes them."""

from datetime import timedelta
from typing import Any, Never, TypeVar

import msgspec

from saga.contract import Command, Contract, Effect, contract_of
from saga.core.definition import CommandTemplate
from saga.define.blocks import Asked
from saga.define.placeholder import Placeholder, PlaceholderMisuse, references, show, source_of, value_of
from saga.define.recorded import Findings, Site, literal
from saga.define.shapes import may_be_null, struct_fields
from saga.define.values import Values
from saga.define.words import no_undo

T = TypeVar("T")
UNDO_FIX = "undo=lambda reply: Refund(...), or undo=no_undo('why it may stay'), or s.read for what changes nothing"
SUBJECT = "subject"
"""What was approved, as a field of an approval."""
Undoing = Command[object, Never]
"""A compensation declares no failure: the type checkers see to it."""


class Undo(msgspec.Struct, frozen=True):
    """How a step is undone."""

    known: CommandTemplate | None = None
    unknown: CommandTemplate | None = None
    reason: str | None = None
    """Why it is not."""


def contract_at(values: Values, command: object, place: str) -> Contract | None:
    """The contract of a command; None, and a problem, when it is no command."""
    asked = asked_with(values.found, command)
    if asked is not None:
        return asked.contract
    if isinstance(command, Placeholder):
        raise PlaceholderMisuse(place, f"its command is {show(command)}", "write the command: ChargeCard(order_id=...)")
    if isinstance(command, type):
        values.bad(place, f"{command.__name__} is a class, not a command", f"write {command.__name__}(...)")
        return None
    try:
        return contract_of(type(command))
    except TypeError:
        reason = f"{type(command).__name__} declares no service and effect"
        values.bad(
            place, reason, "decorate it with @command(service=..., effect=...) and derive it from Command[Reply]"
        )
        return None


def asked_with(found: Findings, command: object) -> Asked | None:
    """The approval whose subject a command is: `letter.subject`."""
    if not isinstance(command, Placeholder) or value_of(command).op != "field":
        return None
    above, field = value_of(command).args
    asked = found.asked.get(source_of(command).path)
    if asked is None or asked.gate or source_of(command).build is not found:
        return None
    return asked if value_of(above).op == "source" and field.name == SUBJECT else None


def template(values: Values, command: object, site: Site) -> CommandTemplate:
    """A command to send, with the contract it relies on; of nobody, and a problem, when it is no command."""
    known = contract_at(values, command, site.place)
    contract = known or Contract("unknown", "Unknown", 1, Effect.AT_MOST_ONCE, msgspec.Struct, (), timedelta(0))
    return CommandTemplate(
        service=contract.service,
        name=contract.name,
        version=contract.version,
        effect=contract.effect,
        reply=contract.reply_type_name,
        failures=tuple(failure.__name__ for failure in contract.failures),
        remembers=contract.remembers,
        body=values.expression(command, Any, site) if known else literal(None),
    )


def undoing(values: Values, site: Site, action: CommandTemplate, undo: object, unknown: object) -> Undo:
    """How the step at this site is undone; `undo` is what the author gave, already without its reply function."""
    path = site.place
    if undo is None:
        values.found.bad(path, "says nothing about its undo", UNDO_FIX, code="SAGA-2104")
        return Undo()
    if isinstance(undo, no_undo):
        if not undo.reason.strip():
            values.bad(path, "no_undo without a reason", "no_undo('why this may stay'): operators read it")
        if unknown is not None:
            values.bad(path, "has no undo, but says what to send when its outcome is unknown", "remove unknown=")
        return Undo(reason=undo.reason)
    _check_reply(values, path, undo, unknown)
    known = template(values, undo, site.at(".undo"))
    doubt = None if unknown is None else template(values, unknown, site.at(".unknown"))
    for place, command, given in ((f"{path}.undo", known, undo), (f"{path}.unknown", doubt, unknown)):
        if command is not None and contract_at(values, given, place) is not None:
            _check_undo(values, place, action, command)
    return Undo(known, doubt)


def _check_reply(values: Values, path: str, undo: object, unknown: object) -> None:
    """What an undo takes from the step's own reply is not there when the step's outcome is unknown."""
    for given in (undo, unknown):
        if isinstance(given, Placeholder):
            raise PlaceholderMisuse(path, f"is undone by {show(given)}", "write the command: Refund(...)")
    own = sorted({text for source, text, guarded in references(undo) if source.path == path and not guarded})
    if own and unknown is None:
        values.bad(
            path,
            f"its undo reads {', '.join(own)}, which does not exist when the outcome is unknown",
            "pass unknown=, a command that needs no reply; the participant finds the effect by the idempotency key",
        )
    if isinstance(undo, msgspec.Struct) and (unknown is None or type(unknown) is type(undo)):
        for name in _fields_without_null(undo, unknown, path):
            values.bad(
                f"{path}.undo.{name}",
                f"is taken from the reply of '{path}', but {type(undo).__name__} does not accept None for it",
                f"declare it as '{name.rsplit('.', 1)[-1]}: ... | None', and say None in unknown=: a made-up value "
                "could name what another saga did",
            )


def called_with_reply(undo: object, reply: object) -> object:
    """An undo may be a function of the reply; a command class is no such function."""
    return undo(reply) if callable(undo) and not isinstance(undo, type | Placeholder) else undo


def _check_undo(values: Values, place: str, action: CommandTemplate, undo: CommandTemplate) -> None:
    if undo.service != action.service:
        values.bad(
            place,
            f"goes to '{undo.service}', the step to '{action.service}': nothing there can hold back a late action",
            f"let '{action.service}' undo what it did",
        )
    if undo.failures:
        values.bad(
            place,
            f"{undo.name} may refuse ({', '.join(undo.failures)}); a compensation may not",
            f"declare {undo.name} as Command[Reply] without failures",
        )
    if undo.effect is Effect.AT_MOST_ONCE:
        values.bad(
            place,
            f"{undo.name} is at_most_once; a compensation is repeated until it is done",
            "declare inbox, provider_key or probe in its contract",
        )
    if undo.effect is Effect.READ_ONLY:
        values.bad(
            place, f"{undo.name} is read_only: it undoes nothing", "use the command that undoes, or no_undo(...)"
        )


def _fields_without_null(undo: msgspec.Struct, unknown: object, path: str) -> list[str]:
    """Fields filled from the step's own reply that do not accept null, nor does anything around them, and that
    `unknown` does not fill from what the saga knows without a reply."""
    found: list[str] = []
    for name, shape in struct_fields(type(undo)).items():
        value = getattr(undo, name)
        instead = getattr(unknown, name, None)
        own = any(source.path == path and not guarded for source, _, guarded in references(value))
        if not own or may_be_null(shape.type):
            continue
        if isinstance(value, msgspec.Struct):
            found += [f"{name}.{inner}" for inner in _fields_without_null(value, instead, path)]
        elif any(True for _ in references(instead)):
            continue
        else:
            found.append(name)
    return found
