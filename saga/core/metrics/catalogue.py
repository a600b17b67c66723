"""Every metric there is, as data: what is counted, shown to Prometheus, sent by OTLP, and listed by the reference.

Names and units are OpenTelemetry's; Prometheus sees what a collector would make of them: a query works for both.
"""

from typing import Final

from saga.core.metrics.shape import COST_UNITS_MAX, Metric, Source, counter, gauge, histogram

SHORT: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds the engine takes."""
PROCESS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds, as the conventions for messaging advise."""
WORK: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)
"""Seconds of a handler, which has a quarter of an hour."""
WAIT: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 86_400.0)
LIFE: Final = (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0, 259_200.0, 604_800.0)
"""Seconds up to a week."""
SIZES: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)

_ENGINE, _FOLLOWER, _STORE, _PARTICIPANT, _EVERY = Source
_SAGA = ("definition",)
_STEP = ("definition", "step", "kind")

# ---------------------------------------------------------------------------------------------- sagas, by their events

STARTED: Final = counter(_ENGINE, "saga.started", "{saga}", _SAGA, "Sagas started, sub-sagas included.")
ENDED: Final = counter(
    _ENGINE,
    "saga.ended",
    "{saga}",
    ("definition", "status"),
    "Sagas ended: `completed`, `compensated` or `abandoned`. A sub-saga that completed may be undone later, and then "
    "ends again.",
)
DURATION: Final = histogram(
    _ENGINE, "saga.duration", ("definition", "status"), LIFE, "Time from the start of a saga to its end."
)
COMPENSATING: Final = counter(
    _ENGINE,
    "saga.compensation.started",
    "{saga}",
    ("definition", "because"),
    "Sagas that began to undo, because something `failed`, was `exhausted`, the saga was `cancelled`, its `deadline` "
    "passed, its `parent` or an `operator` wanted it.",
)
COMPENSATION_DURATION: Final = histogram(
    _ENGINE, "saga.compensation.duration", _SAGA, LIFE, "Time from the first thought of undoing to `compensated`."
)
PARKED: Final = counter(
    _ENGINE,
    "saga.step.parked",
    "{step}",
    (*_STEP, "code"),
    "Steps put in front of an operator, by the reason; parked undos are those of kind `compensation`.",
)
RELEASED: Final = counter(
    _ENGINE, "saga.step.released", "{step}", (*_STEP, "verdict"), "Parked steps that an operator moved."
)

# ---------------------------------------------------------------------------------------------- steps, by their events

ATTEMPTS: Final = counter(
    _ENGINE, "saga.step.attempts", "{command}", (*_STEP, "command"), "Commands issued, and issued again."
)
FAILURES: Final = counter(
    _ENGINE,
    "saga.step.failures",
    "{attempt}",
    (*_STEP, "class", "code"),
    "What went wrong with an attempt. `failed`: a refusal, by its name in the definition. `timeout`: no answer in "
    "time. `retry`: a transient failure. `refused`: by the participant, for the reason in `code`. `busy`: the key is "
    "worked on elsewhere. `undelivered`: no queue took it. `exhausted`: attempts or time are used up, and the saga "
    "goes another way.",
)
STEP_DURATION: Final = histogram(
    _ENGINE,
    "saga.step.duration",
    (*_STEP, "outcome"),
    WAIT,
    "Time from issuing a command to its definite answer, `ok` or `failed`, with every attempt and back-off between.",
)
QUEUE_WAIT: Final = histogram(
    _ENGINE,
    "saga.step.queue.wait",
    _STEP,
    WAIT,
    "Of the attempt that was answered: time from sending it to recording the answer, less what the participant says it "
    "worked on it.",
)
HANDLER: Final = histogram(
    _ENGINE, "saga.step.handler.duration", _STEP, WORK, "How long the participant says it worked on a definite answer."
)
REPLAYED: Final = counter(
    _ENGINE,
    "saga.step.replayed",
    "{reply}",
    _STEP,
    "Answers that the participant's inbox gave again: a duplicate that had no second effect.",
)
COST: Final = counter(
    _ENGINE,
    "saga.step.cost",
    "{amount}",
    (*_STEP, "unit"),
    "What recorded answers told that their work cost, by unit, as near as a float is; exact in `saga show`. The first "
    f"{COST_UNITS_MAX} units of a process have their names, further ones are `other`.",
)
COST_UNREADABLE: Final = counter(
    _ENGINE,
    "saga.step.cost_unreadable",
    "{reply}",
    _STEP,
    "Recorded answers whose cost could not be read: the answer counts, its cost is in no sum.",
)
LATE: Final = counter(
    _ENGINE, "saga.reply.late", "{reply}", _STEP, "Answers that could change nothing any more; once an execution."
)
CONTRADICTORY: Final = counter(
    _ENGINE,
    "saga.reply.contradictory",
    "{reply}",
    _STEP,
    "Definite answers against earlier definite answers: the participant broke its contract.",
)
APPROVALS_REQUESTED: Final = counter(
    _ENGINE, "saga.approval.requested", "{request}", ("definition", "step"), "Decisions asked of people."
)
APPROVALS_CLOSED: Final = counter(
    _ENGINE,
    "saga.approval.closed",
    "{request}",
    ("definition", "step", "how"),
    "Requests that ended: `approved`, `rejected` or `expired`.",
)

# --------------------------------------------------------------------------------------------------------- the process

DISPATCH_LAG: Final = histogram(
    _ENGINE,
    "saga.dispatch.lag",
    (),
    SHORT,
    "For each command: time from the commit that issued it to the broker's confirm.",
)
UNCONFIRMED: Final = counter(
    _ENGINE,
    "saga.dispatch.unconfirmed",
    "{command}",
    ("outcome",),
    "Commands the broker did not confirm: `returned` (no queue), `refused`, or `unknown`. They are sent again.",
)
COMMIT_DURATION: Final = histogram(
    _ENGINE, "saga.commit.duration", (), SHORT, "Time the store took for the commit of one batch."
)
COMMIT_SAGAS: Final = histogram(
    _ENGINE, "saga.commit.sagas", (), SIZES, "Sagas in the commit of one batch.", unit="{saga}"
)
CONFLICTS: Final = counter(
    _ENGINE, "saga.commit.conflicts", "{saga}", (), "Sagas that another process moved first: decided again."
)
WAKE_LAG: Final = histogram(
    _ENGINE, "saga.wake.lag", (), SHORT, "Time from when an alarm was due to the commit that followed it."
)
DUPLICATES: Final = counter(
    _ENGINE,
    "saga.message.duplicates",
    "{message}",
    ("message",),
    "Messages that changed nothing, because what they said was known already or came too late: `start`, `reply`, "
    "`signal`, `cancel`, `decision`, `command` (of a parent).",
)
MESSAGES_PARKED: Final = counter(
    _ENGINE,
    "saga.message.parked",
    "{message}",
    ("queue", "reason"),
    "Messages nobody could use, put into the table of parked messages.",
)
REFUSED: Final = counter(
    _ENGINE,
    "saga.message.refused",
    "{message}",
    ("message", "code"),
    "Starts, signals and decisions that were refused.",
)
IN_FLIGHT: Final = gauge(
    _ENGINE,
    "saga.command.in_flight",
    "{command}",
    (),
    "Unanswered commands as far as this process knows; the sum over all is right.",
)
IN_FLIGHT_MAX: Final = gauge(
    _ENGINE, "saga.command.in_flight_max", "{command}", (), "`max_in_flight`: from there on starts wait in their queue."
)
STARTS_WAITING: Final = gauge(
    _ENGINE, "saga.start.waiting", "{message}", (), "Starts taken from the queue that wait for room in flight."
)
READY: Final = gauge(_EVERY, "saga.ready", "{process}", (), "1 when the process can do its work, else 0.")
OPERATIONS: Final = counter(
    _FOLLOWER,
    "saga.operations",
    "{operation}",
    ("definition", "verb"),
    "What operators and approvers committed past the orchestrators, at the command line: `cancel`, `abandon`, "
    "`pause`, `resume`, `resolve`, `decision`, `redrive` of a parked message into its saga. What such a commit says of "
    "sagas and steps is counted with it.",
)
FOLLOWER_LAG: Final = gauge(
    _FOLLOWER,
    "saga.follower.lag",
    "s",
    ("follower",),
    "Age of the oldest commit not handed on yet, 0 when there is none: `lifecycle` events, `traces`. Only in the "
    "process that follows.",
)

# ----------------------------------------------------------------------------------------------------------- the store

OPEN: Final = gauge(
    _STORE,
    "saga.open",
    "{saga}",
    ("definition", "status", "wait"),
    "Sagas that have not ended, by status (`running`, `compensating`, `parked`) and by what they wait for first. "
    'Approvals waiting: `wait="approval"`.',
)
WAIT_OLDEST: Final = gauge(
    _STORE,
    "saga.wait.oldest",
    "s",
    ("wait",),
    "How long the saga that has not moved for longest has waited, by what it waits for, among the 100 oldest of each.",
)
UNSETTLED: Final = gauge(
    _STORE,
    "saga.message.unsettled",
    "{message}",
    ("queue", "reason"),
    "Parked messages nobody redrove or discarded, among the newest 10,000.",
)
UNSETTLED_OLDEST: Final = gauge(
    _STORE, "saga.message.unsettled_oldest", "s", ("queue", "reason"), "Age of the oldest of them."
)
FACTS_AGE: Final = gauge(
    _STORE, "saga.store.facts_age", "s", (), "Since when this process has not read these facts of the store anew."
)
FACTS_DURATION: Final = gauge(_STORE, "saga.store.facts_duration", "s", (), "How long it took to read them last.")

# ----------------------------------------------------------------------------------------------------- the participant

HANDLED: Final = counter(
    _PARTICIPANT,
    "saga.participant.commands",
    "{command}",
    ("command", "kind", "outcome", "code"),
    "Commands answered, by outcome: `ok`, `failed` (with the declared failure), `retry`, `refused` (with the reason).",
)
WORKED: Final = histogram(
    _PARTICIPANT,
    "saga.participant.duration",
    ("command", "kind", "outcome"),
    WORK,
    "Time from taking a command up to having its answer, the inbox included.",
)
PROCESSED: Final = histogram(
    _PARTICIPANT,
    "messaging.process.duration",
    ("messaging.system", "messaging.operation.name", "messaging.destination.name", "error.type"),
    PROCESS,
    "The same, as OpenTelemetry's conventions for messaging name it.",
)
ABSORBED: Final = counter(
    _PARTICIPANT,
    "saga.participant.replayed",
    "{command}",
    ("command", "kind"),
    "Commands answered from the inbox, without running the handler again.",
)
UNREADABLE: Final = counter(
    _PARTICIPANT,
    "saga.participant.unreadable",
    "{message}",
    ("reason",),
    "Messages that are no command, and were parked.",
)
GIVEN_BACK: Final = counter(
    _PARTICIPANT,
    "saga.participant.given_back",
    "{message}",
    (),
    "Commands left to be delivered again, because the database was away.",
)
RUNNING: Final = gauge(
    _PARTICIPANT, "saga.participant.in_progress", "{command}", (), "Commands being worked on in this process."
)

METRICS: Final = tuple(each for each in list(globals().values()) if isinstance(each, Metric))
"""All of them, in the order of this file."""
