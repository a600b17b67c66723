"""The sagas of a run in which people decide: made from a number, the same in every process that asks.

What is wanted of a saga and of its approver is written into its business key: `hire-07-reject`.
"""

from enum import StrEnum

import msgspec

REQUESTER, STRANGER = "bo", "mallory"
"""May not decide: the one asked for it, the other has no role."""
PEOPLE = ("eve", "dan")
"""May decide."""
LESS = ("mail",)
BETTER = "A better subject"


class Wish(StrEnum):
    """What becomes of a saga, and by whose hand."""

    APPROVE = "approve"
    EDIT = "edit"
    """Approved with changes: those are what happens."""
    REJECT = "reject"
    TWICE = "twice"
    """Approved by two clicks at once."""
    CONTRADICT = "contradict"
    """Approved, then rejected by the same person."""
    RACE = "race"
    """Approved and rejected at once by two people: one of them counts."""
    LATE = "late"
    """Approved, and refused by a step behind it; without such a step it waits for an operator before it."""


WISHES = tuple(Wish)


class Case(msgspec.Struct, frozen=True):
    """One saga to start."""

    key: str
    wish: Wish
    body: bytes


def hire(number: int) -> Case:
    """Somebody to onboard; every second late one finds no desk, the others have no photo for the badge."""
    wish = WISHES[number % len(WISHES)]
    key = f"hire-{number:03d}-{wish}"
    is_late, is_odd = wish is Wish.LATE, bool(number // len(WISHES) % 2)
    body = {
        "employee_id": key,
        "name": f"Hire {number}",
        "login": f"hire{number}",
        "email": f"hire{number}@example.org",
        "site": "attic" if is_late and is_odd else "delft",
        "photo": "" if is_late and not is_odd else f"photos/{number}.jpg",
        "privileges": ["mail", "vpn"],
        "requested_by": REQUESTER,
    }
    return Case(key, wish, msgspec.json.encode(body))


def lead(number: int) -> Case:
    """Somebody to write to; late ones are of a segment without a template."""
    wish = WISHES[number % len(WISHES)]
    key = f"lead-{number:03d}-{wish}"
    body = {
        "lead_id": key,
        "company": f"{'Orbital' if wish is Wish.LATE else 'Bakery'} {number}",
        "name": f"Ann {number}",
        "email": f"ann{number}@example.org",
        "owner": REQUESTER,
    }
    return Case(key, wish, msgspec.json.encode(body))


def wish_of(key: str) -> Wish:
    """What was wished for the saga with this business key."""
    return Wish(key.rpartition("-")[2])
