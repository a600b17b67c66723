"""The exact order of compensation, in words: unfinished first, sequences backwards, branches and items side by side."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from saga import On, Saga, define
from saga.define import explain, explain_data
from tests.typing import onboarding as c

DAY = timedelta(days=1)
UNDO = c.RemoveSeat(email="a")


def add(s: Any, name: str, **words: Any) -> None:
    s.step(name, c.AddSeat(email="a"), undo=UNDO, **words)


def sentences(body: Callable[[Any, Any], None], path: str, *, deadline: timedelta = DAY) -> list[str]:
    """What the explanation says about one step or block: its line without the path, and its sentences."""

    def written(s: Saga, new: c.NewCustomer) -> None:
        body(s, new)

    lines = explain(define("t", version=1, deadline=deadline)(written).compiled).splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith((f"{path}:", f"{path} (")))
    last = next((index for index, line in enumerate(lines[first:], first) if not line), len(lines))
    return [lines[first].partition(": ")[2], *(line.strip() for line in lines[first + 1 : last])]


def branches(s: Any, _: Any) -> None:
    add(s, "before")
    with s.parallel("both") as branch:
        with branch("left"):
            add(s, "a")
            add(s, "b")
        with branch("right"):
            add(s, "c")
            add(s, "d")


def patient_branches(s: Any, _: Any) -> None:
    with s.parallel("both", on_failed=On.FINISH) as branch:
        with branch("left"):
            add(s, "a")
        with branch("right"):
            add(s, "b")


def first_branch(s: Any, _: Any) -> None:
    add(s, "before")
    with s.parallel("both", join=On.ANY) as branch:
        with branch("left"):
            add(s, "a")
            add(s, "b")
        with branch("right"):
            add(s, "c")
    add(s, "behind")


def items(s: Any, new: Any) -> None:
    add(s, "before")
    with s.each("seats", new.seats, limit=9, window=3):
        add(s, "a")
        add(s, "b")
    add(s, "behind")


def turns(s: Any, new: Any) -> None:
    with s.attempt("try", on=[On.LIMIT]), s.repeat("again", limit=3) as turn:
        add(s, "a")
        turn.until(new.large)
    add(s, "behind")


def scope(s: Any, _: Any) -> None:
    add(s, "before")
    with s.within("soon", timedelta(hours=2)):
        add(s, "a")
        add(s, "b", on_exhausted=On.COMPENSATE)


def after_pivot(s: Any, new: Any) -> None:
    add(s, "before")
    s.pivot("send", c.SendMail(send_to="a", subject="b", body="c"))
    s.gate("look", showing=new, roles=["boss"])
    with s.parallel("both") as branch:
        with branch("left"):
            s.signal("paid", c.PaymentArrived, within=timedelta(hours=1))
        with branch("right"):
            s.sleep("rest", timedelta(minutes=5))


@pytest.mark.parametrize(
    ("body", "path", "sentence"),
    [
        (
            branches,
            "d",
            (
                "If d fails with NoRoom, undo what is under way in the other branches of 'both' first, then"
                " side by side in 'both' (left: b (if it was done), a (if it was done); right: c), before;"
                " then the saga ends compensated."
            ),
        ),
        (
            patient_branches,
            "b",
            (
                "If b fails with NoRoom, undo side by side in 'both' (left: a (if it was done));"
                " then the saga ends compensated."
            ),
        ),
        (
            first_branch,
            "b",
            (
                "If b fails with NoRoom and no other branch of 'both' succeeds, undo"
                " side by side in 'both' (left: a; right: c (if it was done)), before; then the saga ends compensated."
            ),
        ),
        (
            first_branch,
            "behind",
            (
                "If behind fails with NoRoom, undo side by side in 'both' (left: b (if it was done), a (if it was done)"
                "; right: c (if it was done)), before; then the saga ends compensated."
            ),
        ),
        (
            items,
            "seats/b",
            (
                "If seats/b fails with NoRoom, undo what is under way for other items of 'seats' first, then"
                " for every item of 'seats', 3 at a time (seats/b (if it was done), seats/a (if it was done)), before;"
                " then the saga ends compensated."
            ),
        ),
        (
            items,
            "behind",
            (
                "If behind fails with NoRoom, undo for every item of 'seats', 3 at a time (seats/b, seats/a), before;"
                " then the saga ends compensated."
            ),
        ),
        (
            turns,
            "again",
            (
                "If again has had all its turns, undo for every turn of 'again', the last first (again/a);"
                " then go on behind 'try'."
            ),
        ),
        (
            turns,
            "behind",
            (
                "If behind fails with NoRoom, undo for every turn of 'again', the last first (again/a (if it was done))"
                "; then the saga ends compensated."
            ),
        ),
        (
            scope,
            "soon",
            (
                "If soon is not through in time, undo what is under way in 'soon' first, then b (if it was done),"
                " a (if it was done), before; then the saga ends compensated."
            ),
        ),
        (
            scope,
            "b",
            (
                "If b runs out of attempts or time, undo b (if its outcome is unknown), a, before;"
                " then the saga ends compensated."
            ),
        ),
        (after_pivot, "look", "If look is refused, it parks for an operator."),
        (after_pivot, "paid", "If paid does not come in time, it parks for an operator."),
    ],
)
def test_the_order_of_compensation_is_said_exactly(body: Callable[[Any, Any], None], path: str, sentence: str) -> None:
    """For every way a step or a block can fail."""
    assert sentence in sentences(body, path)


@pytest.mark.parametrize(
    ("body", "path", "line"),
    [
        (branches, "both", "side by side left, right; all must succeed; one failure ends the block"),
        (
            first_branch,
            "both",
            "side by side left, right; the first that succeeds counts, the others are undone before it goes on",
        ),
        (
            items,
            "seats",
            (
                "for every item of input.seats, at most 9, 3 at a time; one failure ends the block;"
                " a longer list parks for an operator"
            ),
        ),
        (turns, "again", "again until its condition holds, at most 3 turns"),
        (scope, "soon", "at most 2 h from here"),
        (after_pivot, "rest", "sleeps for 5 min"),
        (after_pivot, "look", "boss decides on NewCustomer"),
    ],
)
def test_every_block_says_what_it_does(body: Callable[[Any, Any], None], path: str, line: str) -> None:
    """One line each."""
    assert sentences(body, path)[0] == line


def test_waits_people_and_children_are_explained() -> None:
    """With every policy that was written down."""
    lines = explain(c.onboarding.compiled).splitlines()
    assert "  undone by saga.account.v2 as one unit; while it runs, it is cancelled" in lines
    assert "access: saga.account.v2, compensatable, inbox, until it has ended" in lines
    assert "  If access has undone itself, undo nothing; then the saga ends compensated." in lines
    assert "payment: waits for a signal 'paid' that fits, at most 3 d; then the saga goes on without it" in lines
    assert (
        "review: 2 of editor decide on mail.SendMail.v1, which send sends; not who asked for the saga;"
        " may change sendTo, body; reminded every 12 h;"
        " after 2 d head is asked too, for as long again; then silence is a refusal"
    ) in lines


def test_the_data_has_the_blocks_too() -> None:
    """Groups are nested; the rest is as for any step."""
    data = explain_data(c.onboarding.compiled)
    assert msgspec.json.decode(msgspec.json.encode(data)) == data
    kinds = {block["path"]: block["kind"] for block in data["blocks"]}
    assert kinds["payment"] == "signal"
    assert {"sleep", "approval", "parallel", "each", "repeat", "within"} < set(kinds.values())
    added = next(step for step in data["steps"] if step["path"] == "seats/add")
    [refused, _] = added["consequences"]
    group, access = refused["undo"]
    assert (group["block"], [s["name"] for s in group["sequences"]]) == ("both", ["machines", "seats-branch"])
    assert access["step"] == "access"
    assert refused["first"] == "what is under way for other items of 'seats'"
