"""Codes of what is wrong with a command line, with a setting, or with what they name."""

from typing import Final

from saga.core.codes.exits import Exit
from saga.core.codes.shape import Code

COMMAND_LINE: Final = (
    Code(
        "SAGA-1000",
        "the command failed",
        "The sentence behind the code says what went wrong.",
        "read the sentence behind the code",
    ),
    Code(
        "SAGA-1001",
        "the command line cannot be understood",
        "An argument or option is missing, unknown, or has a value it cannot have. Nothing was tried.",
        "see the command's --help",
        Exit.USAGE,
    ),
    Code(
        "SAGA-1002",
        "a setting cannot be used",
        "A flag, a variable SAGA_… or a line of saga.toml is unknown or has a value it cannot have. Nothing was tried.",
        "see `saga config explain` for every setting and where its value comes from",
        Exit.USAGE,
    ),
    Code(
        "SAGA-1003",
        "the settings file cannot be used",
        "saga.toml, or the file after --config, is missing, is no TOML, or lacks the profile that was asked for.",
        "correct the file, or leave --config and --profile",
        Exit.USAGE,
    ),
    Code(
        "SAGA-1004",
        "an address is of no known kind",
        "The broker, the store and a service's database are named by urls; the first part says what is there.",
        "amqp://user:password@host:port/vhost; postgres://user@host/database or sqlite:///path",
        Exit.USAGE,
    ),
    Code(
        "SAGA-1005",
        "a file cannot be read or written",
        "A file that the command line names is missing, or may not be read or written.",
        "correct the path; paths are relative to the current folder",
        Exit.USAGE,
    ),
    Code(
        "SAGA-1006",
        "the input is no JSON that can be sent",
        "Inputs are JSON in UTF-8, without NUL characters, of limited size and depth. A shell takes quotes away that "
        "are not quoted themselves.",
        '--data \'{"name": "value"}\' with single quotes around it, or --data @file.json',
        Exit.USAGE,
    ),
    Code(
        "SAGA-1007",
        "the readiness endpoint cannot listen",
        "The address after --health is no host:port, or its port is taken.",
        "host:port, with a free port",
    ),
    Code(
        "SAGA-1008",
        "there is no such module or object",
        "MODULE:OBJECT is imported from the current folder and the installed packages, and was not found there.",
        "run it from the folder that holds the package, and spell it package.module:object",
        Exit.USAGE,
    ),
    Code(
        "SAGA-1009",
        "a module cannot be imported",
        "The module was found; its own code raised an error while Python ran it.",
        "correct the line that the error names",
    ),
    Code(
        "SAGA-1010",
        "the object is of another kind",
        "MODULE:OBJECT was found, but it is not what this command works with.",
        "participants go to `saga serve` and `saga dev`, definitions to `saga definitions publish` and --definitions",
        Exit.USAGE,
    ),
    Code(
        "SAGA-1011",
        "another process lives in the folder",
        "One `saga dev` at a time keeps its state in a folder.",
        "end the other process, or name another --state",
        Exit.CONFLICT,
    ),
    Code(
        "SAGA-1012",
        "the folder cannot be used",
        "The folder for the state cannot be made or written to, or its path is too long for a socket.",
        "name another --state",
    ),
    Code(
        "SAGA-1013",
        "a generated document is stale",
        "The document on disk is not what the contracts and definitions lead to now.",
        "write it again with --write",
    ),
    Code(
        "SAGA-1014",
        "an answer is needed, and nobody can be asked",
        "The command asks before it does what cannot be taken back, and its input is no terminal.",
        "--yes, once you are sure",
        Exit.USAGE,
    ),
)
