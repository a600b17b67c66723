"""Provisioning: has infrastructure made by a cloud over HTTP. `saga serve services.provisioning:participant`.

`SAGA_CLOUD_URL` says where the cloud is. Provisioning has no tables of its own: what happened is on the cloud's books,
and the inbox knows what was asked.
"""

from datetime import timedelta

from contracts.provisioning import (
    CreateNetwork,
    DeleteNetwork,
    PublishAddress,
    StartMachine,
    StopMachine,
    WithdrawAddress,
)
from saga.participant import Participant
from services import environment, faults
from services.provisioning.cloud import Cloud
from services.provisioning.handlers import Yard

LEASE = timedelta(seconds=5)
"""What a process that died was busy with waits so long for another one; one that lives renews it."""


def participant() -> Participant:
    """The participant, as the environment configures it. Raises ValueError for a missing or bad setting."""
    host, port = environment.address("SAGA_CLOUD_URL", scheme="http", example="http://127.0.0.1:8082")
    yard = Yard(Cloud(host, port))
    around = faults.from_environment().around
    handlers = [
        CreateNetwork.handled_by(around(yard.create_network)),
        StartMachine.handled_by(around(yard.start_machine)),
        PublishAddress.handled_by(around(yard.publish_address)),
        DeleteNetwork.handled_by(around(yard.delete_network)),
        StopMachine.handled_by(around(yard.stop_machine)),
        WithdrawAddress.handled_by(around(yard.withdraw_address)),
    ]
    return Participant("provisioning", handlers=handlers, lease=LEASE)
