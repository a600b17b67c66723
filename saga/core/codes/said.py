"""Words that are codes: why a signal or a decision does not count."""

from typing import Final

from saga.core.codes.exits import Exit
from saga.core.codes.shape import worded

SAID: Final = (
    worded(
        5301,
        "unknown-signal",
        "the saga waits for no such signal",
        why="No wait of the definition names this signal, in the version that the saga was started with.",
        fix="correct the name: `type` of the message is the name of the signal",
        exit_code=Exit.NOT_FOUND,
    ),
    worded(
        5302,
        "signal-limit",
        "too many signals",
        why="A saga keeps signals that no wait has taken yet, up to a number and a size; and it takes so many in all.",
        fix="find out who sends them; one wait takes one signal",
    ),
    worded(
        5303,
        "unknown-approval",
        "nothing is to be approved there",
        why="No request for approval was made at this path of the saga, or none was needed.",
        fix="see `saga approvals list`",
        exit_code=Exit.NOT_FOUND,
    ),
    worded(
        5304,
        "already-decided",
        "somebody was faster, or it was you",
        why="Of each person the first decision counts, and a request that is closed stays closed.",
        fix="nothing to do: the text names who decided, and when",
    ),
    worded(
        5312,
        "approval-expired",
        "the time to decide is over",
        why="A request for approval ends when nobody decides in time; what follows is up to the definition.",
        fix="see what the saga does now: saga show SAGA",
    ),
    worded(
        5305,
        "not-allowed",
        "the approver lacks the role",
        why="The definition names the roles that may decide, the settings of the orchestrators who has them.",
        fix='ask somebody who has the role; or give it in saga.toml: [approvers] NAME = ["ROLE"]',
        exit_code=Exit.AUTH,
    ),
    worded(
        5306,
        "requester",
        "whoever asked may not decide",
        why="The definition excludes the person who started the saga from this decision.",
        fix="ask somebody else with the role",
        exit_code=Exit.AUTH,
    ),
    worded(
        5307,
        "no-requester",
        "nobody is named as the requester",
        why="An approval of the definition excludes the requester, so a start has to say who that is.",
        fix="start it through a gateway that sets saga-actor, or name the requester in the definition",
    ),
    worded(
        5308,
        "changed",
        "it is not what was looked at any more",
        why="What is to be approved was edited or asked for anew since the approver looked. A decision is about bytes.",
        fix="look again and decide on what is there now: saga approvals show SAGA PATH",
    ),
    worded(
        5309,
        "not-editable",
        "this may not be changed",
        why="The definition lists the fields that an approver may change; each stays of its kind.",
        fix="change only those, or reject it and say why",
    ),
    worded(
        5310,
        "too-many",
        "too many people have decided",
        why="One request takes a limited number of decisions.",
        fix="lower the quorum of the definition",
    ),
    worded(
        5311,
        "forbidden",
        "the sender may not bring decisions",
        why="A broker user is a program. Only one that is configured as a gateway vouches for the person behind it.",
        fix="add the user to `gateways` in the settings of the orchestrators, or use `saga approvals`",
        exit_code=Exit.AUTH,
    ),
)
