"""What accounts answers: opening and closing a login, granting and revoking what it may be used for."""

from typing import Annotated

import msgspec

from saga.contract import Command, Effect, Failure, command

PRIVILEGES_MAX = 20
Privileges = Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=PRIVILEGES_MAX)]


class AccountCreated(msgspec.Struct, frozen=True):
    """The login works; it may do nothing yet."""

    account_id: str


class LoginRefused(Failure, frozen=True):
    """Nobody may be called that."""

    login: str


@command(service="accounts", effect=Effect.INBOX)
class CreateAccount(Command[AccountCreated, LoginRefused], frozen=True):
    """Open an account for an employee."""

    employee_id: str
    login: str


class AccountClosed(msgspec.Struct, frozen=True):
    """The login works no more."""

    account_count: int


@command(service="accounts", effect=Effect.INBOX)
class CloseAccount(Command[AccountClosed], frozen=True):
    """Close what is open of an employee. The employee's id says enough: it needs no reply."""

    employee_id: str


class PrivilegesGranted(msgspec.Struct, frozen=True):
    """The account may do this now."""

    privileges: tuple[str, ...]


class UnknownPrivilege(Failure, frozen=True):
    """There is no such privilege; none of those asked for is granted."""

    privilege: str


@command(service="accounts", effect=Effect.INBOX)
class GrantPrivileges(Command[PrivilegesGranted, UnknownPrivilege], frozen=True):
    """Let an employee's account do all of this, or nothing."""

    employee_id: str
    privileges: Privileges


class PrivilegesRevoked(msgspec.Struct, frozen=True):
    """The account may do nothing any more."""

    privilege_count: int


@command(service="accounts", effect=Effect.INBOX)
class RevokePrivileges(Command[PrivilegesRevoked], frozen=True):
    """Take back everything that was granted to an employee."""

    employee_id: str
