"""Codes of errors that end a command, or that a long-running process reports while it waits."""

from typing import Final

from saga.core.codes.exits import Exit
from saga.core.codes.shape import Code

_AUTHORS: Final = (
    Code(
        "SAGA-2001",
        "the definition cannot be run",
        "The definition was read and refused before anything ran; every problem is listed with its place and its fix.",
        "correct each of them",
    ),
    Code(
        "SAGA-2002",
        "Python is asked for a value that only a run knows",
        "A definition is written once, with placeholders for the input and the replies: `if`, f-strings, len() and "
        "loops over them have nothing to look at yet.",
        "s.when(...) for conditions, text('… {} …', x) for texts, a participant for everything else",
    ),
    Code(
        "SAGA-2003",
        "the version is published with another content",
        "A version is a promise to the sagas that run on it: what is published is never changed.",
        "give the changed definition the next version number; running sagas stay with theirs",
        Exit.CONFLICT,
    ),
    Code(
        "SAGA-2004",
        "a contract, handler or participant is declared wrong",
        "The declaration is checked while the module is imported, before any command arrives.",
        "correct the declaration",
    ),
    Code(
        "SAGA-2005",
        "a stored definition cannot be used",
        "The store was changed by hand, or written by a later release.",
        "run the release that published it, or restore the table of definitions",
    ),
    Code(
        "SAGA-2006",
        "nothing of the kind is in the module",
        "The module was imported, and holds no definition or no command.",
        "name the module with the functions under @define, or the classes under @command",
        Exit.USAGE,
    ),
    Code(
        "SAGA-2104",
        "a step says nothing about its undo",
        "When a later step fails, every step before it is undone; a step without an undo would stand for ever.",
        "undo=lambda reply: Refund(...), or undo=no_undo('reason'), or s.read for a command that changes nothing",
    ),
    Code(
        "SAGA-2105",
        "two participants have one name",
        "The name of a service is the name of its queue: two programs that read it take each other's commands.",
        "give each service a name of its own, in its contract and its Participant",
        Exit.USAGE,
    ),
    Code(
        "SAGA-2106",
        "two definitions have one name and version",
        "A saga finds its definition by name and version, so the modules that are published may hold only one of each.",
        "give one of them another name or version, or remove it",
        Exit.USAGE,
    ),
)

_SAGAS: Final = (
    Code(
        "SAGA-3001",
        "there is no such saga",
        "The store that was asked has no saga with this id, or of this definition and key.",
        "see `saga list`; is --store the store of that saga?",
        Exit.NOT_FOUND,
    ),
    Code(
        "SAGA-3002",
        "the operation does not fit the saga's state",
        "The saga has ended, its pivot has passed, or the step is not parked in a way this would move.",
        "see `saga show` for its state",
        Exit.CONFLICT,
    ),
    Code(
        "SAGA-3003",
        "the saga's history cannot be read",
        "It was written by a later release, or changed by hand.",
        "use the release that wrote it",
    ),
    Code(
        "SAGA-3004",
        "there is no such parked message",
        "The store keeps no parked message under this number.",
        "see `saga parked list`",
        Exit.NOT_FOUND,
    ),
    Code(
        "SAGA-3005",
        "not in time",
        "Nobody answered within the time given, or the saga has not ended yet. Whatever was taken goes on.",
        "see that `saga run` is ready, then ask the same again; `saga show` says why a saga waits",
        Exit.TIMEOUT,
    ),
    Code(
        "SAGA-3006",
        "there is no such code",
        "The catalogue of this release has neither this number nor this word.",
        "`saga errors` lists all of them",
        Exit.NOT_FOUND,
    ),
    Code(
        "SAGA-3007",
        "the parked message cannot go back",
        "It does not say where it came from, would be parked again for the same reason, or no queue takes it now.",
        "mend what the reason says, or saga parked discard NUMBER --reason …",
        Exit.CONFLICT,
    ),
    Code(
        "SAGA-3008",
        "the parked message is settled",
        "It was redriven or discarded before; who did it, when and why is kept with it.",
        "see `saga parked show NUMBER`; to send it once more, redrive it with --again",
        Exit.CONFLICT,
    ),
)

_SERVERS: Final = (
    Code(
        "SAGA-4001",
        "the broker does not answer",
        "RabbitMQ is not running there, cannot be reached, or went away. Nothing is lost: what was accepted goes on.",
        "start the broker, or correct --amqp (SAGA_AMQP)",
        Exit.UNREACHABLE,
    ),
    Code(
        "SAGA-4002",
        "the store does not answer",
        "The database is not running there, cannot be reached, or went away.",
        "start the database, or correct --store (SAGA_STORE); of a participant --database (SAGA_DATABASE)",
        Exit.UNREACHABLE,
    ),
    Code(
        "SAGA-4003",
        "the broker refuses the login",
        "User, password or vhost of the address are not known there.",
        "correct user, password and vhost in --amqp (SAGA_AMQP, or SAGA_AMQP_FILE for a secret)",
        Exit.AUTH,
    ),
    Code(
        "SAGA-4004",
        "the database refuses the login",
        "User or password of the address are not known there, or the user may not do this.",
        "correct user and password in the address; infra/postgres/roles.sql lists the rights that are needed",
        Exit.AUTH,
    ),
    Code(
        "SAGA-4005",
        "the broker lacks a queue or an exchange",
        "Topology is declared once, by a deploy user: participants and orchestrators declare nothing.",
        "saga topology apply",
        Exit.CONFLICT,
    ),
    Code(
        "SAGA-4006",
        "the check found something missing",
        "The command only looked. What is missing is listed above.",
        "apply what is missing",
    ),
    Code(
        "SAGA-4007",
        "the store is not migrated",
        "The tables of this release are not there, or not all of them.",
        "saga db migrate",
        Exit.CONFLICT,
    ),
    Code(
        "SAGA-4008",
        "the participant's database is not migrated",
        "The inbox and the service's own tables live in the service's database, and some are missing.",
        "saga serve … --migrate, or apply `saga inbox sql` and the service's migrations yourself",
        Exit.CONFLICT,
    ),
    Code(
        "SAGA-4009",
        "the broker's user lacks a right",
        "The login works; what was tried is not among the rights of this user.",
        "give the user this right; `saga topology export` writes what each needs",
        Exit.AUTH,
    ),
    Code(
        "SAGA-4010",
        "whether it was written is not known",
        "The database went away between a write and its answer.",
        "the same command again is safe",
        Exit.UNREACHABLE,
    ),
    Code(
        "SAGA-4011",
        "the store will never take this",
        "A value is too large, or of a kind the database refuses for good.",
        "see the sentence behind the code",
    ),
    Code(
        "SAGA-4012",
        "no `saga dev` runs in the folder",
        "An address dev:///folder leads to a running `saga dev`.",
        "start `saga dev` with that --state, or name a broker with --amqp",
        Exit.UNREACHABLE,
    ),
    Code(
        "SAGA-4013",
        "the broker's management API cannot be used",
        "Policies and the difference to what is there can only be asked of the management API.",
        "correct SAGA_AMQP_MANAGEMENT: http://user:password@host:15672",
        Exit.UNREACHABLE,
    ),
    Code(
        "SAGA-4014",
        "the participant has no database",
        "Every command but a read_only one needs the inbox, which lives in the service's own database.",
        "--database postgres://… or sqlite:///path (SAGA_DATABASE)",
        Exit.USAGE,
    ),
    Code(
        "SAGA-4015",
        "the telemetry backend does not take it now",
        "Nothing that speaks OTLP over HTTP answers there, or it does not let us in, or has no room. Sagas go on.",
        "start it, or correct the address: http://host:4318",
        Exit.UNREACHABLE,
    ),
    Code(
        "SAGA-4016",
        "the telemetry backend took only a part",
        "It calls some of it malformed, or a single span too large; the rest was taken.",
        "see what the backend logged; saga trace export SAGA --to FILE writes the same spans to a file",
    ),
    Code(
        "SAGA-4017",
        "the database refuses a migration",
        "A statement of the file cannot be carried out there. Files are applied whole, so nothing of it was.",
        "correct the file, or what it meets in the database",
    ),
)

_TRIALS: Final = (
    Code(
        "SAGA-6001",
        "the participant to be tried is described wrong",
        "The arguments of `saga conform` do not describe a command of the wire contract.",
        "see `saga conform --help`",
        Exit.USAGE,
    ),
    Code(
        "SAGA-6002",
        "the command that restarts the participant failed",
        "`saga conform --restart` ran it, and it ended with an error.",
        "a command that kills the participant, where something starts it again",
    ),
    Code(
        "SAGA-6003",
        "the demo came to nothing",
        "A process of it failed or was too slow, or the ledgers do not say what was shown.",
        "read the log it names; on a slow machine try again",
    ),
    Code(
        "SAGA-9001",
        "a defect of the engine",
        "Nothing you typed should lead here.",
        "report the lines above, with `saga --version`",
    ),
)

FAILURES: Final = (*_AUTHORS, *_SAGAS, *_SERVERS, *_TRIALS)
