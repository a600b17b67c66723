"""What a team writes down about its service: commands, replies, failures, and how each command survives a repeat.

A contracts module imports this module and nothing else of the engine.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, Never, Self, get_args, get_origin
from typing import TypeVar as ClassicTypeVar

import msgspec
from typing_extensions import TypeVar

from saga.cost import Cost, with_amount

__all__ = [
    "Command",
    "Context",
    "Contract",
    "Effect",
    "Failure",
    "Handler",
    "InDoubt",
    "RetryLater",
    "Undone",
    "command",
    "contract_of",
]

ENGINE_SERVICE = "saga"
"""The engine itself answers commands under this name: those that start and undo child sagas."""
NAME_CHARACTERS_MAX = 64
VERSION_MAX = 9_999
REMEMBERS_DEFAULT = timedelta(days=30)
REMEMBERS_MIN = timedelta(days=8)
"""Actions expire seven days after they are issued (wire.md); a participant must remember a key a day longer."""

T = ClassicTypeVar("T")
Reply = TypeVar("Reply", covariant=True)
Refusal = TypeVar("Refusal", covariant=True, default=Never)


class Effect(StrEnum):
    """How a command survives being delivered twice: the promise of the contract, proved at the handler."""

    READ_ONLY = "read_only"
    """Changes nothing."""
    INBOX = "inbox"
    """Its row in the inbox is written in the handler's own database transaction."""
    PROVIDER_KEY = "provider_key"
    """An outside provider takes our idempotency key and applies it once."""
    PROBE = "probe"
    """The provider takes no key but can be asked whether it happened."""
    AT_MOST_ONCE = "at_most_once"
    """Nothing can tell whether it happened; it is tried once, and a doubt goes to a person."""


class Failure(msgspec.Struct, frozen=True):
    """A business refusal declared in a command's type; its code on the wire is the class name."""


class Contract(msgspec.Struct, frozen=True):
    """What `@command` wrote down about a command class."""

    service: str
    name: str
    version: int
    effect: Effect
    reply: type[Any]
    failures: tuple[type[Failure], ...]
    remembers: timedelta

    @property
    def type_name(self) -> str:
        """The command's name on the wire, e.g. `payments.ChargeCard.v1`: also its routing key."""
        return f"{self.service}.{self.name}.v{self.version}"

    @property
    def reply_type_name(self) -> str:
        """The reply's name on the wire, e.g. `payments.CardCharged.v1`."""
        return f"{self.service}.{self.reply.__name__}.v{self.version}"


class RetryLater(Exception):
    """Raised by a handler: not now, nothing is claimed about the effect. `after` asks the engine to wait that long."""

    def __init__(self, message: str, *, code: str = "unavailable", after: timedelta | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.after = after


class InDoubt(Exception):
    """Raised by a handler or a probe that cannot tell whether the effect happened: a person has to look."""


class Undone(msgspec.Struct, frozen=True):
    """What the inbox remembers of the action that a compensation undoes.

    A handler only runs where there may be something to undo. `reply` is None when the action was interrupted, `command`
    too when its row is forgotten: then undo from the compensation's own fields, or raise InDoubt.
    """

    command: bytes | None = None
    reply: bytes | None = None
    key: str = ""
    """Idempotency key of the action: what a provider knows it by."""

    def command_as(self, kind: type[T]) -> T | None:
        """The action as it was asked, or None if this service never saw it."""
        return None if self.command is None else msgspec.json.decode(self.command, type=kind)

    def reply_as(self, kind: type[T]) -> T | None:
        """What the action answered, or None if its outcome is not known here."""
        return None if self.reply is None else msgspec.json.decode(self.reply, type=kind)


class Context:
    """What a handler may know beside its command."""

    __slots__ = ("attempt", "cancelled", "cost", "database", "key", "saga", "step", "tx", "undone")

    def __init__(
        self,
        *,
        tx: Any = None,
        key: str,
        saga: str,
        step: str,
        attempt: int,
        undone: Undone | None = None,
        database: Any = None,
    ) -> None:
        self.tx = tx
        """The service's own open transaction (effect `inbox`), committed by the library; None otherwise."""
        self.database = database
        """The service's database, for handlers without `tx` that need tables: `async with ctx.database.begin()`."""
        self.key = key
        """The idempotency key: the same for every repeat. Give it to a provider that takes one."""
        self.saga = saga
        self.step = step
        self.attempt = attempt
        self.undone = undone
        """In a compensation: what this service's inbox holds of the action that is undone."""
        self.cancelled = False
        """Becomes True in a running handler when the compensation of its own key has arrived."""
        self.cost: Cost | None = None
        """What `add_cost` was told so far."""

    def add_cost(self, amount: int | Decimal, unit: str) -> None:
        """Say that the work on this command costs so much more: `add_cost(Decimal("0.0123"), "USD")`.

        Told with the answer, whichever it is, also where the handler raises after it; an answer that is given again
        tells it again, and counts once. To 12 digits behind the point; at most 8 units, each a letter and up to 31
        letters, digits, `-` and `_`. Raises TypeError for a float, ValueError for what is outside of that.
        """
        self.cost = with_amount(self.cost, amount, unit)


class Handler(msgspec.Struct, frozen=True):
    """A command class tied to the function that carries it out; made by `Command.handled_by`."""

    command: type[Any]
    run: Callable[..., Awaitable[Any]]
    probe: Callable[..., Awaitable[Any]] | None
    check: Callable[[Any], str | None] | None

    @property
    def contract(self) -> Contract:
        """The contract of the command."""
        return contract_of(self.command)


class Command(msgspec.Struct, Generic[Reply, Refusal], frozen=True):
    """Base of every command: `class ChargeCard(Command[CardCharged, CardDeclined | LimitReached], frozen=True)`.

    The second parameter lists the business refusals it may answer with; left out, it cannot refuse, and only such a
    command can be a compensation or stand after the pivot.
    """

    @classmethod
    def handled_by(
        cls,
        run: Callable[[Self, Context], Awaitable[Reply | Refusal]],
        *,
        probe: Callable[[Self, Context], Awaitable[Reply | None]] | None = None,
        check: Callable[[Self], str | None] | None = None,
    ) -> Handler:
        """Tie this command to its handler.

        `probe` asks the provider whether an earlier, interrupted run happened: the reply, or None for no. `check`
        looks at values that types cannot (a negative amount) and returns what is wrong, or None; what it objects to is
        refused as `invalid-payload` and never runs.

        Raises TypeError when the handler does not fit the declared effect.
        """
        contract = contract_of(cls)
        if contract.effect is Effect.PROBE and probe is None:
            raise TypeError(
                f"{contract.type_name} declares the effect 'probe' but has no probe. "
                "Fix: pass probe=, an async function that asks the provider whether it happened"
            )
        if contract.effect is not Effect.PROBE and probe is not None:
            raise TypeError(
                f"{contract.type_name} declares the effect '{contract.effect}', which never asks a probe. "
                "Fix: remove probe=, or declare Effect.PROBE in the contract"
            )
        return Handler(command=cls, run=run, probe=probe, check=check)


def command(
    *, service: str, effect: Effect, version: int = 1, remembers: timedelta = REMEMBERS_DEFAULT
) -> Callable[[type[T]], type[T]]:
    """Declare which service answers a command and how it survives a repeat.

    `remembers` is how long the service keeps what it answered (at least 8 days). Raises TypeError, at import, for
    a class that could never be decoded or that would misbehave in a definition.
    """

    def mark(cls: type[T]) -> type[T]:
        reply, refusals = _parameters(cls)
        if service == ENGINE_SERVICE:
            raise TypeError(
                f"{cls.__name__}: the service name {service!r} is the engine's own. "
                "Fix: name the service that answers; another saga is called with s.child(...)"
            )
        _check_names(cls.__name__, (service, *(kind.__name__ for kind in (reply, *refusals))), version, remembers)
        if "__post_init__" in cls.__dict__:
            raise TypeError(
                f"{cls.__name__}: __post_init__ would run on the placeholders of a definition. "
                "Fix: use msgspec.Meta, or pass check= to handled_by"
            )
        for kind in (cls, reply, *refusals):
            try:  # msgspec refuses some annotations (Meta(ge=0) on a Decimal) only when a decoder is made
                msgspec.json.Decoder(kind)
            except TypeError as error:
                raise TypeError(f"{kind.__name__}, used by {cls.__name__}, can never be decoded: {error}") from None
        contract = Contract(service, cls.__name__, version, effect, reply, refusals, remembers)
        setattr(cls, "__saga__", contract)  # noqa: B010 - the one private mark a checker need not see
        return cls

    return mark


def contract_of(kind: type[Any]) -> Contract:
    """The contract of a command class. Raises TypeError for a class without `@command`."""
    contract = kind.__dict__.get("__saga__")
    if not isinstance(contract, Contract):
        raise TypeError(
            f"{kind.__name__} declares no service and effect. "
            "Fix: decorate it with @command(service=..., effect=Effect....) and derive it from Command[Reply]"
        )
    return contract


def _parameters(cls: type[Any]) -> tuple[type[Any], tuple[type[Failure], ...]]:
    """Reply and refusals of `class X(Command[Reply, A | B])`."""
    base = next((b for b in getattr(cls, "__orig_bases__", ()) if get_origin(b) is Command), None)
    if base is None:
        raise TypeError(f"{cls.__name__} names no reply. Fix: derive it from Command[Reply] or Command[Reply, Failure]")
    parameters: tuple[Any, ...] = (*get_args(base), Never)
    reply, refused = parameters[:2]
    refusals: tuple[Any, ...] = () if refused is Never else get_args(refused) or (refused,)
    for refusal in refusals:
        if not (isinstance(refusal, type) and issubclass(refusal, Failure)):
            raise TypeError(f"{cls.__name__}: {refusal!r} is no declared failure. Fix: derive it from saga.Failure")
    if not (isinstance(reply, type) and issubclass(reply, msgspec.Struct)):
        raise TypeError(f"{cls.__name__}: its reply {reply!r} is no msgspec.Struct. Fix: a reply is one Struct")
    return reply, refusals


def _check_names(name: str, others: tuple[str, ...], version: int, remembers: timedelta) -> None:
    for word in (name, *others):
        plain = word.replace("-", "").replace("_", "")
        if not 0 < len(word) <= NAME_CHARACTERS_MAX or not (plain.isascii() and plain.isalnum()):
            raise TypeError(
                f"{name}: the name {word!r} does not fit a routing key. "
                f"Fix: letters, digits, '-' and '_', at most {NAME_CHARACTERS_MAX}"
            )
    if not 1 <= version <= VERSION_MAX:
        raise TypeError(f"{name}: version {version}. Fix: 1 to {VERSION_MAX}")
    if remembers < REMEMBERS_MIN:
        raise TypeError(f"{name}: remembers={remembers} is shorter than an action may travel. Fix: at least 8 days")
