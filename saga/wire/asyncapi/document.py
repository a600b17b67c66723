"""Puts the document together: which commands there are, what they compensate, and where everything goes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from saga.contract import Contract, contract_of
from saga.core import definition as core
from saga.core.children import SERVICE
from saga.core.errors import SagaError
from saga.wire.asyncapi import channels, messages
from saga.wire.asyncapi.parts import JSON, pointer, to_channel, to_message
from saga.wire.lifecycle import LifecycleBody

ASYNCAPI = "3.1.0"
SERVER = {
    "host": "{host}",
    "protocol": "amqp",
    "protocolVersion": "0-9-1",
    "variables": {"host": {"default": "localhost:5672", "description": "Where the broker listens."}},
}
DESCRIPTION = """\
Sagas over RabbitMQ, seen from the orchestrator: it sends commands and hears replies, it receives starts, signals and
controls.
A participant does the opposite: it reads the queue `saga.commands.<service>` and answers on `saga.replies`.
Every message is persistent and mandatory and is published with confirms; every `saga-*` header is a string; a body is
at most 256 KiB of JSON in UTF-8, all headers together at most 16 KiB."""


class UnknownContract(SagaError):
    """A definition uses a command whose contract was not given."""

    code = "SAGA-2004"


class Described(msgspec.Struct, frozen=True):
    """A definition with the Python types of its ends and of its signals."""

    definition: core.Definition
    input: type[Any]
    output: type[Any]
    signals: Mapping[str, type[Any]] = {}
    """By name; one that is missing is any JSON."""


class Usage(msgspec.Struct, frozen=True):
    """One command, and what the definitions do with it."""

    contract: Contract
    command: type[Any]
    compensates: tuple[str, ...]
    """Types of the actions it undoes."""
    steps: tuple[JSON, ...]
    """The steps that send it, or are undone by it."""


def asyncapi_document(
    commands: Iterable[type[Any]], definitions: Sequence[Described] = (), *, title: str, version: str
) -> JSON:
    """The document of these command classes and definitions, the same for the same input.

    Raises UnknownContract when a definition uses a command that is not among them.
    """
    usages = _usages(commands, definitions)
    schemas = messages.schemas(_types(usages, definitions))
    found: JSON = {**_command_messages(usages, schemas), **_caller_messages(definitions, schemas)}
    found |= messages.shared(schemas)
    sagas = [one.definition.name for one in definitions]
    signals = {one.definition.name: _signals(one.definition) for one in definitions}
    return {
        "asyncapi": ASYNCAPI,
        "info": {"title": title, "version": version, "description": DESCRIPTION},
        "defaultContentType": "application/json",
        "servers": {"broker": SERVER},
        "channels": {**_command_channels(usages), **channels.of_callers(sagas, signals)},
        "operations": {
            **{usage.contract.type_name: _operation(usage) for usage in usages},
            **channels.caller_operations(sagas, signals),
        },
        "components": {
            "messages": found,
            "schemas": {**schemas.components, **messages.header_schemas()},
        },
    }


def written(document: JSON) -> bytes:
    """The document as a file: indented, ending in a line break."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _usages(commands: Iterable[type[Any]], definitions: Sequence[Described]) -> list[Usage]:
    classes = {contract_of(command).type_name: command for command in commands}
    undoes: dict[str, set[str]] = {}
    steps: dict[str, list[JSON]] = {}
    for one in definitions:
        for step in core.steps_of(one.definition.blocks):
            if step.command.service == SERVICE:
                continue  # a sub-saga: the engine itself takes the command
            place = f"{one.definition.name}.{step.path}"
            steps.setdefault(step.command.type_name, []).append(_step(place, step.kind, step.retry, step.timeout))
            for name in sorted({undo.type_name for undo in (step.undo, step.undo_unknown) if undo is not None}):
                undoes.setdefault(name, set()).add(step.command.type_name)
                steps.setdefault(name, []).append(_step(place, "undo", step.undo_retry, step.timeout))
    missing = sorted(set(steps) - set(classes))
    if missing:
        raise UnknownContract(
            f"the definitions use {', '.join(missing)}, which none of the modules holds. "
            "Fix: name the modules of their contracts too"
        )
    return [
        Usage(contract_of(command), command, tuple(sorted(undoes.get(name, ()))), tuple(steps.get(name, ())))
        for name, command in sorted(classes.items())
    ]


def _step(place: str, kind: str, retry: core.RetryPolicy, timeout: timedelta) -> JSON:
    """One use of a command, with how often it is sent."""
    return {
        "step": place,
        "kind": str(kind),
        "timeout-seconds": timeout.total_seconds(),
        "x-retry": {
            "attempts": retry.attempts,
            "first-seconds": retry.first.total_seconds(),
            "cap-seconds": retry.cap.total_seconds(),
        },
    }


def _types(usages: Sequence[Usage], definitions: Sequence[Described]) -> Iterator[type[Any]]:
    for usage in usages:
        yield from (usage.command, usage.contract.reply, *usage.contract.failures)
    for one in definitions:
        yield from (one.input, one.output, *one.signals.values())
    yield LifecycleBody


def _command_messages(usages: Sequence[Usage], schemas: messages.Schemas) -> JSON:
    found: JSON = {}
    for usage in usages:
        contract = usage.contract
        found[contract.type_name] = messages.command(usage.command, contract, usage.compensates, schemas)
        found[contract.reply_type_name] = messages.reply(contract, schemas, undoes=bool(usage.compensates))
        for failure in contract.failures:
            found[messages.failure_name(contract, failure)] = messages.failure(contract, failure, schemas)
    return found


def _caller_messages(definitions: Sequence[Described], schemas: messages.Schemas) -> JSON:
    found: JSON = {}
    for one in definitions:
        name = one.definition.name
        found[messages.start_name(name)] = messages.start(one.definition, one.input, schemas)
        found[messages.ended_name(name)] = messages.ended(name, one.output, schemas)
        for each in _signals(one.definition):
            found[messages.signal_name(name, each)] = messages.signal(name, each, one.signals.get(each), schemas)
    return found


def _signals(definition: core.Definition) -> list[str]:
    """What it waits for, by name."""
    return sorted({block.signal for block in core.blocks_of(definition.blocks) if isinstance(block, core.Await)})


def _command_channels(usages: Sequence[Usage]) -> JSON:
    found: JSON = {}
    answers: dict[str, set[str]] = {}
    for usage in usages:
        contract = usage.contract
        found[contract.type_name] = channels.of_command(contract)
        answers.setdefault(contract.service, set()).update(_answers(contract))
    for service, names in sorted(answers.items()):
        commands = [usage.contract.type_name for usage in usages if usage.contract.service == service]
        found[channels.queue_name(service)] = channels.queue_of(service, commands)
        found[channels.replies_name(service)] = channels.replies_of(service, sorted(names))
    return found


def _answers(contract: Contract) -> list[str]:
    failures = [messages.failure_name(contract, failure) for failure in contract.failures]
    return [contract.reply_type_name, *failures, messages.RETRY, messages.REFUSED]


def _operation(usage: Usage) -> JSON:
    """Sending one command and hearing its answers."""
    contract = usage.contract
    replies, undoes = channels.replies_name(contract.service), bool(usage.compensates)
    return {
        "action": "send",
        "title": usage.contract.name,
        "channel": to_channel(contract.type_name),
        "messages": [to_message(contract.type_name, contract.type_name)],
        "bindings": {"amqp": {"mandatory": True, "deliveryMode": 2, "bindingVersion": channels.BINDING}},
        "reply": {
            "channel": to_channel(replies),
            "messages": [to_message(replies, name) for name in _answers(contract)],
        },
        **({"x-saga-compensates": [pointer("operations", name) for name in usage.compensates]} if undoes else {}),
        **({"x-saga-steps": list(usage.steps)} if usage.steps else {}),
    }
