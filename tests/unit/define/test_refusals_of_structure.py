"""What the build refuses of branches, items, turns, waits, approvals and sub-sagas: place, reason and fix."""

from typing import Any

import pytest

from saga import Command, DefinitionError, Effect, On, Saga, command, define
from tests.typing import onboarding as c
from tests.unit.define import mistakes_of_structure as m
from tests.unit.define import mistakes_of_waiting as w


def refused(body: m.Body) -> list[tuple[str, str, str]]:
    """Builds, and returns what was found."""

    def written(s: Saga, new: c.NewCustomer) -> None:
        result: None = body(s, new)
        return result

    with pytest.raises(DefinitionError) as failure:
        define("t", version=1)(written)
    return [(problem.place, problem.reason, problem.fix) for problem in failure.value.problems]


TABLE: list[tuple[m.Body, str, str, str]] = [
    (m.one_branch, "both", "has one branch", "two branches"),
    (m.no_branch, "both", "has no branch", "two branches"),
    (m.empty_branch, "both", "its branch 'right' is empty", "put a step into it"),
    (m.branch_twice, "left", "is used twice", "name of its own"),
    (m.branch_named_as_step, "add", "is used twice", "name of its own"),
    (m.step_beside_branches, "stray", "stands in 'both', but in none of its branches", "into a branch"),
    (m.branch_behind, "late", "is a branch of 'both', but stands behind it", "directly inside 'both'"),
    (m.branch_in_branch, "inner", "is a branch of 'both', but stands deeper inside it", "directly inside 'both'"),
    (m.sibling_read, "draft.name", "reads add.id, but 'add' belongs to another branch of 'both'", "behind 'both'"),
    (m.first_one_read, "send.send_to", "absent when another branch of 'both' came first", "coalesce(x, default)"),
    (m.first_one_of_some, "send.send_to", "may be null", "coalesce(x, default)"),
    (m.policy_of_any, "both", "on_failed= says nothing with join=On.ANY", "remove on_failed="),
    (m.pivot_in_branch, "send", "is a pivot inside 'both', whose other branches could not be undone", "behind"),
    (m.branch_unopened, "third", "branch(...) is written without 'with'", "with branch(...): ..."),
    (m.block_unopened, "soon", "s.within(...) is written without 'with'", "with s.within(...): ..."),
    (m.otherwise_unopened, "when-1", "x.otherwise() is written without 'with'", "with x.otherwise(): ..."),
    (m.no_limit, "seats", "limit=None is no bound", "limit=1 to 1000"),
    (m.great_limit, "seats", "limit=1001 is no bound", "limit=1 to 1000"),
    (m.no_window, "seats", "window=0 is no bound", "window=1 to 5"),
    (m.wide_window, "seats", "window=6 is no bound", "window=1 to 5"),
    (m.empty_each, "seats", "its block is empty", "put a step into it"),
    (m.key_of_all, "seats", "its key reads nothing of the item", "key=lambda seat: seat.email"),
    (m.whole_key, "seats", "its key seats is no scalar", "key=lambda seat: seat.email"),
    (m.pivot_in_each, "seats/send", "once for every item", "behind the block"),
    (m.item_outside, "send.send_to", "reads seats.email, but there is one for every item of 'seats'", "s.collect("),
    (m.reply_outside, "send.send_to", "reads seats/add.id, but there is one for every item", "s.collect("),
    (m.reply_outside_with_default, "send.send_to", "reads seats/add.id, but there is one for every item", "s.collect("),
    (m.no_bound, "writing", "limit=None is no bound", "limit=1 to 1000"),
    (m.many_turns, "writing", "limit=1001 is no bound", "limit=1 to 1000"),
    (m.no_until, "writing", "does not say when it is done", "turn.until(...)"),
    (m.two_untils, "writing", "has two until", "all_of(...)"),
    (m.no_pause, "writing", "pause=0:00:00 is no time", "positive"),
    (m.pivot_in_repeat, "writing/send", "in every turn", "behind the block"),
    (m.no_scope_time, "setup", "time=0:00:00 is no time", "positive"),
    (m.scope_beyond_deadline, "setup", "longer than the saga's deadline of 1 day", "deadline= of define"),
    (m.pivot_within, "send", "which gives up when its time is over", "behind the block"),
    (m.within_after_pivot, "setup", "after the pivot 'send' there is no way back", "on=[On.DEADLINE]"),
    (m.retryable_given_up, "tell", "'setup' may give it up half done", "behind the block"),
    (m.retryable_beside_a_failure, "tell", "'both' may give it up half done", "behind the block"),
    (m.unraised_deadline, "try", "on names deadline, which no step inside can raise", "remove deadline"),
    (w.negative_sleep, "cool-off", "time=-1 day, 0:00:00 is no time", "a positive time"),
    (w.endless_sleep, "cool-off", "time=4000 days, 0:00:00 is no time", "at most 3660 days"),
    (w.sleep_of_text, "cool-off", "input.name is str, not timedelta", "pass a value that is"),
    (w.until_without_zone, "start", "has no time zone", "tzinfo=UTC"),
    (w.where_of_nothing, "payment", "its where= reads nothing of the signal", "where=lambda paid:"),
    (w.signal_of_two_types, "other", "waits for the signal 'paid' as Other, another wait as Payment", "one type"),
    (w.signal_name, "payment", "'paid.now' does not fit a routing key", "a letter, then"),
    (w.signal_of_text, "payment", "str is no msgspec.Struct", "PaymentArrived"),
    (w.late_without_time, "payment", "says what to do when it is late, but not when", "within=timedelta"),
    (w.late_for_nothing, "payment.on_late", "is not possible here", "On.PARK or On.CONTINUE"),
    (w.late_after_pivot, "payment", "after the pivot 'send', where nothing is undone", "On.PARK or On.CONTINUE"),
    (w.no_signal_time, "payment", "within=0:00:00", "positive"),
    (w.signal_may_be_absent, "send.send_to", "absent when the signal of 'payment' did not come in time", "coalesce("),
    (w.block_named_signal, "signal", "means the signal that a wait looks at", "name of its own"),
    (w.no_roles, "review", "names no roles: nobody could decide", 'roles=["editor"]'),
    (w.roles_left_out, "review", "names no roles: nobody could decide", 'roles=["editor"]'),
    (w.role_twice, "review", "names the role 'editor' twice", "once"),
    (w.empty_role, "review", "' ' is no role", "a name of at most 64"),
    (w.never_sent, "review", "is approved, but never sent", "letter.subject"),
    (w.sent_twice, "review", "is sent by send and again", "another approval"),
    (w.sent_for_every_item, "seats/add", "is sent for every item or turn of 'seats'", "inside the block"),
    (w.sent_in_other_branch, "send", "reads review.subject, which is absent when 'when-1'", "into the same block"),
    (w.edit_of_input, "review", "<placeholder input.name>, which is no field of SendMail", "(mail.subject"),
    (w.edit_of_nothing, "review", "edit= names no fields", "edit=lambda mail:"),
    (w.silence_after_pivot, "review", "On.COMPENSATE after the pivot 'send'", "Escalate(to=[...])"),
    (w.silence_without_expiry, "review", "but never expires", "expires=timedelta(...)"),
    (w.escalate_to_nobody, "review", "names no roles to escalate to", '["editor"]'),
    (w.escalate_to_the_same, "review", "escalates to roles that were asked before", "name others"),
    (w.escalate_without_expiry, "review", "but never expires", "expires=timedelta(...)"),
    (w.strange_silence, "review.on_expiry", "is not possible here", "On.REJECT, On.COMPENSATE or Escalate"),
    (w.no_quorum, "review", "quorum=0", "1 to 100"),
    (w.no_expiry_time, "review", "expires=0:00:00", "positive"),
    (w.late_reminder, "review", "comes only after it has expired", "remind sooner"),
    (w.waived_approver, "draft.name", "review.approver may be null", "coalesce(x, default)"),
    (w.child_without_undo, "access", "says nothing about its undo", "undo=On.CANCEL"),
    (w.child_without_reason, "access", "no_undo without a reason", "operators read it"),
    (w.child_undone_by_command, "access", "is not possible for a sub-saga", "undo=On.CANCEL"),
    (w.child_with_pivot, "onboard", "passes a point of no return ('send')", "s.pivot_child(...)"),
    (w.child_of_other_input, "access", "input is NewCustomer, not Hire", "pass a value that is"),
    (w.no_definition, "access", "Hire is no definition", "what @define made"),
    (w.child_after_pivot, "access", "stands after the pivot 'send'", "s.retryable"),
    (w.second_pivot_child, "access", "is a second pivot after 'send'", "one point of no return"),
    (w.early_retryable_child, "access", "is retryable, but no pivot comes before it", "s.pivot"),
    (w.circle, "middle", "runs in a circle: t -> middle -> t", "its own sub-saga"),
    (w.deep, "deepest", "is nested 9 sagas deep, at most 8", "side by side"),
    (w.two_of_one_version, "two", "embeds same v1, another child embeds one with other content", "new version"),
]


@pytest.mark.parametrize(("body", "place", "reason", "fix"), TABLE, ids=[row[0].__name__ for row in TABLE])
def test_a_mistake_is_refused_with_place_reason_and_fix(body: m.Body, place: str, reason: str, fix: str) -> None:
    """Exactly one problem, and it says what to do."""
    found = refused(body)
    assert [problem[0] for problem in found] == [place], found
    assert reason in found[0][1]
    assert fix in found[0][2]


@pytest.mark.parametrize("body", [m.collect_of_input, m.collect_inside, m.collect_in_other_block])
def test_only_values_of_items_that_are_over_are_collected(body: m.Body) -> None:
    """Behind the block, in a place that is reached only if the block was."""
    assert any("collects" in reason and "block" in fix for _, reason, fix in refused(body))


def test_a_loop_is_ended_from_inside() -> None:
    """Behind it, there is no turn any more."""
    reasons = [reason for _, reason, _ in refused(m.until_behind)]
    assert reasons == ["does not say when it is done", "its until does not stand directly inside it"]


def test_a_list_is_a_list() -> None:
    """Whatever else is wrong with it then."""
    assert refused(m.no_list)[0][:2] == ("seats", "input.name is no list")


def test_a_field_that_the_command_does_not_have_cannot_be_edited() -> None:
    """Type checkers find it too."""

    def body(s: Any, _: Any) -> None:
        s.pivot("send", s.approval("review", m.MAIL, edit=lambda mail: (mail.color,), **w.ASKED).subject)

    assert refused(body)[0][:2] == ("SendMail", "has no field 'color': it is SendMail")


def test_what_was_approved_undoes_nothing() -> None:
    """A permit is for the step that goes forward."""

    def body(s: Any, _: Any) -> None:
        letter = s.approval("review", m.REMOVE, **w.ASKED)
        s.step("add", m.ADD, undo=letter.subject)

    assert refused(body) == [("add", "is undone by review.subject", "write the command: Refund(...)")]


def test_what_a_gate_shows_is_not_sent() -> None:
    """Only `approval` binds a permit to a command."""

    def body(s: Any, _: Any) -> None:
        s.pivot("send", s.gate("review", showing=m.MAIL, **w.ASKED).subject)

    assert refused(body)[0][:2] == ("send", "its command is review.subject")


def test_the_engines_own_service_is_reserved() -> None:
    """A team that names its service `saga` would answer for the engine."""
    with pytest.raises(TypeError, match="'saga' is the engine's own"):

        @command(service="saga", effect=Effect.INBOX)
        class Mine(Command[c.Done], frozen=True):
            pass


def test_a_signal_is_seen_only_by_its_condition() -> None:
    """Kept for later, it leads nowhere."""
    leaked: list[Any] = []

    def fits(paid: Any) -> Any:
        leaked.append(paid)
        return paid.ref == "x"

    def body(s: Any, _: Any) -> None:
        s.signal("payment", c.PaymentArrived, where=fits)
        m.mail(s, leaked[-1].ref)

    assert refused(body)[0][1] == "reads signal.ref, which is not known here"


def test_a_path_must_fit_the_wire() -> None:
    """With the index of every item."""

    def body(s: Any, new: Any) -> None:
        with s.each("a" * 64, new.seats, limit=1), s.each("b" * 64, new.seats, limit=1):
            m.add(s, "c" * 62)
            m.add(s, "d" * 60)

    assert [(place[-62:-60], reason) for place, reason, _ in refused(body)] == [
        ("cc", "its path would be longer than 200 characters in a run")
    ]


def test_branches_may_be_many_and_deep() -> None:
    """Right: a choice of every branch, a list of lists, the first of any reason."""

    def written(s: Saga, new: c.NewCustomer) -> None:
        with s.attempt("try", on=[On.COMPENSATED, On.LIMIT]):
            s.child("access", c.account, c.Hire(name=new.name), undo=On.WAIT)
            with s.repeat("again", limit=2) as turn:
                turn.until(s.read("draft", m.DRAFT).good)
        with s.each("outer", new.seats, limit=3), s.each("inner", new.seats, limit=3) as seat:
            added = s.step("add", c.AddSeat(email=seat.email), undo=m.REMOVE)
        s.gate("look", showing=s.collect(s.collect(added.id)), roles=["editor"])

    assert define("t", version=1)(written).compiled.reads["outer/inner/add.id"] == "str"
