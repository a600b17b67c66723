"""Brokers: RabbitMQ, or the one inside a running `saga dev`."""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from saga.core.topology import wanted_topology
from saga.ports import CallerBus
from saga.settings import masked
from saga.stores import WrongAddress


async def open_bus(url: str, *, name: str, identify: bool = True) -> CallerBus:
    """The broker: RabbitMQ, or the one inside a running `saga dev`, which always says who sends.

    Raises WrongAddress, or Unavailable.
    """
    if url.startswith("dev://"):
        from saga.adapters.memory.guest import GuestBus

        address = urlsplit(url)
        return await GuestBus.open(Path(address.path), user=address.username or "dev")
    if not url.startswith(("amqp://", "amqps://")):
        raise WrongAddress(
            f"broker {masked(url)!r} is not known. Fix: amqp://user:password@host:port/vhost, "
            "or the dev:///folder that a running `saga dev` prints"
        )
    from saga.adapters.rabbitmq import RabbitBus

    try:
        return await RabbitBus.open(url, name=name, identify=identify)
    except ValueError as error:
        reason, _, fix = str(error).partition(" Fix: ")
        raise WrongAddress(
            f"broker {masked(url)!r}: {reason}. Fix: {fix or 'amqp://user:password@host:5672/vhost'}"
        ) from None


async def apply_topology(url: str, services: Iterable[str]) -> list[str]:
    """Declare what is missing on a broker; returns what is left to do by hand. Raises Unavailable."""
    from saga.adapters.rabbitmq.topology import apply

    return await apply(url, wanted_topology(services))
