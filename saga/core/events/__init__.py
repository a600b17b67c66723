"""What is recorded: a saga's history is a list of commits, each the events of one decision. Append only.

Fields are never renamed or removed once released; a new field has a default. Golden copies of every event of every
release are kept under `tests/compatibility`.
"""

import msgspec

from saga.core.events.approvals import (
    ApprovalClosed,
    ApprovalDecided,
    ApprovalEscalated,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalWaived,
    Closed,
    PermitUsed,
)
from saga.core.events.blocks import (
    ArmChosen,
    BlockFailed,
    BlockUndone,
    BranchChosen,
    LoopTurned,
    MapStarted,
)
from saga.core.events.recorded import Costly, Event
from saga.core.events.sagas import (
    CancelRequested,
    CompensationStarted,
    DeadlinePassed,
    ParentAsked,
    SagaAbandoned,
    SagaCompensated,
    SagaCompleted,
    SagaPaused,
    SagaResumed,
    SagaStarted,
)
from saga.core.events.steps import (
    AttemptEnded,
    CommandIssued,
    CommandRepeated,
    CompensationFailed,
    CompensationSucceeded,
    ContradictoryReply,
    Definite,
    DispatchConfirmed,
    DispatchDelayed,
    LateReply,
    ParkCode,
    StepExhausted,
    StepFailed,
    StepParked,
    StepReleased,
    StepSucceeded,
    kind_of,
)
from saga.core.events.waits import (
    SignalConsumed,
    SignalReceived,
    WaitEnd,
    WaitEnded,
    WaitFor,
    WaitStarted,
)
from saga.core.messages import Choice

__all__ = [
    "AnyEvent",
    "ApprovalClosed",
    "ApprovalDecided",
    "ApprovalEscalated",
    "ApprovalReminded",
    "ApprovalRequested",
    "ApprovalWaived",
    "ArmChosen",
    "AttemptEnded",
    "BlockFailed",
    "BlockUndone",
    "BranchChosen",
    "CancelRequested",
    "Choice",
    "Closed",
    "CommandIssued",
    "CommandRepeated",
    "CompensationFailed",
    "CompensationStarted",
    "CompensationSucceeded",
    "ContradictoryReply",
    "Costly",
    "DeadlinePassed",
    "Definite",
    "DispatchConfirmed",
    "DispatchDelayed",
    "Event",
    "LateReply",
    "LoopTurned",
    "MapStarted",
    "ParentAsked",
    "ParkCode",
    "PermitUsed",
    "SagaAbandoned",
    "SagaCompensated",
    "SagaCompleted",
    "SagaPaused",
    "SagaResumed",
    "SagaStarted",
    "SignalConsumed",
    "SignalReceived",
    "StepExhausted",
    "StepFailed",
    "StepParked",
    "StepReleased",
    "StepSucceeded",
    "WaitEnd",
    "WaitEnded",
    "WaitFor",
    "WaitStarted",
    "decode",
    "encode",
    "kind_of",
]

AnyEvent = (
    SagaStarted
    | ArmChosen
    | CommandIssued
    | AttemptEnded
    | CommandRepeated
    | DispatchDelayed
    | DispatchConfirmed
    | StepSucceeded
    | StepFailed
    | StepExhausted
    | CompensationSucceeded
    | CompensationFailed
    | StepParked
    | StepReleased
    | BlockFailed
    | BlockUndone
    | CompensationStarted
    | CancelRequested
    | DeadlinePassed
    | SagaPaused
    | SagaResumed
    | LateReply
    | ContradictoryReply
    | SagaCompleted
    | SagaCompensated
    | SagaAbandoned
    | BranchChosen
    | MapStarted
    | LoopTurned
    | WaitStarted
    | WaitEnded
    | SignalReceived
    | SignalConsumed
    | ApprovalRequested
    | ApprovalWaived
    | ApprovalDecided
    | ApprovalClosed
    | ApprovalEscalated
    | ApprovalReminded
    | PermitUsed
    | ParentAsked
)

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(tuple[AnyEvent, ...])


def encode(events: tuple[AnyEvent, ...]) -> bytes:
    """The bytes of one commit."""
    return _ENCODER.encode(events)


def decode(data: bytes) -> tuple[AnyEvent, ...]:
    """The events of one commit. Raises msgspec.ValidationError for bytes this release did not write."""
    return _DECODER.decode(data)
