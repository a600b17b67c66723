"""Settings from the environment, and what is said about bad ones."""

import pytest

from services.environment import address, rate, seconds

EXAMPLE = "http://127.0.0.1:8081"


def test_an_address_is_host_and_port() -> None:
    """A complete address gives both parts."""
    found = address("SAGA_CARRIER_URL", scheme="http", example=EXAMPLE, environment={"SAGA_CARRIER_URL": "http://h:81"})
    assert found == ("h", 81)


@pytest.mark.parametrize("value", ["", "h:81", "ftp://h:81", "http://h", "http://h:port", "http://:81"])
def test_a_bad_address_names_variable_and_fix(value: str) -> None:
    """Every error says which variable, and what it should look like."""
    with pytest.raises(ValueError, match=r"^SAGA_CARRIER_URL.*Fix: SAGA_CARRIER_URL=http://127.0.0.1:8081$"):
        address("SAGA_CARRIER_URL", scheme="http", example=EXAMPLE, environment={"SAGA_CARRIER_URL": value})


def test_unset_numbers_are_zero() -> None:
    """What is not set does nothing."""
    assert rate("SHARE", environment={}) == seconds("TIME", environment={"TIME": ""}) == 0


@pytest.mark.parametrize("value", ["2", "-0.1", "nan", "often"])
def test_a_share_is_from_0_to_1(value: str) -> None:
    """Anything else is refused, with the variable's name and an example."""
    with pytest.raises(ValueError, match=r"^SHARE=.*Fix: .*SHARE=0\.1"):
        rate("SHARE", environment={"SHARE": value})


@pytest.mark.parametrize("value", ["-1", "soon"])
def test_a_duration_is_not_negative(value: str) -> None:
    """Anything else is refused, with the variable's name and an example."""
    with pytest.raises(ValueError, match=r"^TIME=.*Fix: .*TIME=0\."):
        seconds("TIME", environment={"TIME": value})
