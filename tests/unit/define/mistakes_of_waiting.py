"""Definitions with one mistake each in what waits, asks people, or nests."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from saga import On, define, no_undo
from saga.core.bounds import CHILD_DEPTH_MAX
from saga.define import Definition, Escalate
from tests.typing import onboarding as c
from tests.unit.define.mistakes_of_structure import ADD, HOUR, MAIL, REMOVE, add, mail

HIRE = c.Hire(name="a")
ASKED: dict[str, Any] = {"roles": ["editor"]}


class Other(msgspec.Struct, frozen=True):
    """Another signal."""

    customer: str


# ---------------------------------------------------------------------------------------------------------- waits


def negative_sleep(s: Any, o: Any) -> None:
    s.sleep("cool-off", timedelta(days=-1))
    add(s)


def endless_sleep(s: Any, o: Any) -> None:
    s.sleep("cool-off", timedelta(days=4_000))
    add(s)


def sleep_of_text(s: Any, o: Any) -> None:
    s.sleep("cool-off", o.name)
    add(s)


def until_without_zone(s: Any, o: Any) -> None:
    s.sleep_until("start", datetime(2027, 1, 1))  # noqa: DTZ001 - the mistake
    add(s)


def where_of_nothing(s: Any, o: Any) -> None:
    s.signal("payment", c.PaymentArrived, where=lambda _: o.large)
    add(s)


def signal_of_two_types(s: Any, o: Any) -> None:
    s.signal("payment", c.PaymentArrived, name="paid")
    s.signal("other", Other, name="paid")
    add(s)


def signal_name(s: Any, o: Any) -> None:
    s.signal("payment", c.PaymentArrived, name="paid.now")
    add(s)


def signal_of_text(s: Any, o: Any) -> None:
    s.signal("payment", str)
    add(s)


def late_without_time(s: Any, o: Any) -> None:
    s.signal("payment", c.PaymentArrived, on_late=On.PARK)
    add(s)


def late_for_nothing(s: Any, o: Any) -> None:
    s.signal("payment", c.PaymentArrived, within=HOUR, on_late=On.HOLD)
    add(s)


def late_after_pivot(s: Any, o: Any) -> None:
    mail(s, "a")
    s.signal("payment", c.PaymentArrived, within=HOUR, on_late=On.COMPENSATE)


def no_signal_time(s: Any, o: Any) -> None:
    s.signal("payment", c.PaymentArrived, within=timedelta(0))
    add(s)


def signal_may_be_absent(s: Any, o: Any) -> None:
    paid = s.signal("payment", c.PaymentArrived, within=HOUR, on_late=On.CONTINUE)
    mail(s, paid.ref)


def block_named_signal(s: Any, o: Any) -> None:
    add(s, "signal")


# --------------------------------------------------------------------------------------------------------- people


def no_roles(s: Any, o: Any) -> None:
    s.pivot("send", s.approval("review", MAIL, roles=[]).subject)


def roles_left_out(s: Any, o: Any) -> None:
    s.gate("review", showing=o)
    add(s)


def role_twice(s: Any, o: Any) -> None:
    s.gate("review", showing=o, roles=["editor", "editor"])
    add(s)


def empty_role(s: Any, o: Any) -> None:
    s.gate("review", showing=o, roles=[" "])
    add(s)


def never_sent(s: Any, o: Any) -> None:
    s.approval("review", MAIL, **ASKED)
    add(s)


def sent_twice(s: Any, o: Any) -> None:
    letter = s.approval("review", MAIL, **ASKED)
    s.pivot("send", letter.subject)
    s.retryable("again", letter.subject)


def sent_for_every_item(s: Any, o: Any) -> None:
    letter = s.approval("review", ADD, **ASKED)
    with s.each("seats", o.seats, limit=5):
        s.step("add", letter.subject, undo=REMOVE)


def sent_in_other_branch(s: Any, o: Any) -> None:
    with s.when(o.large):
        letter = s.approval("review", MAIL, **ASKED)
    s.pivot("send", letter.subject)


def edit_of_input(s: Any, o: Any) -> None:
    s.pivot("send", s.approval("review", MAIL, edit=lambda _: (o.name,), **ASKED).subject)


def edit_of_nothing(s: Any, o: Any) -> None:
    s.pivot("send", s.approval("review", MAIL, edit=lambda _: (), **ASKED).subject)


def silence_after_pivot(s: Any, o: Any) -> None:
    mail(s, "a")
    s.gate("review", showing=o, expires=HOUR, on_expiry=On.COMPENSATE, **ASKED)


def silence_without_expiry(s: Any, o: Any) -> None:
    s.gate("review", showing=o, on_expiry=On.COMPENSATE, **ASKED)
    add(s)


def escalate_to_nobody(s: Any, o: Any) -> None:
    s.gate("review", showing=o, expires=HOUR, on_expiry=Escalate(to=[]), **ASKED)
    add(s)


def escalate_to_the_same(s: Any, o: Any) -> None:
    s.gate("review", showing=o, expires=HOUR, on_expiry=Escalate(to=["editor"]), **ASKED)
    add(s)


def escalate_without_expiry(s: Any, o: Any) -> None:
    s.gate("review", showing=o, on_expiry=Escalate(to=["head"]), **ASKED)
    add(s)


def strange_silence(s: Any, o: Any) -> None:
    s.gate("review", showing=o, expires=HOUR, on_expiry=On.PARK, **ASKED)
    add(s)


def no_quorum(s: Any, o: Any) -> None:
    s.gate("review", showing=o, quorum=0, **ASKED)
    add(s)


def no_expiry_time(s: Any, o: Any) -> None:
    s.gate("review", showing=o, expires=timedelta(0), **ASKED)
    add(s)


def late_reminder(s: Any, o: Any) -> None:
    s.gate("review", showing=o, expires=HOUR, remind=HOUR, **ASKED)
    add(s)


def waived_approver(s: Any, o: Any) -> None:
    letter = s.approval("review", MAIL, when=o.large, **ASKED)
    s.read("draft", c.Draft(name=letter.approver))
    s.pivot("send", letter.subject)


def gate_sends(s: Any, o: Any) -> None:
    s.approval("review", o, **ASKED)
    add(s)


# ------------------------------------------------------------------------------------------------------- children


def child_without_undo(s: Any, o: Any) -> None:
    s.child("access", c.account, HIRE)


def child_without_reason(s: Any, o: Any) -> None:
    s.child("access", c.account, HIRE, undo=no_undo(" "))


def child_undone_by_command(s: Any, o: Any) -> None:
    s.child("access", c.account, HIRE, undo=REMOVE)


def child_with_pivot(s: Any, o: Any) -> None:
    s.child("onboard", c.onboarding, o, undo=On.CANCEL)


def child_of_other_input(s: Any, o: Any) -> None:
    s.child("access", c.account, o, undo=On.CANCEL)


def no_definition(s: Any, o: Any) -> None:
    s.child("access", HIRE, o, undo=On.CANCEL)


def child_after_pivot(s: Any, o: Any) -> None:
    mail(s, "a")
    s.child("access", c.account, HIRE, undo=On.CANCEL)


def second_pivot_child(s: Any, o: Any) -> None:
    mail(s, "a")
    s.pivot_child("access", c.account, HIRE)


def early_retryable_child(s: Any, o: Any) -> None:
    s.retryable_child("access", c.account, HIRE)


def around(name: str, child: Definition[Any, Any], version: int = 1) -> Definition[Any, Any]:
    """A definition with one step, which is the child."""

    def written(s: Any, hire: c.Hire) -> c.AccountReady:
        ready: c.AccountReady = s.child("inner", child, hire, undo=On.CANCEL)
        return ready

    return define(name, version=version)(written)


def circle(s: Any, o: Any) -> None:
    """`t` is the name under which the tests build."""
    s.child("middle", around("middle", around("t", c.account)), HIRE, undo=On.CANCEL)


def deep(s: Any, o: Any) -> None:
    child: Definition[Any, Any] = c.account
    for level in range(CHILD_DEPTH_MAX):
        child = around(f"level-{level}", child)
    s.child("deepest", child, HIRE, undo=On.CANCEL)


def two_of_one_version(s: Any, o: Any) -> None:
    s.child("one", around("same", c.account), HIRE, undo=On.CANCEL)
    s.child("two", around("same", around("between", c.account)), HIRE, undo=On.CANCEL)
