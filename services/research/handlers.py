"""What research does: the same answer for the same company, always; it stands in for a search."""

import hashlib
from decimal import Decimal

from contracts.research import CompanyNotFound, CompanyResearched, ResearchCompany
from saga.contract import Context

SEGMENTS = {
    "bakery": ("food", "opens before everybody else"),
    "clinic": ("health", "answers the phone all night"),
    "orbital": ("space", "looks at all of us from above"),
}
"""By a word of the name: what it is, and what there is to say of it."""
ANY = ("trade", "has been there for a long time")
PRICE_USD = Decimal("0.005")
"""Of one search, whether it finds something or not."""
UNKNOWN = "unknown"
"""A company whose name starts so is nowhere to be found."""


async def research(cmd: ResearchCompany, ctx: Context) -> CompanyResearched | CompanyNotFound:
    """Look the company up."""
    ctx.add_cost(PRICE_USD, "USD")
    name = cmd.company.lower()
    if name.startswith(UNKNOWN):
        return CompanyNotFound(company=cmd.company)
    segment, known_for = next((found for word, found in SEGMENTS.items() if word in name), ANY)
    people_count = 2 + int.from_bytes(hashlib.blake2b(name.encode(), digest_size=1).digest())
    return CompanyResearched(segment=segment, facts=f"{cmd.company} has {people_count} people and {known_for}.")
