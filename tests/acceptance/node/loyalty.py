"""What the engine has to know of the loyalty service, and a saga that uses it."""

import msgspec

from saga import Command, Effect, Failure, Saga, command, define


class PointsAwarded(msgspec.Struct, frozen=True):
    balance: int


class AccountClosed(Failure, frozen=True):
    customer: str


@command(service="loyalty", effect=Effect.INBOX)
class AwardPoints(Command[PointsAwarded, AccountClosed], frozen=True):
    customer: str
    points: int


class PointsRevoked(msgspec.Struct, frozen=True):
    balance: int | None = None  # nothing when there was nothing to revoke


@command(service="loyalty", effect=Effect.INBOX)
class RevokePoints(Command[PointsRevoked], frozen=True):
    customer: str
    points: int


class Refer(msgspec.Struct, frozen=True):
    newcomer: str
    sponsor: str


class Referred(msgspec.Struct, frozen=True):
    newcomer_balance: int
    sponsor_balance: int


@define("referral", version=1)
def referral(s: Saga, given: Refer) -> Referred:
    s.key(given.newcomer)
    newcomer = s.step(
        "newcomer",
        AwardPoints(customer=given.newcomer, points=50),
        undo=RevokePoints(customer=given.newcomer, points=50),
    )
    sponsor = s.step(
        "sponsor",
        AwardPoints(customer=given.sponsor, points=100),
        undo=RevokePoints(customer=given.sponsor, points=100),
    )
    return Referred(newcomer_balance=newcomer.balance, sponsor_balance=sponsor.balance)
