"""What research finds."""

from decimal import Decimal

from contracts.research import CompanyNotFound, CompanyResearched, ResearchCompany
from saga.contract import Context
from saga.testing import assert_idempotent
from services.research import participant
from services.research.handlers import research

CONTEXT = Context(key="k1", saga="saga-1", step="research", attempt=1)


async def test_the_same_company_is_found_the_same_way() -> None:
    """A repeat changes no later step."""
    asked = ResearchCompany(company="Orbital Views")
    found = await research(asked, CONTEXT)
    assert isinstance(found, CompanyResearched)
    assert found.segment == "space"
    assert found == await research(asked, CONTEXT)
    other = await research(ResearchCompany(company="Hardware & Sons"), CONTEXT)
    assert isinstance(other, CompanyResearched)
    assert other.segment == "trade"


async def test_a_company_nobody_knows() -> None:
    """It is refused by name."""
    refused = await research(ResearchCompany(company="Unknown Ltd"), CONTEXT)
    assert refused == CompanyNotFound(company="Unknown Ltd")


async def test_a_search_costs_whatever_it_finds() -> None:
    """A company that is nowhere costs as much as one that is found."""
    for company in ("Orbital Views", "Unknown Ltd"):
        context = Context(key="k1", saga="saga-1", step="research", attempt=1)
        await research(ResearchCompany(company=company), context)
        assert context.cost == {"USD": Decimal("0.005")}


async def test_research_changes_nothing() -> None:
    """It may be asked in any way."""
    await assert_idempotent(participant(), ResearchCompany(company="Bakery"))
