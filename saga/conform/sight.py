"""What every reply is looked at for, whatever it answers. Pure: a delivery and the command it should answer."""

from collections.abc import Iterator

from saga.core.errors import ProtocolViolation
from saga.core.limits import BODY_BYTES_MAX, HEADERS_BYTES_MAX, headers_size
from saga.core.messages import Outcome, RefusedCode, ReplyEffect
from saga.ports import Delivery, Outgoing
from saga.wire import ERROR_TEXT_BYTES_MAX, check_json, fields, names, reply_from_wire
from saga.wire.screen import NAME_CHARACTERS_MAX

ECHOED = (names.STEP, names.KIND, names.EXECUTION, names.ATTEMPT, names.IDEMPOTENCY_KEY)
SETTLING = (Outcome.OK, Outcome.FAILED)
TOO_LARGE = ("the body has ", "the headers have ")
"""How a bus begins the defect of what it did not read for its size."""


def violations(reply: Delivery, command: Outgoing, service: str) -> list[tuple[str, str]]:
    """Names of the rules this reply breaks, each with what was wanted and what is there."""
    found = [
        *_strings(reply),
        *_sender(reply),
        *_routing(reply, service),
        *_echo(reply, command),
        *_trace(reply, command),
        *_codes(reply),
        *_body(reply, service),
        *_limits(reply),
    ]
    if not found:
        try:
            cost = reply_from_wire(reply).cost
        except ProtocolViolation as violation:
            found.append(("readable", str(violation)))
        else:
            if cost is not None and not cost:
                said = fields.shown(reply.headers.get(names.COST, ""))
                found.append(("readable", f"{names.COST} is {said}, wanted amounts such as '0.0123 USD, 1520 tokens'"))
    return found


def outcome_of(reply: Delivery) -> str:
    """The last word of its routing key."""
    return reply.routing_key.rpartition(".")[2]


def shown(reply: Delivery) -> str:
    """An answer in a few words: `refused/key-reused`, `ok, effect applied`."""
    code, effect = reply.headers.get(names.CODE), reply.headers.get(names.EFFECT)
    outcome = outcome_of(reply)
    if outcome == Outcome.OK:
        return f"ok, effect {effect or 'missing'}"
    return f"{outcome}/{code or 'no code'}"


def _strings(reply: Delivery) -> Iterator[tuple[str, str]]:
    for defect in reply.defects:
        yield "limits" if defect.startswith(TOO_LARGE) else "header-strings", defect
    if any("\0" in text for text in (*reply.headers, *reply.headers.values())):
        yield "header-strings", "a header holds a NUL character"


def _sender(reply: Delivery) -> Iterator[tuple[str, str]]:
    if not reply.sender:
        yield "user-id", "the property user_id is missing: an orchestrator believes no reply without it"


def _routing(reply: Delivery, service: str) -> Iterator[tuple[str, str]]:
    wanted = [f"{service}.{outcome}" for outcome in Outcome]
    if reply.routing_key not in wanted:
        yield "routing-key", f"the routing key is {reply.routing_key!r}, wanted one of {', '.join(wanted)}"
    said = reply.headers.get(names.OUTCOME)
    if said != outcome_of(reply):
        yield "routing-key", f"{names.OUTCOME} is {said!r}, the routing key says {outcome_of(reply)!r}"


def _echo(reply: Delivery, command: Outgoing) -> Iterator[tuple[str, str]]:
    if reply.correlation_id != command.correlation_id:
        yield "echo", f"correlation_id is {reply.correlation_id!r}, wanted the command's, {command.correlation_id!r}"
    wanted = {name: command.headers[name] for name in ECHOED if name in command.headers}
    for name, value in {**wanted, names.IN_REPLY_TO: command.message_id}.items():
        if reply.headers.get(name) != value:
            source = "message_id" if name == names.IN_REPLY_TO else "header of this name"
            yield "echo", f"{name} is {reply.headers.get(name)!r}, wanted the command's {source}, {value!r}"


def _trace(reply: Delivery, command: Outgoing) -> Iterator[tuple[str, str]]:
    sent = command.headers.get(names.TRACEPARENT)
    if sent is None:
        return
    parent, _ = fields.trace(reply)
    if parent is None:
        yield "trace", f"{names.TRACEPARENT} is {reply.headers.get(names.TRACEPARENT)!r}, wanted one of {sent!r}"
    elif parent.split("-")[1] != sent.split("-")[1]:
        yield "trace", f"{names.TRACEPARENT} {parent!r} is of another trace than the command's, {sent!r}"


def _codes(reply: Delivery) -> Iterator[tuple[str, str]]:
    code, outcome = reply.headers.get(names.CODE), outcome_of(reply)
    if outcome == Outcome.OK:
        if code:
            yield "codes", f"{names.CODE} is {code!r}, wanted none on an ok"
        effect = reply.headers.get(names.EFFECT)
        if effect not in tuple(ReplyEffect):
            yield "codes", f"{names.EFFECT} is {effect!r}, wanted one of {', '.join(ReplyEffect)}"
    elif outcome in tuple(Outcome) and not code:
        yield "codes", f"{names.CODE} is missing on a {outcome}"
    elif outcome == Outcome.REFUSED and code not in tuple(RefusedCode):
        yield "codes", f"{names.CODE} is {code!r} on a refused, wanted one of {', '.join(RefusedCode)}"


def _body(reply: Delivery, service: str) -> Iterator[tuple[str, str]]:
    if outcome_of(reply) not in SETTLING or any(defect.startswith(TOO_LARGE) for defect in reply.defects):
        return  # what is too large was not read
    try:
        fields.command_type(reply.type)
    except ProtocolViolation:
        yield "bodies", f"the property type is {reply.type!r}, wanted <service>.<Name>.v<N>"
    else:
        if not reply.type.startswith(f"{service}."):
            yield "bodies", f"the property type is {reply.type!r}, which is not of {service}"
    try:
        check_json(reply.body)
    except ProtocolViolation as violation:
        yield "bodies", violation.detail


def _limits(reply: Delivery) -> Iterator[tuple[str, str]]:
    if len(reply.body) > BODY_BYTES_MAX:
        yield "limits", f"the body has {len(reply.body)} bytes, at most {BODY_BYTES_MAX} are allowed"
    size_bytes = headers_size(reply.headers.items())
    if size_bytes > HEADERS_BYTES_MAX:
        yield "limits", f"the headers take {size_bytes} bytes, at most {HEADERS_BYTES_MAX} are allowed"
    message = reply.headers.get(names.MESSAGE, "")
    if len(message.encode()) > ERROR_TEXT_BYTES_MAX:
        yield "limits", f"{names.MESSAGE} has {len(message.encode())} bytes, at most {ERROR_TEXT_BYTES_MAX} are allowed"
    if len(reply.headers.get(names.CODE, "")) > NAME_CHARACTERS_MAX:
        yield "limits", f"{names.CODE} has more than {NAME_CHARACTERS_MAX} characters"
