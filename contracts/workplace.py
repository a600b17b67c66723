"""What workplace answers: a desk for an employee, giving it up, and a badge."""

import msgspec

from saga.contract import Command, Effect, Failure, command


class DeskAssigned(msgspec.Struct, frozen=True):
    """The desk is theirs."""

    desk_id: str


class NoDeskLeft(Failure, frozen=True):
    """The site is full, or there is no such site."""

    site: str


@command(service="workplace", effect=Effect.INBOX)
class AssignDesk(Command[DeskAssigned, NoDeskLeft], frozen=True):
    """Give an employee a desk at a site."""

    employee_id: str
    site: str


class DeskReleased(msgspec.Struct, frozen=True):
    """Somebody else may sit there."""

    desk_count: int


@command(service="workplace", effect=Effect.INBOX)
class ReleaseDesk(Command[DeskReleased], frozen=True):
    """Take back what desk an employee has."""

    employee_id: str


class BadgeIssued(msgspec.Struct, frozen=True):
    """It is printed, and opens doors."""

    badge_id: str


class NoPhoto(Failure, frozen=True):
    """There is nothing to print on it."""

    employee_id: str


@command(service="workplace", effect=Effect.INBOX)
class IssueBadge(Command[BadgeIssued, NoPhoto], frozen=True):
    """Print a badge. It cannot be unprinted."""

    employee_id: str
    photo: str
    """Where the photo is; empty when there is none."""
