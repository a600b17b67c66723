"""What starts an onboarding, and what comes of it."""

import msgspec

from contracts.accounts import Privileges


class Hire(msgspec.Struct, frozen=True):
    """Input of the `hr-onboarding` saga; `employee_id` is its business key."""

    employee_id: str
    name: str
    login: str
    email: str
    """Where the welcome goes."""
    site: str
    photo: str
    """Where the photo for the badge is; empty when there is none yet."""
    privileges: Privileges
    requested_by: str
    """The manager who asked; the one person who may not approve the privileges."""


class Onboarded(msgspec.Struct, frozen=True):
    """Output of the `hr-onboarding` saga."""

    account_id: str
    privileges: tuple[str, ...]
    """As they were approved."""
    approved_by: str
    desk_id: str
    badge_id: str


class AccessRequest(msgspec.Struct, frozen=True):
    """Input of the `access` saga, by itself or as a part of an onboarding."""

    employee_id: str
    name: str
    login: str
    privileges: Privileges
    requested_by: str


class AccessReady(msgspec.Struct, frozen=True):
    """Output of the `access` saga."""

    account_id: str
    privileges: tuple[str, ...]
    approved_by: str
