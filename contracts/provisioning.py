"""What provisioning answers: a network, a machine in it, an address that leads there; and taking each away.

The cloud knows what was made under which idempotency key: what is taken away needs no reply.
"""

import msgspec

from saga.contract import Command, Effect, Failure, command


class NetworkCreated(msgspec.Struct, frozen=True):
    """There is a network for machines to stand in."""

    network_id: str


@command(service="provisioning", effect=Effect.PROVIDER_KEY)
class CreateNetwork(Command[NetworkCreated], frozen=True):
    """Have a network in a region."""

    customer_id: str
    region: str


class MachineStarted(msgspec.Struct, frozen=True):
    """It runs."""

    machine_id: str


@command(service="provisioning", effect=Effect.PROVIDER_KEY)
class StartMachine(Command[MachineStarted], frozen=True):
    """Have a machine in a network."""

    customer_id: str
    network_id: str


class AddressPublished(msgspec.Struct, frozen=True):
    """The world finds the machine there."""

    url: str


class NoAddressLeft(Failure, frozen=True):
    """The region has machines, and no addresses for them: it says so last."""

    reason: str


@command(service="provisioning", effect=Effect.PROVIDER_KEY)
class PublishAddress(Command[AddressPublished, NoAddressLeft], frozen=True):
    """Let an address lead to a machine."""

    customer_id: str
    region: str
    machine_id: str


class TakenAway(msgspec.Struct, frozen=True):
    """It is not there any more."""

    count: int
    """0 when it never was."""


@command(service="provisioning", effect=Effect.PROVIDER_KEY)
class DeleteNetwork(Command[TakenAway], frozen=True):
    """Take the network away that this undoes; nothing may stand in it."""

    customer_id: str


@command(service="provisioning", effect=Effect.PROVIDER_KEY)
class StopMachine(Command[TakenAway], frozen=True):
    """Take the machine away that this undoes; no address may lead to it."""

    customer_id: str


@command(service="provisioning", effect=Effect.PROVIDER_KEY)
class WithdrawAddress(Command[TakenAway], frozen=True):
    """Take the address away that this undoes."""

    customer_id: str
