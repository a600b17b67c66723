"""Names that two processes derive alike, and chance that a replay draws again."""

from saga.core.identity import attempt_id, idempotency_key, jitter, span_id, traceparent
from saga.core.messages import Kind
from tests.builders import SAGA


def test_keys_are_fixed_for_ever() -> None:
    """Providers remember these: a release that derives others would do everything twice."""
    key = idempotency_key(SAGA, "pay/charge", Kind.ACTION, 1)
    assert key == "6c3a670215cb5f682e3c926338120d01"
    assert attempt_id(key, 2) == "e38ed5201b65c642d826e9343def7a17"
    assert span_id(SAGA, 3, 1, "attempt") == "ad95cbc93e049ec6"


def test_every_part_tells_keys_apart() -> None:
    """Saga, path, kind and execution: nothing else, and each of them."""
    keys = {
        idempotency_key(saga, path, kind, execution)
        for saga in (SAGA, SAGA[:-1] + "2")
        for path in ("a", "a/b")
        for kind in Kind
        for execution in (1, 2)
    }
    assert len(keys) == 16
    assert all(len(key) == 32 for key in keys)


def test_jitter_is_a_fraction_and_repeats() -> None:
    """Spread, but the same for the same attempt."""
    drawn = [jitter("k", attempt) for attempt in range(200)]
    assert drawn == [jitter("k", attempt) for attempt in range(200)]
    assert all(0 <= one < 1 for one in drawn)
    assert max(drawn) - min(drawn) > 0.9


def test_a_traceparent_carries_the_root() -> None:
    """One trace a saga: its id without dashes."""
    assert traceparent(SAGA, "ab" * 8) == f"00-{SAGA.replace('-', '')}-{'ab' * 8}-01"
