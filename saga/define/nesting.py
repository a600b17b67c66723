"""The verbs of nesting: another saga as one step of this one."""

from typing import Any, Literal, TypeVar, cast

import msgspec

from saga.contract import Effect
from saga.core.bounds import CHILD_DEPTH_MAX
from saga.core.children import COMPENSATED, REMEMBERS, SERVICE, TIMEOUT, OnRunning
from saga.core.definition import CommandTemplate, OnExhausted, RetryPolicy, Step, StepKind, steps_of
from saga.core.errors import DefinitionError
from saga.core.expression import Expression, Object
from saga.define.builder import Builder, Verbs
from saga.define.built import Definition
from saga.define.placeholder import type_text
from saga.define.positions import check_position
from saga.define.recorded import literal
from saga.define.words import On, no_undo

I = TypeVar("I")  # noqa: E741 - input, as in Definition[I, O]
O = TypeVar("O")  # noqa: E741 - output

UNDO_FIX = "undo=On.CANCEL, or undo=On.WAIT, or undo=no_undo('why it may stay')"


class Nesting(Verbs):
    """Sub-sagas: each has its own id and history, and is one step here."""

    __slots__ = ()

    def child(
        self,
        name: str,
        definition: Definition[I, O],
        input: I,  # noqa: A002 - that is what it is
        *,
        undo: Literal[On.CANCEL, On.WAIT] | no_undo,
    ) -> O:
        """Run another saga, before the pivot; goes on when it is complete. Returns its output.

        Undone, a completed child is compensated as one unit; one that has not ended is cancelled (`On.CANCEL`) or
        awaited first (`On.WAIT`). `no_undo(reason)` detaches it: it stays, or goes on. A child that undid itself
        fails with `On.COMPENSATED`.
        """
        step = _child(self._builder, name, definition, input, StepKind.COMPENSATABLE)
        pivot = _pivot(definition)
        if pivot:
            reason = f"{definition.name} passes a point of no return ('{pivot}'), so it cannot be undone as a unit"
            self._builder.bad(step.path, reason, "make it the pivot: s.pivot_child(...), or move it behind the pivot")
        return _added(self._builder, _undone(self._builder, step, definition, undo), definition)

    def pivot_child(self, name: str, definition: Definition[I, O], input: I) -> O:  # noqa: A002 - that is what it is
        """Run another saga as the point of no return. If it undid itself, this saga is undone too."""
        step = _child(self._builder, name, definition, input, StepKind.PIVOT)
        return _added(self._builder, step, definition)

    def retryable_child(self, name: str, definition: Definition[I, O], input: I) -> O:  # noqa: A002 - that is what it is
        """Run another saga after the pivot. If it undid itself, the step parks: there is no way back."""
        step = _child(self._builder, name, definition, input, StepKind.RETRYABLE)
        return _added(self._builder, step, definition)


def _child(builder: Builder, name: str, definition: Definition[I, O], given: I, kind: StepKind) -> Step:
    """The step that starts the child, without its undo."""
    path = builder.claim(name)
    check_position(builder.values.found, path, kind, builder.scope)
    if not isinstance(cast("object", definition), Definition):
        builder.bad(path, f"{type(definition).__name__} is no definition", "give it what @define made")
        raise DefinitionError(builder.name, tuple(builder.values.found.problems))
    _embed(builder, path, definition)
    body = builder.values.expression(given, definition.input, builder.site(path))
    return Step(
        path=path,
        kind=kind,
        command=_template(definition, type_text(definition.output), body, (COMPENSATED,)),
        retry=RetryPolicy(),
        timeout=TIMEOUT,
        within=None,
        on_exhausted=OnExhausted.PARK,
    )


def _template(
    definition: Definition[I, O], reply: str, body: Expression, failures: tuple[str, ...] = ()
) -> CommandTemplate:
    return CommandTemplate(
        service=SERVICE,
        name=definition.name,
        version=definition.version,
        effect=Effect.INBOX,
        reply=f"{SERVICE}.{reply}.v{definition.version}",
        failures=failures,
        remembers=REMEMBERS,
        body=body,
    )


def _added(builder: Builder, step: Step, definition: Definition[I, O]) -> O:
    builder.add(step)
    return cast("O", builder.source(step.path, definition.output, builder.scope))


def _undone(builder: Builder, step: Step, definition: Definition[I, O], undo: object) -> Step:
    """The step with what undoes it."""
    if isinstance(undo, no_undo):
        if not undo.reason.strip():
            builder.bad(step.path, "no_undo without a reason", "no_undo('why this may stay'): operators read it")
        return msgspec.structs.replace(step, no_undo=undo.reason)
    if undo is None:
        builder.values.found.bad(step.path, "says nothing about its undo", UNDO_FIX, code="SAGA-2104")
        return step
    if undo not in (On.CANCEL, On.WAIT):
        builder.bad(step.path, f"undo={undo!r} is not possible for a sub-saga", UNDO_FIX)
        return step
    body = Object({"running": literal(OnRunning(str(undo)))})
    return msgspec.structs.replace(step, undo=_template(definition, "Undone", body), undo_retry=RetryPolicy())


def _pivot(definition: Definition[I, O]) -> str | None:
    """A point of no return that the definition passes."""
    pivots = (step.path for step in steps_of(definition.compiled.blocks) if step.kind is StepKind.PIVOT)
    return next(pivots, None)


def _embed(builder: Builder, path: str, definition: Definition[Any, Any]) -> None:
    """Keep the definition, to be published together; refuse circles, depth, and two of one name and version."""
    circle = _way_to(definition, builder.name)
    if circle:
        way = " -> ".join((builder.name, *circle))
        builder.bad(path, f"runs in a circle: {way}", "a saga cannot be its own sub-saga: let a participant start it")
    if _levels(definition) > CHILD_DEPTH_MAX:
        reason = f"is nested {_levels(definition)} sagas deep, at most {CHILD_DEPTH_MAX}"
        builder.bad(path, reason, "start the inner ones side by side")
    for other in (member for known in builder.children for member in known.family()):
        for member in definition.family():
            if (other.name, other.version) == (member.name, member.version) and other.hash != member.hash:
                reason = f"embeds {member.name} v{member.version}, another child embeds one with other content"
                builder.bad(path, reason, "give one of them a new version")
    if all(known.hash != definition.hash for known in builder.children):
        builder.children.append(definition)


def _way_to(definition: Definition[Any, Any], name: str) -> tuple[str, ...]:
    """The names from a definition down to one of this name; empty when there is none."""
    if definition.name == name:
        return (name,)
    ways = (_way_to(child, name) for child in definition.children)
    return next(((definition.name, *way) for way in ways if way), ())


def _levels(definition: Definition[Any, Any]) -> int:
    """Sagas from this one down to the deepest below it."""
    return 1 + max(map(_levels, definition.children), default=0)
