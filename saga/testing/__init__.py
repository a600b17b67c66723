"""The test kit of process authors and service developers. Needs no broker, no database, no waiting and no pytest.

given(order, started(PLACE)).when(answered("reserve", OutOfStock(...))).then(...)    one decision
run = await play(order, PLACE, answers)                                              a whole saga, in virtual time
"""

from saga.core.inputs import Verdict
from saga.core.messages import RefusedCode
from saga.engine.operate import NotPossible
from saga.testing.answers import (
    Answer,
    Answers,
    Mishap,
    Script,
    Sent,
    costing,
    failed,
    late,
    lost,
    ok,
    played,
    refused,
    retry,
    silent,
    stuck,
    twice,
)
from saga.testing.coverage import Coverage, Ending, compensation_coverage
from saga.testing.expected import (
    Expected,
    compensated,
    compensating,
    completed,
    event,
    issued,
    parked,
    refused_by,
    succeeded,
    undone,
)
from saga.testing.given import Given, Past, Then, given
from saga.testing.happenings import (
    Happening,
    abandoned,
    answered,
    approved,
    cancelled,
    paused,
    rejected,
    resolved,
    resumed,
    signalled,
    started,
    time_passed,
    undelivered,
)
from saga.testing.harness import Run, Services, begin, play
from saga.testing.idempotent import Finding, NotIdempotent, Proven, assert_idempotent
from saga.testing.network import CALM, ROUGH, Network
from saga.testing.people import Operator
from saga.testing.scripts import Unscripted

__all__ = [
    "CALM",
    "ROUGH",
    "Answer",
    "Answers",
    "Coverage",
    "Ending",
    "Expected",
    "Finding",
    "Given",
    "Happening",
    "Mishap",
    "Network",
    "NotIdempotent",
    "NotPossible",
    "Operator",
    "Past",
    "Proven",
    "RefusedCode",
    "Run",
    "Script",
    "Sent",
    "Services",
    "Then",
    "Unscripted",
    "Verdict",
    "abandoned",
    "answered",
    "approved",
    "assert_idempotent",
    "begin",
    "cancelled",
    "compensated",
    "compensating",
    "compensation_coverage",
    "completed",
    "costing",
    "event",
    "failed",
    "given",
    "issued",
    "late",
    "lost",
    "ok",
    "parked",
    "paused",
    "play",
    "played",
    "refused",
    "refused_by",
    "rejected",
    "resolved",
    "resumed",
    "retry",
    "signalled",
    "silent",
    "started",
    "stuck",
    "succeeded",
    "time_passed",
    "twice",
    "undelivered",
    "undone",
]
