"""One decision a saga: by definition and share, the same whoever makes it."""

import pytest

from saga.adapters.system import SystemIds
from saga.core.sampling import Sampling, sampling_of


def test_what_is_not_named_is_traced() -> None:
    """Without any setting every saga is."""
    assert Sampling().traces("order", SystemIds().saga())


def test_shares_by_definition() -> None:
    """A name comes before the share of all others."""
    sampling = sampling_of(["order=1", "*=0"])
    root = SystemIds().saga()
    assert sampling.traces("order", root)
    assert not sampling.traces("report", root)


def test_the_share_is_kept() -> None:
    """Of ids made one after the other, about as many as asked for; and the same id always goes the same way."""
    ids, sampling = SystemIds(), sampling_of(["*=0.25"])
    roots = [ids.saga() for _ in range(4_000)]
    taken = [root for root in roots if sampling.traces("order", root)]
    assert 800 < len(taken) < 1_200
    assert all(sampling.traces("other", root) for root in taken)
    assert all(sampling_of(["*=0.5"]).traces("order", root) for root in taken)


@pytest.mark.parametrize("entry", ["order", "order=", "=0.5", "order=2", "order=-1", "order=nan", "order=some"])
def test_what_is_no_share(entry: str) -> None:
    """It is refused with an example."""
    with pytest.raises(ValueError, match=r"Fix: definition=0\.1"):
        sampling_of([entry])
