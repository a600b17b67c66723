"""Words that say why a message is refused or parked."""

from typing import Final

from saga.core.codes.exits import Exit
from saga.core.codes.shape import worded

_AGAIN: Final = "once the cause is gone, the sender sends it again; the parked copy is kept for you to look at"

MESSAGES: Final = (
    worded(
        5001,
        "not-json",
        "the body is no JSON",
        why="Bodies are JSON in UTF-8; this one is not.",
        fix="mend the sender; " + _AGAIN,
    ),
    worded(
        5002,
        "too-deep",
        "the body nests too deep",
        why="A body that nests deeper than the wire contract allows is not read.",
        fix="flatten the body; " + _AGAIN,
    ),
    worded(
        5003,
        "nul",
        "a NUL character",
        why="No store keeps a NUL character in a text, so nothing with one is taken.",
        fix="leave the character out; " + _AGAIN,
    ),
    worded(
        5004,
        "bad-utf8",
        "no UTF-8",
        why="A header or the body holds bytes that are no UTF-8.",
        fix="encode as UTF-8; " + _AGAIN,
    ),
    worded(
        5005,
        "too-large",
        "too large",
        why="The body of a message, a command or a reply is larger than the wire contract allows.",
        fix="pass a reference to the data instead of the data; of a parked step: mend the participant, then retry",
    ),
    worded(
        5006,
        "header-too-large",
        "the headers are too large",
        why="One header, or all of them together, are larger than the wire contract allows.",
        fix="put data into the body; " + _AGAIN,
    ),
    worded(
        5007,
        "missing-header",
        "a header is missing",
        why="The wire contract requires a header that this message does not have.",
        fix="add it, see docs/reference/wire.md; " + _AGAIN,
    ),
    worded(
        5008,
        "bad-header",
        "a header cannot be read",
        why="A header has a value that its form in the wire contract does not allow.",
        fix="mend the sender, see docs/reference/wire.md; " + _AGAIN,
    ),
    worded(
        5009,
        "header-disagrees-with-routing-key",
        "headers and routing key disagree",
        why="The broker checked the routing key against the sender's rights; headers that say something else are not "
        "believed.",
        fix="send it under the routing key that its headers mean; " + _AGAIN,
    ),
    worded(
        5010,
        "forged-sender",
        "the sender may not say this",
        why="The broker vouches for somebody else than the service the message speaks for, or for nobody.",
        fix="let the participant log in as the broker user with its service's name, and set user_id; then retry",
    ),
    worded(
        5011,
        "unknown-saga",
        "no such saga",
        why="The message is about a saga that this store does not have.",
        fix="see that participants, callers and orchestrators use the same vhost and store",
        exit_code=Exit.NOT_FOUND,
    ),
    worded(
        5012,
        "unknown-definition",
        "no such definition",
        why="The start names a definition that nobody has published to this store.",
        fix="correct the name, or saga definitions publish MODULE",
        exit_code=Exit.NOT_FOUND,
    ),
    worded(
        5013,
        "unknown-version",
        "no such version",
        why="The definition is published, but not in the version that the start names.",
        fix="leave the version out for the newest, or saga definitions publish MODULE",
        exit_code=Exit.NOT_FOUND,
    ),
    worded(
        5014,
        "unknown-execution",
        "a reply to what was never sent",
        why="The reply names a step, an execution or an attempt that its saga has not issued.",
        fix="echo the headers of the command as they are; see docs/reference/wire.md",
    ),
    worded(
        5015,
        "unknown-verb",
        "no such control verb",
        why="Control messages are sent under a verb; this one is not known.",
        fix="`cancel` and `decide` are the verbs there are",
        exit_code=Exit.NOT_FOUND,
    ),
    worded(
        5016,
        "reads-mismatch",
        "a field that is read is missing or of another type",
        why="The definition says which fields of the input and of each reply it reads, and of which type. This one "
        "does not fit, so the saga cannot go on with it.",
        fix="send the input as the definition says; of a parked step: mend the participant, then saga resolve … "
        "applied --reply '{…}'",
    ),
    worded(
        5017,
        "key-reused",
        "the key was used before, with something else",
        why="A key stands for one input for ever, so that the same start or command twice is one. This is another "
        "input under the same key.",
        fix="take a new key for a new run; send the same bytes again for a repeat",
    ),
    worded(
        5018,
        "invalid-payload",
        "the body is not what the contract says",
        why="A field is missing, of another type, or beyond its limits. Of a command most often one side runs an older "
        "version of the contract.",
        fix="correct what the text names; of a command, deploy the participant that knows this version of the "
        "contract: a changed contract is a new version=",
    ),
    worded(
        5019,
        "dead-lettered",
        "given back too often",
        why="The broker gave the message to a consumer again and again, and none of them ever settled it.",
        fix="see the log of the service that reads the queue it came from; " + _AGAIN,
    ),
    worded(
        5020,
        "engine-defect",
        "the engine cannot handle it",
        why="A defect of the engine, or a stored definition or history it cannot read. The message is kept.",
        fix="see the log of the orchestrator, and report it",
    ),
    worded(
        5021,
        "ended",
        "the saga has ended",
        why="There is nothing left to cancel, to decide or to wait for.",
        fix="see `saga show`; undoing a completed saga is a saga of its own",
    ),
    worded(
        5022,
        "too-late",
        "the pivot has passed",
        why="From its pivot on a saga only goes forward.",
        fix="let it complete, then undo by hand",
    ),
    worded(
        5023,
        "refused-by-broker",
        "the broker will never take the message",
        why="The user may not publish there, or the message is larger than the broker takes.",
        fix="give the user this right; `saga topology export` writes what each needs",
        exit_code=Exit.AUTH,
    ),
)
