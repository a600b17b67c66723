"""THE table: which rule answers which input in which phase.

Theory of operation
===================
A saga is RUNNING until it completes, or until a stop: a step that definitely failed, one that is exhausted where the
definition says to give way, a cancel, the deadline, an operator. A stop before the pivot leads to COMPENSATING; there
is no way back. The point of no return begins when the pivot is *issued* and ends only with its definite `failed`: in
between a stop is recorded and waits, after the pivot's `ok` it is too late and the saga only goes forward.

An execution is asked once under one key and may be sent many times. It is *unknown* from the moment it is issued until
a definite `ok` or `failed`. COMPENSATING undoes every compensatable execution that is not definitely failed: unfinished
ones first, newest issue first, then in reverse order of completion, the next one after the one before was acknowledged.

COMPLETED, COMPENSATED and ABANDONED absorb everything: an answer that still arrives is at most recorded as a fact, and
no command is ever sent from there. The one way out is from COMPLETED, when a parent undoes its child as one unit.

*Parked* belongs to a step and *paused* is a flag; neither is a phase, so neither loses the way back.

Nothing re-acts: events are followed by `advance` until the state waits, and what must be on the wire is
`outstanding(plan, state)`, so a replay cannot send again by construction.

A pair that is missing from the table is illegal by construction: `decide` raises KeyError, and no input of the shell
can produce one (a test walks the whole product).
"""

from enum import StrEnum

from saga.core import inputs as i
from saga.core.state import Phase


class Rule(StrEnum):
    """What answers an input; each is one function in `saga.core.decide`."""

    BEGIN = "begin"
    TAKE_REPLY = "take reply"
    LOOK_AT_THE_CLOCK = "look at the clock"
    STOP_THE_CLOCK_OF_AN_ATTEMPT = "stop the clock of an attempt"
    START_THE_CLOCK_OF_AN_ATTEMPT = "start the clock of an attempt"
    CANCEL = "cancel"
    ABANDON = "abandon"
    PAUSE = "pause"
    RESUME = "resume"
    RESOLVE = "resolve"
    RECORD_IF_ODD = "record if odd"
    TAKE_SIGNAL = "take signal"
    TAKE_DECISION = "take decision"
    HEAR_PARENT = "hear parent"
    IGNORE = "ignore"


_LIVE: dict[type[i.Input], Rule] = {
    i.Reply: Rule.TAKE_REPLY,
    i.Tick: Rule.LOOK_AT_THE_CLOCK,
    i.Undelivered: Rule.STOP_THE_CLOCK_OF_AN_ATTEMPT,
    i.Delivered: Rule.START_THE_CLOCK_OF_AN_ATTEMPT,
    i.Cancel: Rule.CANCEL,
    i.Abandon: Rule.ABANDON,
    i.Pause: Rule.PAUSE,
    i.Resume: Rule.RESUME,
    i.Resolve: Rule.RESOLVE,
    i.SignalGiven: Rule.TAKE_SIGNAL,
    i.DecisionGiven: Rule.TAKE_DECISION,
    i.ParentAsks: Rule.HEAR_PARENT,
}
_ENDED: dict[type[i.Input], Rule] = dict.fromkeys(_LIVE, Rule.IGNORE) | {
    i.Reply: Rule.RECORD_IF_ODD,
    i.ParentAsks: Rule.HEAR_PARENT,
}

TABLE: dict[Phase | None, dict[type[i.Input], Rule]] = {
    None: {i.Start: Rule.BEGIN},
    Phase.RUNNING: _LIVE,
    Phase.COMPENSATING: _LIVE,
    Phase.COMPLETED: _ENDED,
    Phase.COMPENSATED: _ENDED,
    Phase.ABANDONED: _ENDED,
}
