"""Where a step may stand: before the point of no return, at it, or after it."""

from saga.core.definition import StepKind
from saga.core.errors import Problem
from saga.define.blocks import Fork, Scope, Shape, pivot_in
from saga.define.recorded import Findings

_WHY_NO_PIVOT = {
    Shape.ATTEMPT: ("the attempt ", "which could not be undone"),
    Shape.ALL: ("", "whose other branches could not be undone any more"),
    Shape.ANY: ("", "whose other branches could not be undone any more"),
    Shape.EACH: ("", "which would pass the point of no return once for every item"),
    Shape.REPEAT: ("", "which would pass the point of no return in every turn"),
    Shape.WITHIN: ("", "which gives up when its time is over"),
}


def check_position(found: Findings, name: str, kind: StepKind, scope: Scope) -> None:
    """Before the pivot `step` or `read`; then the pivot; after it `retryable` or `read`."""
    passed = scope.pivot_passed()
    if kind is StepKind.COMPENSATABLE and passed:
        fix = "use s.retryable, or move it before the pivot"
        found.bad(name, f"stands after the pivot '{passed}', where nothing is undone any more", fix)
    if kind is StepKind.RETRYABLE and not passed:
        fix = "use s.step with undo=, or mark the point of no return with s.pivot"
        found.bad(name, "is retryable, but no pivot comes before it", fix)
    if kind is StepKind.PIVOT and passed:
        found.bad(name, f"is a second pivot after '{passed}'", "keep one point of no return")
    forks = [around.fork for around in scope.chain() if around.fork]
    if kind is StepKind.PIVOT:
        for fork in forks:
            if fork.shape in _WHY_NO_PIVOT:
                kind_of, why = _WHY_NO_PIVOT[fork.shape]
                reason = f"is a pivot inside {kind_of}'{fork.path}', {why}"
                found.bad(name, reason, "move it behind the block")
                break
    given_up = _may_be_given_up(forks)
    if kind is StepKind.RETRYABLE and passed and given_up:
        reason = f"is retryable, but '{given_up}' may give it up half done, and nothing undoes it"
        found.bad(name, reason, "move it behind the block")


def _may_be_given_up(forks: list[Fork]) -> str | None:
    """The block that may leave a step in it half done: by the clock, or because something beside it failed."""
    tried = False
    for fork in forks:
        tried = tried or fork.shape is Shape.ATTEMPT
        if fork.shape in (Shape.WITHIN, Shape.ANY) or (tried and fork.shape in (Shape.ALL, Shape.EACH)):
            return fork.path
    return None


def problems_of_pivots(scope: Scope) -> list[Problem]:
    """A pivot under a condition needs one in the other arm too: a saga has a point of no return, or has none."""
    found: list[Problem] = []
    for fork in scope.blocks:
        if not isinstance(fork, Fork):
            continue
        pivot = pivot_in(fork)
        if pivot and fork.shape is Shape.WHEN and not (len(fork.scopes) == 2 and all(map(_has_pivot, fork.scopes))):
            reason = f"is a pivot in one arm of '{fork.path}' only"
            found.append(Problem(pivot, reason, "move it behind the block, or give every arm its pivot"))
        for arm in fork.scopes:
            found += problems_of_pivots(arm)
    return found


def _has_pivot(scope: Scope) -> bool:
    return any(pivot_in(block) is not None for block in scope.blocks)
