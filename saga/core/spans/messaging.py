"""What OpenTelemetry's conventions for RabbitMQ call a command on its way: the same in spans and in metrics."""

from typing import Final

from saga.core.topology import COMMANDS

MESSAGING_SYSTEM: Final = "rabbitmq"


def sent_to(routing_key: str) -> str:
    """The destination as the sender names it."""
    return f"{COMMANDS}:{routing_key}"


def processed_from(routing_key: str, queue: str) -> str:
    """The destination as the participant names it."""
    return f"{sent_to(routing_key)}:{queue}"
