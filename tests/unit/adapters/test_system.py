"""The real clock and ids of this machine."""

import uuid
from datetime import UTC, datetime, timedelta

from saga.adapters.system import SystemClock, SystemIds
from saga.core.rows import is_saga_id, started_at


def test_now_is_aware_and_utc() -> None:
    """A time without a zone would be compared wrongly somewhere."""
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_monotonic_does_not_go_back() -> None:
    """Durations are never negative."""
    clock = SystemClock()
    moments = [clock.monotonic() for _ in range(1_000)]
    assert moments == sorted(moments)


async def test_sleep_lets_that_time_pass() -> None:
    """In seconds."""
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.01)
    assert clock.monotonic() - before >= 0.009


def test_saga_ids_are_uuids_of_version_seven() -> None:
    """As RFC 9562 lays them out, in the one spelling that stores know."""
    ids = SystemIds()
    for _ in range(1_000):
        saga = ids.saga()
        parsed = uuid.UUID(saga)
        assert (parsed.version, parsed.variant, str(parsed)) == (7, uuid.RFC_4122, saga)
        assert is_saga_id(saga)


def test_saga_ids_rise() -> None:
    """Also when many are made within a millisecond: lists are in start order."""
    ids = SystemIds()
    made = [ids.saga() for _ in range(20_000)]
    assert made == sorted(set(made))


def test_a_saga_id_tells_when_it_was_made() -> None:
    """To the millisecond."""
    before = datetime.now(UTC)
    saga = SystemIds().saga()
    after = datetime.now(UTC)
    assert before - timedelta(milliseconds=1) <= started_at(saga) <= after


def test_message_ids_are_random() -> None:
    """32 hex characters, never the same."""
    ids = SystemIds()
    made = {ids.message() for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(len(message) == 32 and int(message, 16) >= 0 for message in made)
