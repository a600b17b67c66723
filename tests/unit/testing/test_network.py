"""The way between engine and participants: chance from a seed, order from a clock."""

from datetime import timedelta
from typing import Any

import pytest

from saga.testing import ROUGH, Network, play
from tests.unit.testing.shop import ORDER, SUNNY, shop


@pytest.mark.parametrize("seed", range(10))
async def test_rough_weather_breaks_no_law(seed: int) -> None:
    """Late, lost, doubled and overtaking messages: the saga ends or stands in front of a person, and nothing is
    done twice."""
    run = await play(shop, ORDER, SUNNY, seed=seed, network=ROUGH)
    assert run.broken_laws() == []
    assert run.status in {"completed", "compensated", "parked"}


async def test_the_weather_does_what_it_says() -> None:
    """Some seeds lose replies, some double messages, some are slow: over thirty all are seen."""
    lossy = [await play(shop, ORDER, SUNNY, seed=seed, network=Network(lost=0.4)) for seed in range(30)]
    assert any(run.attempts("pay") > 1 for run in lossy)
    assert all(run.standing.count("pay") <= 1 for run in lossy)
    slow = [await play(shop, ORDER, SUNNY, seed=seed, network=Network(delay=timedelta(seconds=5))) for seed in range(5)]
    assert len({run.elapsed for run in slow}) == 5
    doubled = await play(shop, ORDER, SUNNY, network=Network(twice=1))
    assert (doubled.status, doubled.broken_laws()) == ("completed", [])


@pytest.mark.parametrize("wrong", [{"lost": 1.0}, {"lost": -0.1}, {"twice": 1.1}, {"delay": timedelta(-1)}])
def test_shares_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    """A network that loses everything would never let a saga end."""
    with pytest.raises(ValueError, match="shares go from 0 to 1"):
        Network(**wrong)
