"""Messages with their headers, AMQP properties and bodies."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from saga.contract import Contract, Failure
from saga.core import definition as core
from saga.core.messages import Choice, Outcome, RefusedCode, ReplyEffect
from saga.wire import names
from saga.wire.asyncapi.parts import JSON, ref
from saga.wire.headers import KEY, Header, Message, Need, headers_of
from saga.wire.lifecycle import LifecycleBody

RETRY: Final = "saga.retry"
REFUSED: Final = "saga.refused"
ACCEPTED: Final = names.result_type("accepted")
REFUSED_RESULT: Final = names.result_type("refused")
CANCEL: Final = names.TYPE_CANCEL
DECIDE: Final = names.TYPE_DECIDE
LIFECYCLE: Final = names.TYPE_LIFECYCLE
PARKED: Final = "saga.parked"
BINDING: Final = "0.3.0"
SAGA_ID: Final = {"type": "string", "format": "uuid", "description": "The saga's id."}
NOTHING: Final = {"type": "object", "maxProperties": 0, "description": "There was nothing to undo."}
SAGA_AND_EXISTING: Final = {"saga": {"type": "string"}, "existing": {"type": "boolean", "default": False}}
DECISION: Final = {
    "path": {"type": "string", "description": "Of the approval."},
    "decision": {"enum": list(Choice)},
    "digest": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256 of the subject looked at."},
    "number": {"type": "integer", "minimum": 1, "description": "Of the request looked at."},
    "reason": {"type": "string"},
    "edited": {"description": "The subject as the approver wants it."},
}
CODE_AND_REASON: Final = {"code": {"type": "string"}, "reason": {"type": "string"}}


class Schemas(msgspec.Struct, frozen=True):
    """JSON schemas of Python types."""

    components: JSON
    of: dict[type[Any], JSON]


def schemas(types: Iterable[type[Any]]) -> Schemas:
    """The schemas of these types and of all they hold."""
    unique = list(dict.fromkeys(types))
    found, components = msgspec.json.schema_components(unique, ref_template="#/components/schemas/{name}")
    return Schemas(components, dict(zip(unique, found, strict=True)))


def header_schemas() -> JSON:
    """One schema for the headers of each kind of message."""
    return {header_schema_name(message): _headers(message) for message in Message}


def header_schema_name(message: Message) -> str:
    """As it stands among the components."""
    return f"saga-headers-{message}"


def command(kind: type[Any], contract: Contract, compensates: tuple[str, ...], schemas: Schemas) -> JSON:
    """What a participant is asked. As a compensation it carries two headers more."""
    message = Message.COMPENSATION if compensates else Message.ACTION
    return {
        **_message(contract.type_name, schemas.of[kind], message, _doc(kind)),
        "correlationId": _correlation(names.IDEMPOTENCY_KEY),
        "x-amqp-properties": _properties(
            message_id={"type": "string", "pattern": KEY, "description": "Of this attempt."}, correlation_id=SAGA_ID
        ),
        "x-saga-effect": contract.effect.value,
        "x-saga-remembers-days": contract.remembers.days,
        **({"x-saga-compensates": list(compensates)} if compensates else {}),
    }


def reply(contract: Contract, schemas: Schemas, *, undoes: bool) -> JSON:
    """The `ok`. That of a compensation may be empty."""
    payload = schemas.of[contract.reply]
    if undoes:
        payload = {"anyOf": [payload, NOTHING]}
    return _answer(contract.reply_type_name, payload, Outcome.OK, _doc(contract.reply))


def failure_name(contract: Contract, failure: type[Failure]) -> str:
    """Type of the body of a declared failure."""
    return f"{contract.service}.{failure.__name__}.v{contract.version}"


def failure(contract: Contract, kind: type[Failure], schemas: Schemas) -> JSON:
    """A declared business refusal."""
    name = failure_name(contract, kind)
    return _answer(name, schemas.of[kind], Outcome.FAILED, _doc(kind), {"const": kind.__name__})


def shared(schemas: Schemas) -> JSON:
    """The messages that are the same for every command and every saga."""
    accepted = {"type": "object", "properties": SAGA_AND_EXISTING, "required": ["saga"]}
    refused = {"type": "object", "properties": CODE_AND_REASON, "required": ["code"]}
    reason = {"type": "object", "properties": {"reason": {"type": "string"}}}
    decision = {"type": "object", "properties": DECISION, "required": ["path", "decision", "digest"]}
    codes = {"enum": list(RefusedCode)}
    return {
        RETRY: _answer("", None, Outcome.RETRY, "Not now; nothing is claimed about the effect."),
        REFUSED: _answer("", None, Outcome.REFUSED, "Not this delivery; it settles nothing.", codes),
        ACCEPTED: _message(ACCEPTED, accepted, Message.RESULT, "It counts, now or from before."),
        REFUSED_RESULT: _message(REFUSED_RESULT, refused, Message.RESULT, "It does not count, and why."),
        CANCEL: _said(_message(CANCEL, reason, Message.CONTROL, "Undo what a saga did and end it.")),
        DECIDE: _said(_message(DECIDE, decision, Message.CONTROL, "Approve or reject, through a gateway.")),
        LIFECYCLE: {
            **_message(LIFECYCLE, schemas.of[LifecycleBody], Message.LIFECYCLE, _doc(LifecycleBody)),
            "x-amqp-properties": _properties(
                message_id={"type": "string", "description": "<saga>:<version>, with :<moment> for further ones."},
                correlation_id=SAGA_ID,
            ),
        },
        PARKED: {
            "name": PARKED,
            "summary": "A message as it arrived, with the reason it could not be used.",
            "headers": ref("components", "schemas", header_schema_name(Message.PARKED)),
        },
    }


def signal_name(saga: str, signal: str) -> str:
    """Of the message that tells a saga something."""
    return f"signal.{saga}.{signal}"


def signal(saga: str, name: str, kind: type[Any] | None, schemas: Schemas) -> JSON:
    """What a saga waits for. Without a type its body is any JSON; which fields are read is up to the definition."""
    summary = f"Tell {saga} `{name}`: by saga id, or by saga-key. The same message_id counts once."
    payload = None if kind is None else schemas.of[kind]
    described = _said(_message(name, payload, Message.SIGNAL, summary))
    return {**described, "name": signal_name(saga, name)}


def _said(described: JSON) -> JSON:
    """With the properties of what is said to a saga that is there."""
    return {
        **described,
        "x-amqp-properties": _properties(
            message_id={"type": "string", "description": "The caller's: repeats are recognised by it."},
            correlation_id={"type": "string", "description": "The saga's id; empty with name and saga-key."},
            user_id={"type": "string", "description": "Who says it: required but with a signal."},
        ),
    }


def start_name(saga: str) -> str:
    """Of the message that starts a saga."""
    return f"start.{saga}"


def start(definition: core.Definition, kind: type[Any], schemas: Schemas) -> JSON:
    """What a caller asks."""
    summary = f"Start {definition.name}. The same key and body again mean the same saga."
    return {
        **_message(definition.name, schemas.of[kind], Message.START, summary),
        "name": start_name(definition.name),
        "x-amqp-properties": _properties(
            message_id={"type": "string", "description": "The caller's; the start key where there is no saga-key."},
            reply_to={"type": "string", "description": "Optional: <user>.<client>, where answers go on saga.results."},
        ),
        "x-saga-definition-version": definition.version,
    }


def ended_name(saga: str) -> str:
    """Of the message that tells a caller what came of its saga."""
    return f"ended.{saga}"


def ended(saga: str, kind: type[Any], schemas: Schemas) -> JSON:
    """The end of a saga, with its output when it completed."""
    has_output = {"output": schemas.of[kind]} if kind is not type(None) else {}
    payload = {
        "type": "object",
        "properties": {"saga": {"type": "string"}, "status": {"type": "string"}, **has_output},
        "required": ["saga", "status"],
    }
    described = _message(names.result_type("ended"), payload, Message.RESULT, f"How {saga} ended.")
    return {**described, "name": ended_name(saga)}


def _answer(name: str, payload: JSON | None, outcome: Outcome, summary: str, code: JSON | None = None) -> JSON:
    constants: JSON = {names.OUTCOME: {"const": outcome.value}}
    needed = [names.EFFECT] if outcome is Outcome.OK else [names.CODE]
    if code is not None:
        constants[names.CODE] = code
    if outcome is Outcome.OK:
        constants[names.EFFECT] = {"enum": list(ReplyEffect)}
    headers = ref("components", "schemas", header_schema_name(Message.REPLY))
    described = _message(name or f"saga.{outcome}", payload, Message.REPLY, summary)
    if not name:
        del described["bindings"]  # without a body there is no type to name
    return {
        **described,
        "headers": {"allOf": [headers, {"type": "object", "properties": constants, "required": needed}]},
        "correlationId": _correlation(names.IDEMPOTENCY_KEY),
        "x-amqp-properties": _properties(
            correlation_id=SAGA_ID,
            user_id={"type": "string", "description": "Required: the participant's broker user."},
        ),
    }


def _message(name: str, payload: JSON | None, message: Message, summary: str) -> JSON:
    described: JSON = {
        "name": name,
        "summary": summary,
        "contentType": "application/json",
        "headers": ref("components", "schemas", header_schema_name(message)),
        "bindings": {"amqp": {"messageType": name, "bindingVersion": BINDING}},
    }
    return described if payload is None else {**described, "payload": payload}


def _headers(message: Message) -> JSON:
    headers = headers_of(message)
    return {
        "type": "object",
        "properties": {header.name: _header(header) for header in headers},
        "required": [header.name for header in headers if header.on[message] is Need.REQUIRED],
    }


def _header(header: Header) -> JSON:
    schema: JSON = {"type": "string", "description": header.meaning}
    if header.pattern:
        schema["pattern"] = header.pattern
    if header.words:
        schema["enum"] = list(header.words)
    if header.characters_max:
        schema["maxLength"] = header.characters_max
    return schema


def _properties(**properties: JSON) -> JSON:
    """The AMQP properties that carry meaning: AsyncAPI has no place for them."""
    return {"type": "object", "properties": properties}


def _correlation(header: str) -> JSON:
    return {"location": f"$message.header#/{header}"}


def _doc(kind: type[Any]) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]
