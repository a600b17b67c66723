"""Words that are codes: why a step stands in front of an operator."""

from typing import Final

from saga.core.codes.shape import of_word

LOOK: Final = "look at the service, then say what happened: saga resolve SAGA STEP applied|not-applied --evidence …"

STEPS: Final = (
    of_word(
        5201,
        "exhausted",
        "every attempt was used up",
        why="The step had the attempts and the time that its policy gives, and no definite answer came.",
        fix="see that its service runs and what it logs, then saga resolve SAGA STEP retry",
    ),
    of_word(
        5202,
        "action-in-doubt",
        "an undo needs to know whether its action happened",
        why="The service refused the undo, because it cannot tell whether the action took place.",
        fix=LOOK,
    ),
    of_word(
        5203,
        "key-forgotten",
        "the participant may have forgotten the key",
        why="The command was first sent longer ago than its contract's remembers=: sent again it might happen twice.",
        fix=LOOK,
    ),
    of_word(
        5204,
        "failed-after-pivot",
        "a step behind the pivot failed for good",
        why="Behind the pivot nothing is undone, so every step there has to succeed in the end.",
        fix="remove the cause, then saga resolve SAGA STEP retry",
    ),
    of_word(
        5205,
        "compensation-failed",
        "an undo failed",
        why="The participant answered that the undo cannot be done.",
        fix="remove the cause, then retry; or undo it by hand and resolve the step as applied, with evidence",
    ),
    of_word(
        5206,
        "effect-missing",
        "an undo found nothing to undo",
        why="The step answered ok, and its service now says that it never happened: its inbox was lost or restored.",
        fix=LOOK,
    ),
    of_word(
        5207,
        "evaluation",
        "a value of the definition cannot be computed",
        why="A condition, a command or the output needs a value that the input and the replies do not hold.",
        fix="publish a version that asks for present(x) or gives a default; cancel or abandon this saga",
    ),
    of_word(
        5208,
        "history-limit",
        "the saga's history is full",
        why="A history has a limit, so that one saga cannot fill the store.",
        fix="find what repeats in `saga history`, then cancel or abandon the saga",
    ),
    of_word(
        5209,
        "late",
        "something did not come in time",
        why="A signal, or the steps of a block with a deadline, took longer than the definition gives them, and there "
        "is no other way to go.",
        fix="see what it waited for, then saga resolve SAGA PATH retry; or cancel the saga before its pivot",
    ),
    of_word(
        5210,
        "items",
        "the items of a list cannot be worked on",
        why="They are no list, more than the definition's limit, or two of them have the same key.",
        fix="cancel the saga and start it with another list, or publish a version with a higher limit",
    ),
    of_word(
        5211,
        "rejected",
        "an approval was refused behind the pivot",
        why="Somebody said no, or nobody decided in time, where nothing can be undone any more.",
        fix="see who decided in `saga history`; saga resolve SAGA PATH retry asks again",
    ),
)
