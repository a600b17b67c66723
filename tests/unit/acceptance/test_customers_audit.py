"""The auditor of customers finds what is planted, and nothing else."""

import itertools
from collections.abc import Sequence

import msgspec
import pytest

from tests.acceptance import audit
from tests.acceptance.audit import Asked, Effect, End, Kill
from tests.acceptance.customers_audit import AFTER, Evidence, audited, cloud_effects

_CLOCK = itertools.count(1)
ALL = tuple(AFTER)
TURNED_BACK = (
    "register",
    "charge",
    "network",
    "mailbox",
    "machine",
    "-machine",
    "-mailbox",
    "-network",
    "-charge",
    "-register",
)
FEE = 500


def did(who: str, *steps: str) -> list[Effect]:
    """Effects in the order given; `-charge` undoes."""
    return [
        Effect(
            service="payments" if word.endswith("charge") else "someone",
            step=word.removeprefix("-"),
            kind="undo" if word.startswith("-") else "do",
            key=f"{who}/{word}/{(at := next(_CLOCK))}",
            order=who,
            at_ns=at,
            sequence=1,
            amount=FEE if word.endswith("charge") else 0,
        )
        for word in steps
    ]


def ended(who: str, status: str, **doubt: object) -> End:
    return msgspec.convert({"order": who, "saga": f"saga-{who}", "status": status, **doubt}, End)


def evidence(effects: Sequence[Effect], *ends: End) -> Evidence:
    """Books and tables that agree with the effects."""
    sums = {step: sum((e.kind == "do") - (e.kind == "undo") for e in effects if e.step == step) for step in ALL}
    paid = sums["charge"] * FEE
    return Evidence(
        general=audit.Evidence(
            asked=tuple(Asked(order=e.order, saga=e.saga, total_cents=FEE, unit_count=0) for e in ends),
            ends=ends,
            effects=tuple(effects),
            missing_units=0,
            held_units=0,
            balances={"card:ann": -paid, "sales": paid},
            entries=(("t1", "card:ann", -paid), ("t1", "sales", paid)),
            kills=(Kill(process="notifications", at_ns=150),),
        ),
        open_accounts=sums["register"],
        open_mailboxes=sums["mailbox"],
    )


def found(judged: Evidence) -> set[str]:
    return {problem.check for problem in audited(judged).problems}


def test_what_went_well_is_clean() -> None:
    """Completed, undone with the branches side by side, refused at once, and in doubt about a mail."""
    doubt = {"step": "welcome", "code": "in-doubt", "issued_ns": 100, "parked_ns": 200}
    effects = did("a", *ALL) + did("b", *TURNED_BACK) + did("d", *ALL[:-1])
    ends = [
        ended("a", "completed"),
        ended("b", "compensated"),
        ended("c", "compensated"),
        ended("d", "parked", **doubt),
    ]
    report = audited(evidence(effects, *ends))
    assert report.problems == ()
    assert (report.counts["do machine"], report.counts["undo machine"], report.counts["kills"]) == (3, 1, 1)


@pytest.mark.parametrize(
    ("steps", "status", "check"),
    [
        (("register", "charge", "network", "machine", "-network", "-machine", "-charge", "-register"), "compensated",
         "in_an_allowed_order"),
        (("register", "charge", "mailbox", "-charge", "-mailbox", "-register"), "compensated", "in_an_allowed_order"),
        (("register", "network", "-network", "-register"), "compensated", "in_an_allowed_order"),
        (TURNED_BACK[:-1], "compensated", "ends_match_effects"),
        (ALL[:-2], "completed", "ends_match_effects"),
        ((*ALL, "machine"), "completed", "no_effect_stands_twice"),
        (("register", "castle", "-castle", "-register"), "compensated", "nothing_is_orphaned"),
        (("register",), "running", "everybody_ended"),
        (("register",), "parked", "everybody_ended"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(steps: tuple[str, ...], status: str, check: str) -> None:
    """One customer whose effects do not fit."""
    assert check in found(evidence(did("a", *steps), ended("a", status)))


def test_one_key_twice_is_found() -> None:
    """The same effect under the same key, as a broken inbox would leave it."""
    effects = did("a", *ALL)
    assert "no_effect_twice" in found(evidence([*effects, effects[4]], ended("a", "completed")))


def test_what_nobody_owns_is_found() -> None:
    """An account in the table that no ledger knows; an effect for somebody nobody asked for; somebody lost."""
    clean = evidence(did("a", *ALL), ended("a", "completed"))
    assert found(msgspec.structs.replace(clean, open_accounts=2)) == {"what_is_open_is_owned"}
    assert "nothing_is_orphaned" in found(evidence(did("x", "register", "-register")))
    lost = msgspec.structs.replace(clean.general, ends=())
    assert "everybody_ended" in found(msgspec.structs.replace(clean, general=lost))


def test_somebody_elses_fee_is_found() -> None:
    """What was charged is what was asked."""
    clean = evidence(did("a", *ALL), ended("a", "completed"))
    asked = (msgspec.structs.replace(clean.general.asked[0], total_cents=FEE + 1),)
    assert found(msgspec.structs.replace(clean, general=msgspec.structs.replace(clean.general, asked=asked))) == {
        "fees_are_those_asked"
    }


def test_a_doubt_without_a_kill_is_found() -> None:
    """The mail is in doubt, and its sender lived."""
    doubt = {"step": "welcome", "code": "in-doubt", "issued_ns": 160, "parked_ns": 200}
    assert "everybody_ended" in found(evidence(did("a", *ALL), ended("a", "parked", **doubt)))


def test_the_clouds_books_are_read() -> None:
    """What was made and taken away, under the key it was made under; what was asked again is no effect."""
    line = {"of": "machines", "key": "k", "customer": "a", "at_ns": 1, "sequence": 1}
    effects = cloud_effects([{**line, "kind": kind} for kind in ("create", "again", "delete", "void")])
    assert [(effect.step, effect.kind, effect.key) for effect in effects] == [
        ("machine", "do", "k"),
        ("machine", "undo", "k"),
    ]
