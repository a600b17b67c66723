"""The auditor of processes in which people decide finds what is planted, and nothing else."""

import itertools
from typing import Any

import msgspec
import pytest

from tests.acceptance.audit import Effect, End, Kill
from tests.acceptance.crowd import Case, Wish
from tests.acceptance.piece import HIRES
from tests.acceptance.piece_audit import Evidence, Told, audited

_CLOCK = itertools.count(1)
SERVICES = {"account": "accounts", "privileges": "accounts", "desk": "workplace", "badge": "workplace"}
ALL = ("account", "privileges", "desk", "badge", "welcome")


def did(key: str, *steps: str) -> tuple[Effect, ...]:
    """Effects in the order given; `-desk` undoes."""
    effects = []
    for word in steps:
        step, at = word.removeprefix("-"), next(_CLOCK)
        effects.append(
            Effect(
                service=SERVICES.get(step, "mailsink"),
                step=step,
                kind="undo" if word.startswith("-") else "do",
                key=f"{key}/{word}/{at}",
                order=key,
                at_ns=at,
                sequence=1,
            )
        )
    return tuple(effects)


def ended(key: str, status: str, step: str = "") -> End:
    doubt = {"step": step, "code": "in-doubt", "issued_ns": 100, "parked_ns": 200} if step else {}
    return msgspec.convert({"order": key, "saga": f"saga-{key}", "status": status, **doubt}, End)


def told(key: str, approver: str, choice: str, code: str = "") -> Told:
    kind = "refused" if code else "accepted"
    return Told(kind=kind, key=key, approver=approver, choice=choice, at_ns=next(_CLOCK), code=code)


KEYS = ("h-1-approve", "h-2-reject", "h-3-late", "h-4-edit", "h-5-contradict", "h-6-twice")
CASES = [Case(key, Wish(key.rpartition("-")[2]), b"{}") for key in KEYS]
CLEAN = Evidence(
    asked={key: f"saga-{key}" for key in KEYS},
    ends=(
        ended("h-1-approve", "completed"),
        ended("h-2-reject", "compensated"),
        ended("h-3-late", "compensated"),
        ended("h-4-edit", "completed"),
        ended("h-5-contradict", "parked", "welcome"),
        ended("h-6-twice", "completed"),
    ),
    effects=(
        *did("h-1-approve", *ALL),
        *did("h-2-reject", "account", "-account"),
        *did("h-3-late", "account", "privileges", "desk", "-desk", "-privileges", "-account"),
        *did("h-4-edit", *ALL),
        *did("h-5-contradict", *ALL[:-1]),
        *did("h-6-twice", *ALL),
    ),
    told=(
        told("h-1-approve", "bo", "approve", "requester"),
        told("h-1-approve", "eve", "approve"),
        told("h-2-reject", "dan", "reject"),
        told("h-3-late", "eve", "approve"),
        told("h-4-edit", "eve", "approve"),
        told("h-5-contradict", "eve", "approve"),
        told("h-5-contradict", "eve", "reject", "already-decided"),
        told("h-6-twice", "eve", "approve"),
        told("h-6-twice", "eve", "approve"),
    ),
    kills=(Kill(process="notifications", at_ns=150),),
    content={"h-1-approve": ("mail", "vpn"), "h-4-edit": ("mail",)},
)


def problems(evidence: Evidence) -> list[str]:
    return audited(HIRES.story, CASES, evidence)[0]


def test_a_clean_run_is_clean() -> None:
    """Each way a saga may go, and what there was of it."""
    found, counts = audited(HIRES.story, CASES, CLEAN)
    assert found == []
    assert (counts["completed"], counts["compensated"], counts["parked"]) == (3, 2, 1)
    assert (counts["edited"], counts["refused requester"], counts["accepted"]) == (1, 1, 7)


def without(evidence: Evidence, key: str) -> tuple[Effect, ...]:
    return tuple(effect for effect in evidence.effects if effect.order != key)


def swapped(old: str, new: End) -> tuple[End, ...]:
    return tuple(new if end.order == old else end for end in CLEAN.ends)


PLANTED: dict[str, dict[str, Any]] = {
    "no_effect_twice": {"effects": (*CLEAN.effects, CLEAN.effects[0])},
    "no_effect_stands_twice": {"effects": (*CLEAN.effects, *did("h-1-approve", "badge"))},
    "undone_in_reverse": {
        "effects": (*without(CLEAN, "h-3-late"), *did("h-3-late", "account", "privileges", "-account", "-privileges"))
    },
    "effects_are_known: accounts did 'do account' for h-9": {"effects": (*CLEAN.effects, *did("h-9", "account"))},
    "ends_match_effects: h-1-approve is completed": {
        "effects": (*without(CLEAN, "h-1-approve"), *did("h-1-approve", "account", "privileges", "desk", "badge"))
    },
    "ends_match_effects: h-3-late is compensated": {
        "effects": (*without(CLEAN, "h-3-late"), *did("h-3-late", "account", "privileges", "-privileges"))
    },
    "ends_match_effects: h-6-twice is running": {"ends": swapped("h-6-twice", ended("h-6-twice", "running"))},
    "doubts_are_explained: h-5-contradict": {"kills": (Kill(process="notifications", at_ns=250),)},
    "nothing_is_lost: h-1-approve was accepted as another": {"asked": {**CLEAN.asked, "h-1-approve": "another"}},
    "nothing_is_lost: 1 sub-sagas": {"open_children": 1},
    "people: h-1-approve was decided by bo": {"told": (*CLEAN.told, told("h-1-approve", "bo", "approve"))},
    "people: h-5-contradict was decided as approve, reject": {
        "told": (*CLEAN.told, told("h-5-contradict", "eve", "reject"))
    },
    "people: h-2-reject was rejected, and is compensated with 1 effects": {
        "effects": (*CLEAN.effects, *did("h-2-reject", "privileges"))
    },
    "people: h-3-late was approved, and is completed": {"ends": swapped("h-3-late", ended("h-3-late", "completed"))},
    "people: h-4-edit was changed": {"content": {"h-4-edit": ("mail", "vpn")}},
    "people: h-4-edit was decided as nothing": {"told": tuple(line for line in CLEAN.told if line.key != "h-4-edit")},
}


@pytest.mark.parametrize("found", PLANTED)
def test_what_is_planted_is_found(found: str) -> None:
    """By the check that is for it."""
    evidence = msgspec.structs.replace(CLEAN, **PLANTED[found])
    assert any(problem.startswith(found) for problem in problems(evidence)), problems(evidence)
