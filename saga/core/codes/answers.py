"""Words that say why a delivery brought nothing, and why a step is parked."""

from typing import Final

from saga.core.codes.shape import worded

_LOOK: Final = "look at the service, then say what happened: saga resolve SAGA STEP applied|not-applied --evidence …"

DELIVERIES: Final = (
    worded(
        5101,
        "expired",
        "the command came too late",
        why="It waited in the queue past its time, and its key is not known here. When every command is answered so, "
        "the participant's clock is ahead.",
        fix="compare the clocks of participant and orchestrator (NTP); run more participants if the queue is long",
    ),
    worded(
        5102,
        "cancelled",
        "its compensation came first",
        why="The action was undone before it arrived, so it must never happen.",
        fix="nothing to do, unless a step is parked with it: then look at the service and resolve the step",
    ),
    worded(
        5103,
        "unknown-command",
        "the service has no handler for the command",
        why="The participant that read the queue does not handle this command in this version. Either it is too old, "
        "or another service reads the same queue.",
        fix="deploy a participant with a handler for it; see that one service name is used by one program only",
    ),
    worded(
        5104,
        "in-doubt",
        "nobody can tell whether it happened",
        why="The command was begun and interrupted, and its contract gives no way to find out.",
        fix=_LOOK,
    ),
    worded(
        5105,
        "timeout",
        "nobody answered in time",
        why="The command reached its queue, and no reply came within the step's timeout=. No participant runs, it is "
        "slow, or its replies are not believed.",
        fix="see that `saga serve` runs for the service, and what it logs; see `saga parked list` for its replies",
    ),
    worded(
        5106,
        "handler-error",
        "the handler failed",
        why="The participant's function raised an error, or returned something else than its contract declares. "
        "Nothing of it was kept; the command is sent again.",
        fix="mend the handler and deploy it; its log has the traceback, and the next attempt runs the new code",
    ),
    worded(
        5107,
        "handler-timeout",
        "the handler took too long",
        why="The participant ended its function at handler_timeout=. Nothing of it was kept.",
        fix="make it faster, or raise handler_timeout= and the step's timeout=",
    ),
    worded(
        5108,
        "database-error",
        "the participant's database failed",
        why="The handler ran, and its transaction could not be committed.",
        fix="see the participant's log; the command is sent again",
    ),
    worded(
        5109,
        "bad-reply",
        "the reply cannot be sent",
        why="The handler returned a value that is no JSON the wire contract takes.",
        fix="mend the handler; see the limits in docs/reference/wire.md",
    ),
    worded(
        5110,
        "busy",
        "the same command is being worked on",
        why="Another process of the participant holds the key, or held it when it died.",
        fix="nothing to do: it is asked again, and free at the latest when its lease= has passed",
    ),
    worded(
        5111,
        "unavailable",
        "the participant cannot do it now",
        why="The handler said that something it needs is away, and that trying again may help.",
        fix="see what the participant said with it; it is asked again",
    ),
)

STEPS: Final = (
    worded(
        5201,
        "exhausted",
        "every attempt was used up",
        why="The step had the attempts and the time that its policy gives, and no definite answer came.",
        fix="see that its service runs and what it logs, then saga resolve SAGA STEP retry",
    ),
    worded(
        5202,
        "action-in-doubt",
        "an undo needs to know whether its action happened",
        why="The service refused the undo, because it cannot tell whether the action took place.",
        fix=_LOOK,
    ),
    worded(
        5203,
        "key-forgotten",
        "the participant may have forgotten the key",
        why="The command was first sent longer ago than its contract's remembers=: sent again it might happen twice.",
        fix=_LOOK,
    ),
    worded(
        5204,
        "failed-after-pivot",
        "a step behind the pivot failed for good",
        why="Behind the pivot nothing is undone, so every step there has to succeed in the end.",
        fix="remove the cause, then saga resolve SAGA STEP retry",
    ),
    worded(
        5205,
        "compensation-failed",
        "an undo failed",
        why="The participant answered that the undo cannot be done.",
        fix="remove the cause, then retry; or undo it by hand and resolve the step as applied, with evidence",
    ),
    worded(
        5206,
        "effect-missing",
        "an undo found nothing to undo",
        why="The step answered ok, and its service now says that it never happened: its inbox was lost or restored.",
        fix=_LOOK,
    ),
    worded(
        5207,
        "evaluation",
        "a value of the definition cannot be computed",
        why="A condition, a command or the output needs a value that the input and the replies do not hold.",
        fix="publish a version that asks for present(x) or gives a default; cancel or abandon this saga",
    ),
    worded(
        5208,
        "history-limit",
        "the saga's history is full",
        why="A history has a limit, so that one saga cannot fill the store.",
        fix="find what repeats in `saga history`, then cancel or abandon the saga",
    ),
    worded(
        5209,
        "late",
        "something did not come in time",
        why="A signal, or the steps of a block with a deadline, took longer than the definition gives them, or a loop "
        "has used up its turns, and there is no other way to go.",
        fix="see what it waited for, then saga resolve SAGA PATH retry: a wait begins anew, a loop has as many turns "
        "again; or cancel the saga before its pivot",
    ),
    worded(
        5210,
        "items",
        "the items of a list cannot be worked on",
        why="They are no list, more than the definition's limit, or two of them have the same key.",
        fix="cancel the saga and start it with another list, or publish a version with a higher limit",
    ),
    worded(
        5211,
        "rejected",
        "an approval was refused behind the pivot",
        why="Somebody said no, or nobody decided in time, where nothing can be undone any more.",
        fix="see who decided in `saga history`; saga resolve SAGA PATH retry asks again",
    ),
)
