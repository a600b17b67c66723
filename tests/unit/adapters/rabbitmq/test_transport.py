"""The socket under the client library, without a server."""

import asyncio

from saga.adapters.rabbitmq import frames
from saga.adapters.rabbitmq.transport import Tap


class ForeignTransport:
    """A transport as uvloop has it: everything asyncio's has, and no relation to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def get_extra_info(self, _name: str) -> None:
        """There is none."""

    def is_closing(self) -> bool:
        """Never."""
        return False

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.written.append(data)


async def test_any_loop_s_transport_will_do() -> None:
    """Other event loops bring transports of their own class; the connection is made over them all the same."""
    loop = asyncio.get_running_loop()
    tap, transport = Tap(asyncio.StreamReader(loop=loop), loop), ForeignTransport()
    tap.connection_made(transport)  # type: ignore[arg-type]  # a duck, as uvloop's is
    tap.write(frames.HEARTBEAT)
    assert transport.written == [frames.HEARTBEAT]
