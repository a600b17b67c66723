"""What research answers: what is known of a company."""

import msgspec

from saga.contract import Command, Effect, Failure, command


class CompanyResearched(msgspec.Struct, frozen=True):
    """What was found."""

    segment: str
    """What kind of business it is, in a word."""
    facts: str


class CompanyNotFound(Failure, frozen=True):
    """Nobody knows it."""

    company: str


@command(service="research", effect=Effect.READ_ONLY)
class ResearchCompany(Command[CompanyResearched, CompanyNotFound], frozen=True):
    """Look a company up."""

    company: str
