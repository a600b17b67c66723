"""The explanation says, for each way a step can fail, what is undone in which order, and what comes next."""

import msgspec

from saga.contract import Effect
from saga.core.definition import Step, StepKind
from saga.define.explain import CARRIED_OUT_ONCE, Consequence, explain, explain_data, explained_steps
from saga.define.undo_order import Undone
from tests.typing.orders import order

STEPS = {step.path: step for step in explained_steps(order.compiled)}


def undone(consequence: Consequence) -> list[tuple[str, str]]:
    """Steps and their conditions, in order."""
    return [(undo.step, undo.condition) for undo in consequence.undo if isinstance(undo, Undone)]


def test_a_failed_pivot_undoes_what_was_done_newest_first() -> None:
    """What stands in a block that may not have been taken is undone if it was done."""
    [refused] = STEPS["book"].consequences
    maybe = "if it was done"
    assert refused.reason == "CourierRefused"
    assert undone(refused) == [("wrap", maybe), ("invoice", maybe), ("charge", maybe), ("reserve", "")]
    assert refused.then == "the saga ends compensated"


def test_an_attempt_is_undone_alone_and_goes_on_another_way() -> None:
    """Only what was done, or may have been done, inside it; a failure it does not name compensates the saga."""
    declined, limit, exhausted = STEPS["charge"].consequences
    assert (declined.reason, undone(declined)) == ("CardDeclined", [])
    assert (limit.reason, undone(limit)) == ("LimitReached", [("reserve", "")])
    assert undone(exhausted) == [("charge", "if its outcome is unknown")]
    assert declined.then == exhausted.then == "go on with the otherwise of 'pay'"


def test_exhaustion_parks_and_the_end_cannot_fail() -> None:
    """Defaults are explained, not hidden."""
    assert [c.then for c in STEPS["quote"].consequences] == ["parks for an operator"]
    assert STEPS["confirm"].consequences == ()
    assert STEPS["confirm"].kind is StepKind.RETRYABLE


def test_the_text_reads_as_sentences() -> None:
    """What `saga explain` prints."""
    lines = explain(order.compiled).splitlines()
    assert lines[:2] == ["order v3: PlaceOrder -> OrderPlaced", "  deadline 1 d; point of no return: book"]
    assert "  If charge fails with LimitReached, undo reserve; then the saga ends compensated." in lines
    assert "  If quote runs out of attempts or time, it parks for an operator." in lines
    assert f"  {CARRIED_OUT_ONCE}" in lines
    assert "at most 5 times within 1 h, 30 s each, waiting 1 s to 5 min" in explain(order.compiled)


def test_only_a_step_that_may_be_repeated_is_said_to_be() -> None:
    """Explaining `at_most_once` as repeated would promise a second mail."""
    confirm = order.compiled.blocks[-1]
    assert isinstance(confirm, Step)
    assert explained_steps(order.compiled)[-1].attempts == "carried out once, asked again every 30 s"
    inbox = msgspec.structs.replace(confirm.command, effect=Effect.INBOX)
    last = msgspec.structs.replace(confirm, command=inbox)
    lines = explain(msgspec.structs.replace(order.compiled, blocks=(*order.compiled.blocks[:-1], last))).splitlines()
    assert "  It cannot fail: it is repeated until it is done." in lines


def test_the_data_is_json() -> None:
    """For tools: the same facts, with hash, reads and advice."""
    data = explain_data(order.compiled)
    assert msgspec.json.decode(msgspec.json.encode(data)) == data
    assert (data["hash"], data["pivot"], data["lints"]) == (order.hash, ["book"], [])
    assert [step["path"] for step in data["steps"]] == list(STEPS)
