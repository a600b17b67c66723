"""Exchanges and queues as AsyncAPI channels. AMQP bindings are closed objects: what they cannot say is `x-rabbitmq`."""

from collections.abc import Mapping, Sequence
from typing import Final

from saga.contract import Contract
from saga.core import topology
from saga.core.lifecycle import Moment
from saga.core.messages import Outcome
from saga.wire import names
from saga.wire.asyncapi import messages
from saga.wire.asyncapi.parts import JSON, component_messages, to_channel, to_message

BINDING: Final = "0.3.0"
RESULTS: Final = "results"
EVENTS: Final = "events"
QUORUM: Final = {"x-queue-type": "quorum"}


def of_command(contract: Contract) -> JSON:
    """Where one command is published."""
    return {
        "address": contract.type_name,
        "title": f"{contract.name} to {contract.service}",
        "messages": component_messages(contract.type_name),
        "bindings": _routed(names.EXCHANGE_COMMANDS),
        "x-rabbitmq": {"bound-to": [names.command_queue(contract.service)]},
    }


def queue_of(service: str, commands: Sequence[str]) -> JSON:
    """Where a participant takes its commands from."""
    queue = names.command_queue(service)
    return {
        "address": queue,
        "title": f"commands of {service}",
        "messages": component_messages(*commands),
        "bindings": {
            "amqp": {
                "is": "queue",
                "queue": {"name": queue, "durable": True, "exclusive": False, "autoDelete": False},
                "bindingVersion": BINDING,
            }
        },
        "x-rabbitmq": {
            "arguments": QUORUM,
            "bindings": [{"exchange": names.EXCHANGE_COMMANDS, "routing-key": f"{service}.#"}],
            "policy": topology.COMMANDS_DEAD_LETTERED,
            "dead-letter-queue": names.QUEUE_DEAD,
        },
    }


def replies_of(service: str, answers: Sequence[str]) -> JSON:
    """Where a participant answers."""
    return {
        "address": f"{service}.{{outcome}}",
        "title": f"replies of {service}",
        "parameters": {"outcome": {"enum": list(Outcome), "description": "As in the header saga-outcome."}},
        "messages": component_messages(*answers),
        "bindings": _routed(names.EXCHANGE_REPLIES),
        "x-rabbitmq": {"bound-to": [names.QUEUE_REPLIES], "user-id": "required"},
    }


def queue_name(service: str) -> str:
    """Of the channel of a service's queue."""
    return f"{service}.commands"


def replies_name(service: str) -> str:
    """Of the channel of a service's replies."""
    return f"{service}.replies"


def of_callers(sagas: Sequence[str], signals: Mapping[str, Sequence[str]]) -> JSON:
    """Where callers ask and hear, what subscribers may read, and where unusable messages go.

    `signals` are the names of each saga's signals.
    """
    started = [messages.start_name(name) for name in sagas]
    results = [messages.ACCEPTED, messages.REFUSED_RESULT, *map(messages.ended_name, sagas)]
    found = {name: _start(saga, name) for saga, name in zip(sagas, started, strict=True)}
    found |= {signals_name(saga): _signals(saga, signals[saga]) for saga in sagas if signals.get(saga)}
    found[names.VERB_CANCEL] = _control(names.VERB_CANCEL, "asking for a cancel", messages.CANCEL)
    found[names.VERB_DECIDE] = _control(names.VERB_DECIDE, "approving and rejecting", messages.DECIDE)
    found[RESULTS] = {
        "address": "{user}.{client}",
        "title": "what a caller hears",
        "parameters": {"user": {"description": "The caller's broker user."}, "client": {"description": "Its choice."}},
        "messages": component_messages(*results),
        "bindings": _routed(names.EXCHANGE_RESULTS),
        "x-rabbitmq": {"bound-to": [f"{names.EXCHANGE_RESULTS}.{{user}}.{{client}}"]},
    }
    found[EVENTS] = {
        "address": "{saga}.{moment}",
        "title": "what became of sagas",
        "parameters": {"saga": {"description": "Name of the definition."}, "moment": {"enum": list(Moment)}},
        "messages": component_messages(messages.LIFECYCLE),
        "bindings": _routed(names.EXCHANGE_EVENTS),
        "x-rabbitmq": {"bound-to": [f"{names.EXCHANGE_EVENTS}.{{user}}.{{queue}}"]},
    }
    found["parking"] = {
        "address": "{queue}",
        "title": "messages nobody could use",
        "parameters": {"queue": {"description": "Name of the queue it was taken from."}},
        "messages": component_messages(messages.PARKED),
        "bindings": _routed(names.EXCHANGE_PARKING),
        "x-rabbitmq": {"bound-to": [names.QUEUE_PARKING]},
    }
    return found


def signals_name(saga: str) -> str:
    """Of the channel of a saga's signals."""
    return f"{saga}.signals"


def _signals(saga: str, signals: Sequence[str]) -> JSON:
    return {
        "address": saga,
        "title": f"telling {saga}",
        "messages": component_messages(*(messages.signal_name(saga, signal) for signal in signals)),
        "bindings": _routed(names.EXCHANGE_SIGNALS),
        "x-rabbitmq": {"bound-to": [names.QUEUE_SIGNALS]},
    }


def _control(verb: str, title: str, message: str) -> JSON:
    return {
        "address": verb,
        "title": title,
        "messages": component_messages(message),
        "bindings": _routed(names.EXCHANGE_CONTROL),
        "x-rabbitmq": {"bound-to": [names.QUEUE_CONTROL], "user-id": "required"},
    }


def caller_operations(sagas: Sequence[str], signals: Mapping[str, Sequence[str]]) -> JSON:
    """Receiving starts, signals and controls, and answering them."""
    heard = (messages.ACCEPTED, messages.REFUSED_RESULT)
    found: JSON = {}
    for saga in sagas:
        name = messages.start_name(saga)
        found[name] = _received(name, name, (*heard, messages.ended_name(saga)))
        for signal in signals.get(saga, ()):
            message = messages.signal_name(saga, signal)
            found[message] = _received(signals_name(saga), message, heard)
    found[names.VERB_CANCEL] = _received(names.VERB_CANCEL, messages.CANCEL, heard)
    found[names.VERB_DECIDE] = _received(names.VERB_DECIDE, messages.DECIDE, heard)
    found["lifecycle"] = {
        "action": "send",
        "title": "telling what became of a saga, at least once",
        "channel": to_channel(EVENTS),
        "messages": [to_message(EVENTS, messages.LIFECYCLE)],
        "bindings": {"amqp": {"mandatory": False, "deliveryMode": 2, "bindingVersion": BINDING}},
    }
    found["parked"] = {
        "action": "receive",
        "channel": to_channel("parking"),
        "messages": [to_message("parking", messages.PARKED)],
    }
    return found


def _start(saga: str, message: str) -> JSON:
    return {
        "address": saga,
        "title": f"starting {saga}",
        "messages": component_messages(message),
        "bindings": _routed(names.EXCHANGE_START),
        "x-rabbitmq": {"bound-to": [names.QUEUE_START]},
    }


def _received(channel: str, message: str, answers: Sequence[str]) -> JSON:
    return {
        "action": "receive",
        "channel": to_channel(channel),
        "messages": [to_message(channel, message)],
        "reply": {
            "channel": to_channel(RESULTS),
            "messages": [to_message(RESULTS, answer) for answer in answers],
        },
    }


def _routed(exchange: str) -> JSON:
    """The binding of a channel whose address is a routing key."""
    return {
        "amqp": {
            "is": "routingKey",
            "exchange": {"name": exchange, "type": "topic", "durable": True, "autoDelete": False},
            "bindingVersion": BINDING,
        }
    }
