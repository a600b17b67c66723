"""What only a real broker shows of a caller's queue: its arguments never change, and it knows no exclusive reader."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from saga.adapters.rabbitmq import RabbitBus
from saga.adapters.rabbitmq.topology import apply
from saga.core.errors import BadValue
from saga.core.topology import wanted_topology


@pytest.fixture
async def url(vhost: str) -> str:
    await apply(vhost, wanted_topology([]))
    return vhost


@pytest.fixture
async def bus(url: str) -> AsyncIterator[RabbitBus]:
    bus = await RabbitBus.open(url, name="test")
    yield bus
    await bus.close()


async def test_answers_that_are_kept_for_another_time_say_so(bus: RabbitBus) -> None:
    """Trying again changes nothing: the error names the queue, the broker's reason and the fix."""
    await bus.declare_results("desk", kept=timedelta(hours=1))
    with pytest.raises(BadValue, match=r"saga\.results\.guest\.desk.*x-expires.*Fix: answers_kept"):
        await bus.declare_results("desk", kept=timedelta(hours=2))
    with pytest.raises(BadValue, match=r"invalid arg 'x-expires'.*Fix: answers_kept above zero"):
        await bus.declare_results("other", kept=timedelta(0))


async def test_a_second_reader_of_answers_is_told(url: str, bus: RabbitBus, caplog: pytest.LogCaptureFixture) -> None:
    """A second client of one name takes half of the answers; one that comes after the first has gone does not."""
    other = await RabbitBus.open(url, name="other")
    queue, _ = await bus.declare_results("desk")
    subscription = await bus.consume(queue, 1)
    assert "another reader" not in caplog.text
    await other.declare_results("desk")
    [told] = [record for record in caplog.records if record.message == "answers have another reader"]
    assert (vars(told)["queue"], vars(told)["reader_count"]) == ("saga.results.guest.desk", 1)
    caplog.clear()
    await subscription.close()
    await other.declare_results("desk")
    assert "another reader" not in caplog.text
    await other.close()
