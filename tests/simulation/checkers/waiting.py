"""A saga that has not ended can always say why, and its row says the same."""

from saga.core.messages import Kind
from saga.core.outstanding import next_wake, outstanding, view, waits
from saga.core.plan import stands_in
from tests.simulation.store import Commit, Row
from tests.simulation.violation import Violation


def on_commit(row: Row, commit: Commit) -> None:
    """There is a reason; nothing is on the wire for a saga that is paused or has ended; nobody is to look at what a
    block that was given up left behind."""
    state = commit.state
    at_rest = state.terminal or state.paused_at is not None
    if at_rest and outstanding(row.plan, state):
        raise Violation("S5", f"version {commit.version} is {state.phase} or paused and still sends")
    if not state.terminal and not view(row.plan, state).wait_text:
        raise Violation("wait", f"version {commit.version} shows no reason")
    for path, parked in state.parked.items():
        if parked.kind is Kind.ACTION and any(stands_in(row.plan, path, scope) for scope in state.blocks):
            raise Violation("wait", f"version {commit.version}: {path} stands in front of a person in vain")
    on_others = any(wait.kind in ("approval", "signal") for wait in waits(row.plan, state))
    needs_nobody = (
        not on_others and state.deadline_passed and not state.parked and state.paused_at is None and not state.terminal
    )
    if needs_nobody and next_wake(row.plan, state, commit.at, 0) is None:
        raise Violation("L3", f"version {commit.version} waits for no person and will never be looked at again")
