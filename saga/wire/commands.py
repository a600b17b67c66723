"""Commands: from an orchestrator to a participant."""

from saga.core.messages import CommandMessage, Kind
from saga.ports import Delivery, Outgoing
from saga.wire import fields, names
from saga.wire.screen import KEY_CHARACTERS_MAX, PATH_CHARACTERS_MAX, check_json, screen

UNDOES_OUTCOMES = ("ok", "unknown")


def command_to_wire(command: CommandMessage) -> Outgoing:
    """The message that asks a participant for one attempt."""
    headers = {
        names.KEY: command.business_key,
        names.NAME: command.saga_name,
        names.VERSION: str(command.saga_version),
        names.STEP: command.path,
        names.KIND: command.kind.value,
        names.EXECUTION: str(command.execution),
        names.ATTEMPT: str(command.attempt),
        names.IDEMPOTENCY_KEY: command.key,
    }
    if command.undoes is not None:
        headers[names.UNDOES] = command.undoes
    if command.undoes_outcome is not None:
        headers[names.UNDOES_OUTCOME] = command.undoes_outcome
    if command.expires_at is not None:
        headers[names.EXPIRES_AT] = fields.to_instant(command.expires_at)
    if command.traceparent is not None:
        headers[names.TRACEPARENT] = command.traceparent
        if command.tracestate is not None:
            headers[names.TRACESTATE] = command.tracestate
    type_name = command.type_name
    return Outgoing(
        exchange=names.EXCHANGE_COMMANDS,
        routing_key=type_name,
        body=command.body,
        message_id=command.message_id,
        type=type_name,
        headers=headers,
        correlation_id=command.saga,
    )


def command_from_wire(delivery: Delivery) -> CommandMessage:
    """The command in a delivery. Raises ProtocolViolation."""
    command = command_envelope(delivery)
    check_json(delivery.body)
    return command


def command_envelope(delivery: Delivery) -> CommandMessage:
    """The command without a look at its body: enough to answer `refused/invalid-payload`. Raises ProtocolViolation."""
    screen(delivery)
    service, name, version = fields.command_type(delivery.routing_key)
    fields.agrees("type", delivery.type, delivery.routing_key)
    kind = fields.choice(names.KIND, delivery.headers.get(names.KIND), Kind)
    undoes, undoes_outcome = _undoes(delivery, kind)
    traceparent, tracestate = fields.trace(delivery)
    return CommandMessage(
        saga=fields.saga_id(delivery.correlation_id),
        saga_name=fields.text(delivery, names.NAME),
        saga_version=fields.number(delivery, names.VERSION),
        business_key=fields.optional_text(delivery, names.KEY, KEY_CHARACTERS_MAX) or "",
        path=fields.text(delivery, names.STEP, PATH_CHARACTERS_MAX),
        kind=kind,
        execution=fields.number(delivery, names.EXECUTION),
        attempt=fields.number(delivery, names.ATTEMPT),
        service=service,
        command=name,
        command_version=version,
        message_id=fields.limited("message_id", fields.present("message_id", delivery.message_id)),
        key=fields.idempotency_key(names.IDEMPOTENCY_KEY, delivery.headers.get(names.IDEMPOTENCY_KEY)),
        body=delivery.body,
        undoes=undoes,
        undoes_outcome=undoes_outcome,
        expires_at=fields.instant(delivery, names.EXPIRES_AT),
        traceparent=traceparent,
        tracestate=tracestate,
    )


def _undoes(delivery: Delivery, kind: Kind) -> tuple[str | None, str | None]:
    """What a compensation undoes and what the engine knows of it; nothing for an action."""
    if kind is Kind.ACTION:
        return None, None
    undoes = fields.idempotency_key(names.UNDOES, delivery.headers.get(names.UNDOES))
    outcome = fields.text(delivery, names.UNDOES_OUTCOME)
    if outcome not in UNDOES_OUTCOMES:
        raise fields.bad(names.UNDOES_OUTCOME, outcome, "ok or unknown")
    return undoes, outcome
