"""The verbs of structure: another way, turns, and a deadline around several steps."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Literal, TypeVar

from saga.contract import Failure
from saga.core.bounds import TURNS_MAX
from saga.core.definition import (
    Attempt,
    Block,
    Repeat,
    When,
    Within,
)
from saga.core.expression import Expression
from saga.define.blocks import Fork, Shape
from saga.define.builder import Builder, Verbs
from saga.define.opening import block
from saga.define.recorded import literal
from saga.define.words import On, placeholder_in

I = TypeVar("I")  # noqa: E741 - item
T = TypeVar("T")

WINDOW_DEFAULT = 10
Reason = type[Failure] | Literal[On.EXHAUSTED, On.REJECTED, On.EXPIRED, On.DEADLINE, On.LIMIT, On.COMPENSATED]
_REASONS = (On.EXHAUSTED, On.REJECTED, On.EXPIRED, On.DEADLINE, On.LIMIT, On.COMPENSATED)
Sequences = tuple[tuple[Block, ...], ...]


class Otherwise:
    """A block that may have another way: `with pay.otherwise(): ...`, directly behind it."""

    __slots__ = ("_builder", "_fork")

    def __init__(self, builder: Builder, fork: Fork) -> None:
        self._builder, self._fork = builder, fork

    @property
    def _place(self) -> str:
        return self._fork.path

    @block("x.otherwise()")
    def otherwise(self) -> Iterator[None]:
        """The other way: of a `when`, if the condition does not hold; of an `attempt`, once all of it is undone."""
        with self._builder.otherwise(self._fork):
            yield


class Turn:
    """One turn of a loop: `turn.until(written.good)`, inside it."""

    __slots__ = ("_builder", "_fork", "condition")

    def __init__(self, builder: Builder, fork: Fork) -> None:
        self._builder, self._fork = builder, fork
        self.condition: Expression | None = None

    def until(self, condition: bool) -> None:  # noqa: FBT001 - the subject
        """The loop ends with the turn after which this holds."""
        placeholder_in("turn.until", condition)
        path = self._fork.path
        if self.condition is not None:
            self._builder.bad(path, "has two until", "join the conditions with all_of(...) or any_of(...)")
        if self._builder.scope not in self._fork.scopes:
            self._builder.bad(path, "its until does not stand directly inside it", "write it as the block's last line")
        self.condition = self._builder.values.expression(condition, bool, self._builder.site(path))


class Structure(Verbs):
    """Blocks with steps in them."""

    __slots__ = ()

    @block("s.when(...) as x")
    def when(self, condition: bool, *, name: str | None = None) -> Iterator[Otherwise]:  # noqa: FBT001 - the subject
        """Steps that are done only if the condition holds; it is looked at once, here, and recorded.

        `name` is the block's path; without it `when-1`, `when-2`, ... in the order written.
        """
        builder = self._builder
        placeholder_in("s.when", condition)
        path = builder.when_name(name)
        looked_at = builder.values.expression(condition, bool, builder.site(path))

        def made(arms: Sequences) -> Block:
            return When(path=path, condition=looked_at, then=arms[0], otherwise=arms[1] if len(arms) > 1 else ())

        fork = Fork(path, Shape.WHEN, made)
        with builder.fork(fork):
            yield Otherwise(builder, fork)

    @block("s.attempt(...) as x")
    def attempt(self, name: str, *, on: Sequence[Reason]) -> Iterator[Otherwise]:
        """Steps that are undone, all of them, when one fails for a reason in `on`; then the saga goes on.

        With `otherwise` it goes on there, else behind the block.
        """
        builder = self._builder
        path = builder.claim(name)
        reasons = _reasons(builder, path, on)

        def made(arms: Sequences) -> Block:
            return Attempt(path=path, on=reasons, body=arms[0], otherwise=arms[1] if len(arms) > 1 else ())

        fork = Fork(path, Shape.ATTEMPT, made, on=reasons)
        with builder.fork(fork):
            yield Otherwise(builder, fork)

    @block("s.within(...)")
    def within(self, name: str, time: timedelta) -> Iterator[None]:
        """Steps that must be through in this time, counted from here; else the block fails with `On.DEADLINE`."""
        builder = self._builder
        path = builder.claim(name)
        if builder.is_time(path, "time", time) and time > builder.deadline:
            reason = f"its time of {time} is longer than the saga's deadline of {builder.deadline}"
            builder.bad(path, reason, "shorten it, or lengthen deadline= of define")
        pivot = builder.scope.pivot_passed()
        if pivot and not builder.scope.catches(On.DEADLINE):
            reason = f"gives up, but after the pivot '{pivot}' there is no way back"
            builder.bad(path, reason, "remove it, or put it into s.attempt(..., on=[On.DEADLINE])")
        with builder.fork(Fork(path, Shape.WITHIN, lambda bodies: Within(path=path, time=time, body=bodies[0]))):
            yield

    @block("s.repeat(...) as turn")
    def repeat(self, name: str, *, limit: int, pause: timedelta | None = None) -> Iterator[Turn]:
        """Steps again and again, until `turn.until(...)` holds; after `limit` turns it fails with `On.LIMIT`.

        `pause` is the time between two turns. Behind the block, replies are those of the last turn.
        """
        builder = self._builder
        path = builder.claim(name)
        builder.is_count(path, "limit", limit, TURNS_MAX)
        if pause is not None:
            builder.is_time(path, "pause", pause)

        def made(bodies: Sequences) -> Block:
            until = turn.condition or literal(value=True)
            return Repeat(path=path, until=until, limit=limit, pause=pause, body=bodies[0])

        fork = Fork(path, Shape.REPEAT, made)
        turn = Turn(builder, fork)
        with builder.fork(fork):
            yield turn
        if turn.condition is None:
            builder.bad(path, "does not say when it is done", "write turn.until(...) as the block's last line")


def _reasons(builder: Builder, path: str, on: Sequence[Reason]) -> tuple[str, ...]:
    reasons: list[str] = []
    for reason in _listed(builder, path, on):
        if reason in _REASONS:
            code = str(reason)
        elif isinstance(reason, type) and issubclass(reason, Failure):
            code = reason.__name__
        else:
            fix = f"a declared failure, or {', '.join(f'On.{word.name}' for word in _REASONS)}"
            builder.bad(path, f"on={reason!r} is no reason to fail", fix)
            continue
        if code in reasons:
            builder.bad(path, f"on names {code} twice", "name it once")
        reasons.append(code)
    return tuple(reasons)


def _listed(builder: Builder, path: str, on: object) -> Sequence[object]:
    """The reasons; one that stands alone is a mistake, but known."""
    if isinstance(on, Iterable) and not isinstance(on, str | type):
        listed = tuple(on)
        if not listed:
            builder.bad(path, "on=[] reacts to nothing", "on=[CardDeclined, On.EXHAUSTED]")
        return listed
    written = on.__name__ if isinstance(on, type) else str(on) if not isinstance(on, On) else f"On.{on.name}"
    builder.bad(path, f"on={written} is no list", f"on=[{written}]")
    known = on in _REASONS or (isinstance(on, type) and issubclass(on, Failure))
    return (on,) if known else ()
