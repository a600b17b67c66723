"""A participant as a value: a service's name, its handlers and where its tables come from."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from saga.contract import NAME_CHARACTERS_MAX, Effect, Handler
from saga.core.messages import CommandMessage
from saga.ports import Database
from saga.wire import names

HANDLER_TIMEOUT_MAX: Final = timedelta(minutes=15)
"""RabbitMQ closes the channel of a consumer that holds a delivery for 30 minutes."""
LEASE_DEFAULT: Final = timedelta(seconds=15)
CONCURRENCY_DEFAULT: Final = 32
COMMANDS_PER_TRANSACTION_MAX: Final = 64

DIALECTS: Final = ("postgres", "sqlite")

Around = Callable[[CommandMessage], AbstractContextManager[object]]
"""Wraps the handling of one command: where tracing comes in."""


class Participant:
    """A service that answers commands.

    `migrations` is a folder of `NNNN_name.sql` files with the service's own tables. `database` is only for teams that
    bring their own database library; otherwise `saga serve --database` opens one. `concurrency` bounds how many
    handlers run at once, and with two more the connections of a process to Postgres; `lease` is how long a killed
    process keeps its rows from others.

    `commands_per_transaction` lets that many waiting actions of effect `inbox` run one after the other in one
    transaction: fewer round trips and commits for small handlers. If one of them cannot be remembered, all are rolled
    back and each is run alone, so nothing changes but the time. Leave it at 1 where handlers wait for anything but
    their own database, change its session, or lock shared rows in different orders: rows stay locked until the commit.

    Raises TypeError for handlers that cannot work, each with the reason and the fix.
    """

    __slots__ = (
        "_handlers",
        "around",
        "commands_per_transaction",
        "concurrency",
        "database",
        "handler_timeout",
        "lease",
        "migrations",
        "service",
    )

    def __init__(  # noqa: PLR0913 - all but the first two by name
        self,
        service: str,
        handlers: Sequence[Handler],
        *,
        database: Database | None = None,
        migrations: Path | None = None,
        concurrency: int = CONCURRENCY_DEFAULT,
        commands_per_transaction: int = 1,
        lease: timedelta = LEASE_DEFAULT,
        handler_timeout: timedelta = HANDLER_TIMEOUT_MAX,
        around: Around | None = None,
    ) -> None:
        _check_service(service)
        _check_limits(service, concurrency, lease, handler_timeout)
        if not 1 <= commands_per_transaction <= COMMANDS_PER_TRANSACTION_MAX:
            raise TypeError(
                f"{service}: commands_per_transaction={commands_per_transaction}. "
                f"Fix: 1 to {COMMANDS_PER_TRANSACTION_MAX}; 1 gives each command a transaction of its own"
            )
        if migrations is not None and not migrations.is_dir():
            raise TypeError(f"{service}: there is no folder {migrations}. Fix: put NNNN_name.sql files there, or leave")
        _check_database(service, database)
        self.service = service
        self.database = database
        self.migrations = migrations
        self.concurrency = concurrency
        self.commands_per_transaction = commands_per_transaction
        self.lease = lease
        self.handler_timeout = handler_timeout
        self.around: Around = around or _nothing_around
        self._handlers = _by_type(service, handlers)

    @property
    def queue(self) -> str:
        """The queue it takes its commands from."""
        return names.command_queue(self.service)

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """Handlers by command type, e.g. `payments.ChargeCard.v1`."""
        return self._handlers

    def needs_database(self) -> bool:
        """Whether any command needs a row in the inbox: all but `read_only` do."""
        return any(handler.contract.effect is not Effect.READ_ONLY for handler in self._handlers.values())


def participant_of(target: object) -> Participant:
    """What `saga serve MODULE:OBJECT` names: a Participant, or a function that makes one. Raises TypeError."""
    made = target() if callable(target) else target
    if not isinstance(made, Participant):
        raise TypeError(
            f"a {type(made).__name__} is not a Participant. "
            "Fix: name a Participant, or a function without arguments that returns one"
        )
    return made


def _nothing_around(_command: CommandMessage) -> AbstractContextManager[object]:
    return nullcontext()


def _check_service(service: str) -> None:
    plain = service.replace("-", "").replace("_", "")
    if not (0 < len(service) <= NAME_CHARACTERS_MAX and plain.isascii() and plain.isalnum()):
        raise TypeError(
            f"the service name {service!r} does not fit a routing key. "
            f"Fix: letters, digits, '-' and '_', at most {NAME_CHARACTERS_MAX}"
        )


def _check_limits(service: str, concurrency: int, lease: timedelta, handler_timeout: timedelta) -> None:
    if concurrency < 1:
        raise TypeError(f"{service}: concurrency={concurrency} runs nothing. Fix: 1 or more")
    if lease < timedelta(seconds=1):
        raise TypeError(f"{service}: lease={lease} ends before it can be renewed. Fix: 1 second or more")
    if not timedelta(0) < handler_timeout <= HANDLER_TIMEOUT_MAX:
        raise TypeError(
            f"{service}: handler_timeout={handler_timeout}. Fix: at most {HANDLER_TIMEOUT_MAX}; a command that takes "
            "longer answers at once, and the saga waits for a signal"
        )


def _check_database(service: str, database: Any) -> None:
    if database is None:
        return
    if isinstance(database, type) or not callable(getattr(database, "begin", None)):
        raise TypeError(
            f"{service}: a {type(database).__name__} is no database. Fix: an object with dialect and begin(); "
            "an address goes to saga serve --database"
        )
    dialect = getattr(database, "dialect", None)
    if dialect not in DIALECTS:
        raise TypeError(
            f"{service}: the database speaks {dialect!r}. Fix: dialect = {' or '.join(DIALECTS)}, whose SQL it takes"
        )


def _by_type(service: str, handlers: Sequence[Handler]) -> dict[str, Handler]:
    if not handlers:
        raise TypeError(f"{service}: no handlers. Fix: pass handlers=[SomeCommand.handled_by(function), ...]")
    found: dict[str, Handler] = {}
    for handler in handlers:
        for problem in _problems(service, handler):
            raise TypeError(problem)
        type_name = handler.contract.type_name
        if type_name in found:
            raise TypeError(f"{type_name} has two handlers in {service}. Fix: remove one")
        found[type_name] = handler
    return found


def _problems(service: str, handler: Any) -> Iterator[str]:
    """What keeps a handler from working, worst first."""
    if not isinstance(handler, Handler):
        yield f"{service}: {handler!r} is no handler. Fix: SomeCommand.handled_by(function)"
        return
    contract = handler.contract
    if contract.service != service:
        yield (
            f"{contract.type_name} belongs to the service {contract.service!r}, not to {service!r}. "
            f"Fix: handle it in a Participant({contract.service!r}, ...), or correct service= in its contract"
        )
    for role, function in (("handler", handler.run), ("probe", handler.probe)):
        if function is not None or role == "handler":
            yield from _function_problems(f"the {role} of {contract.type_name}", function)
    if handler.check is not None and inspect.iscoroutinefunction(handler.check):
        yield f"the check of {contract.type_name} is async. Fix: look only at the command, with a plain function"


def _function_problems(what: str, function: Any) -> Iterator[str]:
    inner = function
    while isinstance(inner, partial):
        inner = inner.func
    if not callable(inner):
        yield f"{what} is {inner!r}. Fix: async def handle(cmd, ctx)"
        return
    if not (inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(type(inner).__call__)):
        name = getattr(inner, "__name__", "__call__")
        yield f"{what} is no async function. Fix: async def {name}(cmd, ctx)"
        return
    try:
        inspect.signature(function).bind(None, None)
    except TypeError as error:
        yield f"{what} cannot be called with a command and a context ({error}). Fix: async def handle(cmd, ctx)"
