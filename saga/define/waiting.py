"""The verbs of waiting: for a time, and for a signal."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar, cast

from saga.core.definition import Await, OnLate, Sleep
from saga.core.expression import Expression
from saga.define.blocks import Fork, Scope, Shape
from saga.define.builder import NAME, NAME_FIX, Builder, Verbs
from saga.define.placeholder import Placeholder, Source, references, type_text
from saga.define.recorded import SIGNAL, Site
from saga.define.shapes import is_struct
from saga.define.words import On, placeholder_in

T = TypeVar("T")

_LATE = {On.COMPENSATE: OnLate.FAIL, On.PARK: OnLate.PARK, On.CONTINUE: OnLate.CONTINUE}


class Waiting(Verbs):
    """Waits cost a row: no process, no connection, no message."""

    __slots__ = ()

    def sleep(self, name: str, time: timedelta) -> None:
        """Wait this long, counted from here: a constant, or a duration of the input or of a reply."""
        builder = self._builder
        path = builder.claim(name)
        if isinstance(cast("object", time), Placeholder) or builder.is_time(path, "time", time):
            builder.add(Sleep(path=path, time=builder.values.expression(time, timedelta, builder.site(path))))

    def sleep_until(self, name: str, instant: datetime) -> None:
        """Wait until an instant of the input or of a reply; one that has passed is no wait."""
        builder = self._builder
        path = builder.claim(name)
        given: object = instant
        if isinstance(given, datetime) and given.tzinfo is None:
            builder.bad(path, f"{instant!r} has no time zone", "datetime(..., tzinfo=UTC)")
        builder.add(Sleep(path=path, until=builder.values.expression(instant, datetime, builder.site(path))))

    def signal(
        self,
        path: str,
        kind: type[T],
        /,
        *,
        name: str | None = None,
        where: Callable[[T], bool] | None = None,
        within: timedelta | None = None,
        on_late: Literal[On.COMPENSATE, On.PARK, On.CONTINUE] | None = None,
    ) -> T:
        """Wait for a signal, which may have come before; returns its body.

        `name` is the signal's, as its senders write it (without it, the path). `where` chooses among signals of that
        name. `within` is the longest wait; then, by `on_late`, it fails with `On.DEADLINE` (`On.COMPENSATE`, the
        default; after the pivot there is no way back, and it parks), parks, or goes on: reading it needs `coalesce`.
        """
        builder = self._builder
        here = builder.claim(path)
        called = path if name is None else name
        _check_signal(builder, here, called, kind)
        late = _late(builder, here, within, on_late)
        condition = None if where is None else _where(builder, here, kind, where)
        block = Await(path=here, signal=called, where=condition, within=within, on_late=late)
        builder.add(block)
        home = builder.scope
        if late is OnLate.CONTINUE:
            home = Scope("wait", builder.scope, Fork(here, Shape.LATE, lambda _: block))
        return cast("T", builder.source(here, kind, home))


def _check_signal(builder: Builder, path: str, called: object, kind: Any) -> None:
    if not isinstance(called, str) or not NAME.fullmatch(called):
        builder.bad(path, f"the signal's name {called!r} does not fit a routing key", NAME_FIX)
        return
    if not is_struct(kind):
        builder.bad(path, f"{type_text(kind)} is no msgspec.Struct", f's.signal("{path}", PaymentArrived)')
    other = builder.signals.setdefault(called, kind)
    if other is not kind:
        reason = f"waits for the signal '{called}' as {type_text(kind)}, another wait as {type_text(other)}"
        builder.bad(path, reason, "one name, one type: give this signal a name of its own")


def _late(builder: Builder, path: str, within: timedelta | None, on_late: On | None) -> OnLate:
    if within is not None:
        builder.is_time(path, "within", within)
    if on_late is None:
        return OnLate.FAIL
    if within is None:
        builder.bad(path, "says what to do when it is late, but not when that is", "give it within=timedelta(...)")
    if on_late not in _LATE:
        builder.bad(f"{path}.on_late", f"{on_late!r} is not possible here", "On.COMPENSATE, On.PARK or On.CONTINUE")
        return OnLate.FAIL
    pivot = builder.scope.pivot_passed()
    if on_late is On.COMPENSATE and pivot and not builder.scope.catches(On.DEADLINE):
        reason = f"on_late=On.COMPENSATE after the pivot '{pivot}', where nothing is undone any more"
        builder.bad(path, reason, "on_late=On.PARK or On.CONTINUE")
    return _LATE[on_late]


def _where(builder: Builder, path: str, kind: type[T], where: Callable[[T], bool]) -> Expression:
    """The condition of a wait; only in it there is a signal that is not taken yet."""
    found = builder.values.found
    looking = Scope("where", builder.scope)
    looked_at = Placeholder("source", kind, Source(found, SIGNAL, checked_as=path))
    found.homes[SIGNAL] = looking
    try:
        condition = where(cast("T", looked_at))
        placeholder_in("where", condition)
        if not any(source.path == SIGNAL for source, _, _ in references(condition)):
            reason = "its where= reads nothing of the signal, so it takes any or none"
            builder.bad(path, reason, "where=lambda paid: paid.order_id == order.order_id")
        return builder.values.expression(condition, bool, Site(f"{path}.where", looking))
    finally:
        del found.homes[SIGNAL]
