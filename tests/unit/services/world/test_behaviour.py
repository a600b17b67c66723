"""How a carrier decides what to do with a request."""

from collections import Counter

import pytest

from services.world.behaviour import Behaviour, Settings, behaviour, slowness_seconds


def drawn(settings: Settings, count: int = 4000, country: str = "NL") -> Counter[str]:
    return Counter(behaviour(settings, order_id=f"o{n}", country=country, request_count=0).value for n in range(count))


def test_a_carrier_left_alone_books() -> None:
    """Without settings every parcel is taken at once."""
    assert drawn(Settings(), 50) == {"book": 50}
    assert slowness_seconds(Settings(), order_id="o1", request_count=0) == 0


def test_rates_are_kept() -> None:
    """Each share comes out within two points of what was asked."""
    settings = Settings(unavailable_rate=0.1, drop_before_rate=0.1, drop_after_rate=0.1)
    share = {name: count / 4000 for name, count in drawn(settings).items()}
    for name in ("unavailable", "drop-before", "drop-after"):
        assert share[name] == pytest.approx(0.1, abs=0.02)


def test_an_order_is_refused_each_time_or_never() -> None:
    """A refusal speaks about the order, so asking again changes nothing."""
    settings = Settings(refuse_rate=0.2)
    answers = {
        n: {behaviour(settings, order_id=f"o{n}", country="NL", request_count=c) for c in range(3)} for n in range(500)
    }
    assert all(len(each) == 1 for each in answers.values())
    assert sum(each == {Behaviour.REFUSE} for each in answers.values()) == pytest.approx(100, abs=30)


def test_a_country_without_streets_is_always_refused() -> None:
    """The content of an order decides too."""
    assert drawn(Settings(), 20, country="AQ") == {"refuse": 20}


def test_the_same_seed_draws_the_same() -> None:
    """A repeated run meets the same carrier; another seed meets another one."""
    settings = Settings(drop_after_rate=0.5)
    again = [behaviour(settings, order_id=f"o{n}", country="NL", request_count=0) for n in range(64)]
    other = Settings(drop_after_rate=0.5, seed=1)
    assert again == [behaviour(settings, order_id=f"o{n}", country="NL", request_count=0) for n in range(64)]
    assert again != [behaviour(other, order_id=f"o{n}", country="NL", request_count=0) for n in range(64)]


def test_a_script_says_what_each_request_meets() -> None:
    """A scripted order meets its script in turn, then a carrier that books."""
    settings = Settings(refuse_rate=1.0, scripts={"o1": [Behaviour.UNAVAILABLE, Behaviour.DROP_AFTER]})
    met = [behaviour(settings, order_id="o1", country="NL", request_count=count) for count in range(3)]
    assert met == [Behaviour.UNAVAILABLE, Behaviour.DROP_AFTER, Behaviour.BOOK]


def test_impossible_rates_are_refused() -> None:
    """Rates are shares, and together no more than the whole."""
    with pytest.raises(ValueError, match=r"refuse_rate=1.5 is no share"):
        Settings(refuse_rate=1.5)
    with pytest.raises(ValueError, match="more than 1"):
        Settings(unavailable_rate=0.6, drop_after_rate=0.6)
