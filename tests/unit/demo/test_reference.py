"""The table of reference processes."""

from saga.demo.reference import PIECES, WORLD, services


def test_every_process_has_a_name_of_its_own() -> None:
    """A service and a business of the outside world run side by side: their logs are files named after them."""
    assert set(services(PIECES)) & set(WORLD) == set()


def test_a_process_needs_only_what_there_is() -> None:
    """And the outside world has an address variable each."""
    assert {outside for piece in PIECES.values() for outside in piece.world} <= set(WORLD)
    assert len({outside.address for outside in WORLD.values()}) == len(WORLD)
