"""Definitions with one mistake each in what branches, repeats, or runs against a clock."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from saga import On, coalesce
from tests.typing import onboarding as c

Body = Callable[[Any, Any], Any]
HOUR = timedelta(hours=1)
ADD, REMOVE = c.AddSeat(email="a"), c.RemoveSeat(email="a")
MAIL = c.SendMail(send_to="a", subject="b", body="c")
DRAFT = c.Draft(name="a")


def add(s: Any, name: str = "add") -> Any:
    return s.step(name, ADD, undo=REMOVE)


def mail(s: Any, to: Any, name: str = "send") -> Any:
    return s.pivot(name, c.SendMail(send_to=to, subject="b", body="c"))


# ------------------------------------------------------------------------------------------------------- branches


def one_branch(s: Any, o: Any) -> None:
    with s.parallel("both") as branch, branch("left"):
        add(s)


def no_branch(s: Any, o: Any) -> None:
    with s.parallel("both"):
        pass
    add(s)


def empty_branch(s: Any, o: Any) -> None:
    with s.parallel("both") as branch:
        with branch("left"):
            add(s)
        with branch("right"):
            pass


def branch_twice(s: Any, o: Any) -> None:
    with s.parallel("both") as branch:
        with branch("left"):
            add(s)
        with branch("left"):
            add(s, "again")


def branch_named_as_step(s: Any, o: Any) -> None:
    with s.parallel("both") as branch:
        with branch("left"):
            add(s)
        with branch("add"):
            add(s, "again")


def step_beside_branches(s: Any, o: Any) -> None:
    with s.parallel("both") as branch:
        add(s, "stray")
        with branch("left"):
            add(s)
        with branch("right"):
            add(s, "again")


def branch_behind(s: Any, o: Any) -> None:
    with s.parallel("both") as branch:
        with branch("left"):
            add(s)
        with branch("right"):
            add(s, "again")
    with branch("late"):
        add(s, "too-late")


def branch_in_branch(s: Any, o: Any) -> None:
    with s.parallel("both") as branch:
        with branch("left"):
            add(s)
            with branch("inner"):
                add(s, "again")
        with branch("right"):
            add(s, "third")


def sibling_read(s: Any, o: Any) -> None:
    with s.parallel("both") as branch:
        with branch("left"):
            added = add(s)
        with branch("right"):
            s.read("draft", c.Draft(name=added.id))


def first_one_read(s: Any, o: Any) -> None:
    with s.parallel("both", join=On.ANY) as branch:
        with branch("left"):
            added = add(s)
        with branch("right"):
            add(s, "again")
    mail(s, added.id)


def first_one_of_some(s: Any, o: Any) -> None:
    with s.parallel("both", join=On.ANY) as branch:
        with branch("left"):
            one = add(s)
        with branch("middle"):
            two = add(s, "again")
        with branch("right"):
            add(s, "third")
    mail(s, coalesce(one.id, two.id))


def policy_of_any(s: Any, o: Any) -> None:
    with s.parallel("both", join=On.ANY, on_failed=On.FINISH) as branch:
        with branch("left"):
            add(s)
        with branch("right"):
            add(s, "again")


def pivot_in_branch(s: Any, o: Any) -> None:
    with s.parallel("both") as branch:
        with branch("left"):
            mail(s, "a")
        with branch("right"):
            add(s)


def branch_unopened(s: Any, o: Any) -> None:
    with s.parallel("both") as branch:
        with branch("left"):
            add(s)
        with branch("right"):
            add(s, "again")
        branch("third")


def block_unopened(s: Any, o: Any) -> None:
    s.within("soon", HOUR)
    add(s)


def otherwise_unopened(s: Any, o: Any) -> None:
    with s.when(o.large) as large:
        add(s)
    large.otherwise()


# ---------------------------------------------------------------------------------------------------------- items


def no_limit(s: Any, o: Any) -> None:
    with s.each("seats", o.seats) as seat:
        s.step("add", c.AddSeat(email=seat.email), undo=REMOVE)


def great_limit(s: Any, o: Any) -> None:
    with s.each("seats", o.seats, limit=1_001):
        add(s)


def no_window(s: Any, o: Any) -> None:
    with s.each("seats", o.seats, limit=5, window=0):
        add(s)


def wide_window(s: Any, o: Any) -> None:
    with s.each("seats", o.seats, limit=5, window=6):
        add(s)


def no_list(s: Any, o: Any) -> None:
    with s.each("seats", o.name, limit=5):
        add(s)


def empty_each(s: Any, o: Any) -> None:
    with s.each("seats", o.seats, limit=5):
        pass
    add(s)


def key_of_all(s: Any, o: Any) -> None:
    with s.each("seats", o.seats, limit=5, key=lambda _: o.name):
        add(s)


def whole_key(s: Any, o: Any) -> None:
    with s.each("seats", o.seats, limit=5, key=lambda seat: seat):
        add(s)


def pivot_in_each(s: Any, o: Any) -> None:
    with s.each("seats", o.seats, limit=5) as seat:
        mail(s, seat.email)


def item_outside(s: Any, o: Any) -> None:
    with s.each("seats", o.seats, limit=5) as seat:
        add(s)
    mail(s, seat.email)


def reply_outside(s: Any, o: Any) -> None:
    with s.each("seats", o.seats, limit=5):
        added = add(s)
    mail(s, added.id)


def reply_outside_with_default(s: Any, o: Any) -> None:
    with s.each("seats", o.seats, limit=5):
        added = add(s)
    mail(s, coalesce(added.id, "none"))


def collect_of_input(s: Any, o: Any) -> None:
    with s.each("seats", o.seats, limit=5):
        add(s)
    s.pivot("send", c.SendMail(send_to="a", subject="b", body="c"))
    s.tag(x=s.collect(o.name))


def collect_inside(s: Any, o: Any) -> None:
    with s.each("seats", o.seats, limit=5):
        added = add(s)
        s.read("draft", c.Draft(name=s.collect(added.id)))


def collect_in_other_block(s: Any, o: Any) -> Any:
    with s.when(o.large), s.each("seats", o.seats, limit=5):
        added = add(s)
    return s.collect(added.id)


# -------------------------------------------------------------------------------------------------- turns, deadlines


def no_bound(s: Any, o: Any) -> None:
    with s.repeat("writing") as turn:
        turn.until(s.read("draft", DRAFT).good)


def many_turns(s: Any, o: Any) -> None:
    with s.repeat("writing", limit=1_001) as turn:
        turn.until(s.read("draft", DRAFT).good)


def no_until(s: Any, o: Any) -> None:
    with s.repeat("writing", limit=5):
        s.read("draft", DRAFT)


def two_untils(s: Any, o: Any) -> None:
    with s.repeat("writing", limit=5) as turn:
        draft = s.read("draft", DRAFT)
        turn.until(draft.good)
        turn.until(draft.good)


def until_behind(s: Any, o: Any) -> None:
    with s.repeat("writing", limit=5) as turn:
        draft = s.read("draft", DRAFT)
    turn.until(draft.good)


def no_pause(s: Any, o: Any) -> None:
    with s.repeat("writing", limit=5, pause=timedelta(0)) as turn:
        turn.until(s.read("draft", DRAFT).good)


def pivot_in_repeat(s: Any, o: Any) -> None:
    with s.repeat("writing", limit=5) as turn:
        mail(s, "a")
        turn.until(o.large)


def no_scope_time(s: Any, o: Any) -> None:
    with s.within("setup", timedelta(0)):
        add(s)


def scope_beyond_deadline(s: Any, o: Any) -> None:
    with s.within("setup", timedelta(days=2)):
        add(s)


def pivot_within(s: Any, o: Any) -> None:
    with s.within("setup", HOUR):
        mail(s, "a")


def within_after_pivot(s: Any, o: Any) -> None:
    mail(s, "a")
    with s.within("setup", HOUR):
        s.read("draft", DRAFT)


def retryable_given_up(s: Any, o: Any) -> None:
    mail(s, "a")
    with s.attempt("try", on=[On.DEADLINE]), s.within("setup", HOUR):
        s.retryable("tell", MAIL)


def retryable_beside_a_failure(s: Any, o: Any) -> None:
    mail(s, "a")
    with s.attempt("try", on=[On.DEADLINE]), s.parallel("both") as branch:
        with branch("left"):
            s.signal("payment", c.PaymentArrived, within=HOUR)
        with branch("right"):
            s.retryable("tell", MAIL)


def unraised_deadline(s: Any, o: Any) -> None:
    with s.attempt("try", on=[On.DEADLINE]):
        s.signal("payment", c.PaymentArrived)
        add(s)
