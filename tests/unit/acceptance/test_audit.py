"""The auditor of the acceptance run finds what is planted, and nothing else."""

import itertools

import msgspec
import pytest

from tests.acceptance.audit import Asked, Effect, End, Evidence, Kill, audit

_CLOCK = itertools.count(1)
AMOUNTS = {"reserve": 2, "charge": 500, "invoice": 500}
SERVICES = {"reserve": "inventory", "charge": "payments", "invoice": "payments", "book": "shipping", "confirm": "mail"}


def did(order: str, *steps: str) -> list[Effect]:
    """Effects in the order given; `-charge` undoes."""
    effects = []
    for word in steps:
        step = word.removeprefix("-")
        at = next(_CLOCK)
        effects.append(
            Effect(
                service=SERVICES.get(step, "nobody"),
                step=step,
                kind="undo" if word.startswith("-") else "do",
                key=f"{order}/{word}/{at}",
                order=order,
                at_ns=at,
                sequence=1,
                amount=AMOUNTS.get(step, 0),
            )
        )
    return effects


def ended(order: str, status: str, step: str = "") -> End:
    doubt = {"step": step, "code": "in-doubt", "issued_ns": 100, "parked_ns": 200} if step else {}
    return msgspec.convert({"order": order, "saga": f"saga-{order}", "status": status, **doubt}, End)


def evidence_of(effects: list[Effect], ends: list[End]) -> Evidence:
    """Books and shelf that agree with the effects."""
    paid = sum((1 if e.kind == "do" else -1) * e.amount for e in effects if e.service == "payments")
    held = sum((1 if e.kind == "do" else -1) * e.amount for e in effects if e.service == "inventory")
    return Evidence(
        asked=tuple(Asked(order=e.order, saga=e.saga, total_cents=500, unit_count=2) for e in ends),
        ends=tuple(ends),
        effects=tuple(effects),
        missing_units=held,
        held_units=held,
        balances={"card:ann": -paid, "sales": paid},
        entries=(("t1", "card:ann", -paid), ("t1", "sales", paid)),
        kills=(Kill(process="notifications", at_ns=150),),
    )


def clean() -> Evidence:
    """Five orders that went well, each in its own way."""
    return evidence_of(
        [
            *did("done", "reserve", "charge", "book", "confirm"),
            *did("billed", "reserve", "invoice", "book", "confirm"),
            *did("undone", "reserve", "charge", "-charge", "-reserve"),
            *did("doubt", "reserve", "charge", "book"),
            *did("other-way", "reserve", "charge", "-charge", "invoice", "book", "confirm"),
        ],
        [
            ended("done", "completed"),
            ended("billed", "completed"),
            ended("undone", "compensated"),
            ended("doubt", "parked", "confirm"),
            ended("other-way", "completed"),
            ended("refused-at-once", "compensated"),
        ],
    )


def found(evidence: Evidence) -> set[tuple[str, str]]:
    return {(problem.check, problem.order) for problem in audit(evidence).problems}


def test_a_good_run_is_clean_and_counted() -> None:
    """Completed, billed, undone, doubtful and never-begun orders raise no problem."""
    report = audit(clean())
    assert report.problems == ()
    assert report.clean
    assert report.counts["completed"] == 3
    assert report.counts["compensated"] == 2
    assert report.counts["do charge"] == 4
    assert report.counts["undone orders"] == 2


@pytest.mark.parametrize(
    ("status", "steps", "problems"),
    [
        ("completed", ["reserve", "charge", "book"], {"ends_match_effects"}),
        ("completed", ["reserve", "book", "confirm"], {"ends_match_effects"}),
        ("completed", ["reserve", "charge", "invoice", "book", "confirm"], {"ends_match_effects"}),
        ("completed", ["reserve", "charge", "charge", "book", "confirm"], {"no_effect_stands_twice"}),
        ("compensated", ["reserve", "charge", "-charge"], {"ends_match_effects"}),
        ("compensated", ["reserve", "charge", "-reserve", "-charge"], {"undone_in_reverse"}),
        ("compensated", ["reserve", "-reserve", "-reserve"], {"no_effect_stands_twice"}),
        ("compensated", ["-charge"], {"no_effect_stands_twice"}),
        ("compensated", ["reserve", "charge", "-charge", "-reserve", "book"], {"ends_match_effects"}),
        ("running", ["reserve"], {"every_accepted_order_ended"}),
        ("abandoned", [], {"every_accepted_order_ended"}),
        ("parked", ["reserve", "charge", "book"], {"every_accepted_order_ended"}),
        ("compensated", ["gift", "-gift"], {"no_orphans"}),
    ],
)
def test_what_is_planted_is_found(status: str, steps: list[str], problems: set[str]) -> None:
    """One order gone wrong among good ones is named by exactly the checks that watch for it."""
    good = clean()
    wrong = evidence_of([*good.effects, *did("wrong", *steps)], [*good.ends, ended("wrong", status, "book")])
    assert found(wrong) == {(problem, "wrong") for problem in problems}


def test_the_same_effect_under_the_same_key_is_found() -> None:
    """A line that is in a ledger twice is an effect that happened twice."""
    good = clean()
    again = msgspec.structs.replace(good.effects[1], at_ns=next(_CLOCK))
    assert ("no_effect_twice", "done") in found(evidence_of([*good.effects, again], list(good.ends)))


def test_an_effect_for_an_order_nobody_knows_is_found() -> None:
    """An orphan is named with the service that has it."""
    good = clean()
    assert found(evidence_of([*good.effects, *did("nobody", "book")], list(good.ends))) == {("no_orphans", "nobody")}


@pytest.mark.parametrize(
    "kills", [(), (Kill(process="notifications", at_ns=201),), (Kill(process="shipping", at_ns=150),)]
)
def test_a_doubt_that_no_kill_explains_is_found(kills: tuple[Kill, ...]) -> None:
    """Only a kill of the service that was asked, while it was asked, explains a doubt."""
    unexplained = msgspec.structs.replace(clean(), kills=kills)
    assert found(unexplained) == {("every_doubt_is_explained", "doubt")}


def test_a_step_parked_for_another_reason_is_found() -> None:
    """A doubt is a doubt; anything else at that step is a problem."""
    good = clean()
    ends = [msgspec.structs.replace(end, code="exhausted") if end.step else end for end in good.ends]
    assert found(evidence_of(list(good.effects), ends)) == {("every_doubt_is_explained", "doubt")}


def test_a_lost_order_is_found() -> None:
    """An order that was accepted and is no saga is the worst of all."""
    good = clean()
    lost = Asked(order="lost", saga="saga-lost", total_cents=500, unit_count=2)
    assert found(msgspec.structs.replace(good, asked=(*good.asked, lost))) == {("every_accepted_order_ended", "lost")}


def test_one_order_as_two_sagas_is_found() -> None:
    """Two sagas for one business key are named."""
    good = clean()
    twin = msgspec.structs.replace(good.ends[0], saga="saga-twin")
    assert found(msgspec.structs.replace(good, ends=(*good.ends, twin))) == {("one_order_is_one_saga", "done")}


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"balances": {"card:ann": -2000, "sales": 1999}}, "money_is_right"),
        ({"balances": {"card:ann": -2001, "sales": 2001}}, "money_is_right"),
        ({"entries": (("t1", "card:ann", -2000), ("t2", "sales", 2000))}, "money_is_right"),
        ({"missing_units": 9}, "stock_is_right"),
        ({"missing_units": 9, "held_units": 9}, "stock_is_right"),
    ],
)
def test_books_that_do_not_add_up_are_found(change: dict[str, object], check: str) -> None:
    """Money and stock are compared with the standing effects."""
    good = clean()
    assert good.balances == {"card:ann": -2000, "sales": 2000}
    wrong = msgspec.convert({**msgspec.structs.asdict(good), **change}, Evidence, from_attributes=True)
    assert found(wrong) == {(check, "")}


def test_an_order_that_paid_anothers_total_is_found() -> None:
    """Amounts are compared with what was asked, so that two mistakes cannot cancel out."""
    good = clean()
    more = msgspec.structs.replace(good.effects[1], amount=600)
    less = msgspec.structs.replace(good.effects[5], amount=400)
    effects = [more if e is good.effects[1] else less if e is good.effects[5] else e for e in good.effects]
    assert found(msgspec.structs.replace(good, effects=tuple(effects))) == {
        ("amounts_are_those_asked", "done"),
        ("amounts_are_those_asked", "billed"),
    }
