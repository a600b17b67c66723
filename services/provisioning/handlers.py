"""What provisioning does: has the cloud make things under our idempotency key, and take them away by that key."""

from typing import Any

from contracts.provisioning import (
    AddressPublished,
    CreateNetwork,
    DeleteNetwork,
    MachineStarted,
    NetworkCreated,
    NoAddressLeft,
    PublishAddress,
    StartMachine,
    StopMachine,
    TakenAway,
    WithdrawAddress,
)
from saga.contract import Context, InDoubt, RetryLater
from services.provisioning.cloud import Cloud, CloudAnswer, CloudSilent, Kind

DONE = frozenset({200, 201})
CONFLICT = 409


class Yard:
    """The handlers, tied to one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def create_network(self, cmd: CreateNetwork, ctx: Context) -> NetworkCreated:
        """Have a network."""
        answer = await self._create("networks", ctx, customer=cmd.customer_id, region=cmd.region)
        return NetworkCreated(network_id=_id(answer))

    async def start_machine(self, cmd: StartMachine, ctx: Context) -> MachineStarted:
        """Have a machine."""
        answer = await self._create("machines", ctx, customer=cmd.customer_id, inside=cmd.network_id)
        return MachineStarted(machine_id=_id(answer))

    async def publish_address(self, cmd: PublishAddress, ctx: Context) -> AddressPublished | NoAddressLeft:
        """Have an address; the cloud may have none."""
        wish = {"customer": cmd.customer_id, "region": cmd.region, "inside": cmd.machine_id}
        answer = await self._create("addresses", ctx, **wish)
        if answer.status == CONFLICT:
            return NoAddressLeft(reason=answer.body["reason"])
        return AddressPublished(url=f"https://{_id(answer)}.{cmd.region}.cloud.example")

    async def delete_network(self, _cmd: DeleteNetwork, ctx: Context) -> TakenAway:
        """Undo `create_network`."""
        return await self._delete("networks", ctx)

    async def stop_machine(self, _cmd: StopMachine, ctx: Context) -> TakenAway:
        """Undo `start_machine`."""
        return await self._delete("machines", ctx)

    async def withdraw_address(self, _cmd: WithdrawAddress, ctx: Context) -> TakenAway:
        """Undo `publish_address`."""
        return await self._delete("addresses", ctx)

    async def _create(self, kind: Kind, ctx: Context, **wish: Any) -> CloudAnswer:
        """When no answer comes nothing is claimed: whoever asks again does it under the same key."""
        try:
            return await self._cloud.create(kind, ctx.key, wish)
        except CloudSilent as silence:
            raise RetryLater(str(silence), code="cloud-silent") from silence

    async def _delete(self, kind: Kind, ctx: Context) -> TakenAway:
        """By the key it was made under: that is known even when nobody heard what the cloud answered then."""
        if ctx.undone is None or not ctx.undone.key:
            raise InDoubt(f"nobody says what of the {kind} is to be taken away")
        try:
            answer = await self._cloud.delete(kind, ctx.undone.key)
        except CloudSilent as silence:
            raise RetryLater(str(silence), code="cloud-silent") from silence
        if answer.status not in DONE:
            raise _unexpected(answer)
        return TakenAway(count=answer.body["count"])


def _id(answer: CloudAnswer) -> str:
    if answer.status not in DONE:
        raise _unexpected(answer)
    return str(answer.body["id"])


def _unexpected(answer: CloudAnswer) -> RetryLater:
    return RetryLater(f"the cloud answered {answer.status}: {answer.body}", code=f"cloud-{answer.status}")
