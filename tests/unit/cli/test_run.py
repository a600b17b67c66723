"""Orchestrators under a supervisor: how soon a dead one is followed by another."""

from saga.cli.run import RESTART_FIRST_SECONDS, RESTART_MAX_SECONDS, STEADY_SECONDS, pause_after
from tests.unit.cli.conftest import Type


def test_one_that_dies_of_its_start_is_started_ever_more_rarely() -> None:
    """Up to a limit."""
    pauses = [0.0]
    for _ in range(8):
        pauses.append(pause_after(pauses[-1], lived_seconds=1.0))
    assert pauses[1:4] == [RESTART_FIRST_SECONDS, 1.0, 2.0]
    assert pauses[-1] == RESTART_MAX_SECONDS


def test_one_that_had_run_for_long_is_started_again_at_once() -> None:
    """However often others died before it, weeks ago."""
    assert pause_after(RESTART_MAX_SECONDS, lived_seconds=STEADY_SECONDS) == RESTART_FIRST_SECONDS


def test_a_port_that_is_none_is_refused(saga: Type) -> None:
    """Before anything is started."""
    done = saga("run", "--processes", "2", "--health", "bogus")
    assert done.code == 1
    assert "SAGA-1007" in done.err
