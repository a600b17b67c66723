"""Each fault of the proxy is the fault its name says."""

import asyncio
from collections.abc import AsyncIterator
from typing import Self

import pytest

from tests.proxy import Direction, FaultProxy, Mode

SOON_SECONDS = 0.2


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    """In front of a server that echoes."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.read(100):
            writer.write(line)
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with FaultProxy(host, port) as proxy:
            yield proxy


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, proxy: FaultProxy) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", proxy.port))

    async def ask(self, text: bytes) -> bytes:
        self.writer.write(text)
        return await self.answer()

    async def answer(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(100), SOON_SECONDS)

    async def was_cut(self) -> bool:
        try:
            return await self.answer() == b""
        except ConnectionError:
            return True


@pytest.fixture
async def client(proxy: FaultProxy) -> AsyncIterator[Client]:
    client = await Client.connect(proxy)
    yield client
    client.writer.close()


async def test_pass_forwards_both_ways(client: Client) -> None:
    """Without a fault it is a wire."""
    assert await client.ask(b"hello") == b"hello"


async def test_blackhole_holds_and_later_delivers(proxy: FaultProxy, client: Client) -> None:
    """A partition that heals loses nothing."""
    proxy.mode = Mode.BLACKHOLE
    with pytest.raises(TimeoutError):
        await client.ask(b"hello")
    proxy.mode = Mode.PASS
    assert await client.answer() == b"hello"


async def test_dropped_answers_cut_the_connection_when_healed(proxy: FaultProxy, client: Client) -> None:
    """Bytes that vanished cannot be followed by later ones."""
    proxy.mode = Mode.DROP_TO_CLIENT
    with pytest.raises(TimeoutError):
        await client.ask(b"hello")
    proxy.mode = Mode.PASS
    assert await client.was_cut()


async def test_reset_cuts_what_exists_and_refuse_what_is_new(proxy: FaultProxy, client: Client) -> None:
    """After a reset a client may come back, unless it is refused."""
    assert await client.ask(b"hello") == b"hello"
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        await client.answer()
    proxy.mode = Mode.REFUSE
    refused = await Client.connect(proxy)
    assert await refused.was_cut()
    refused.writer.close()


async def test_delay_slows_each_chunk(proxy: FaultProxy, client: Client) -> None:
    """A slow network is slow both ways."""
    proxy.delay_seconds = 0.03
    begun = asyncio.get_running_loop().time()
    assert await client.ask(b"hello") == b"hello"
    assert asyncio.get_running_loop().time() - begun >= 0.06


async def test_the_hook_places_a_fault_on_an_exact_message(proxy: FaultProxy, client: Client) -> None:
    """The commit arrives, its answer does not."""
    seen: list[bytes] = []

    def on_bytes(direction: Direction, chunk: bytes) -> None:
        if direction is Direction.TO_SERVER and b"COMMIT" in chunk:
            proxy.mode = Mode.DROP_TO_CLIENT
        if direction is Direction.TO_CLIENT:
            seen.append(chunk)

    proxy.on_bytes = on_bytes
    assert await client.ask(b"BEGIN") == b"BEGIN"
    with pytest.raises(TimeoutError):
        await client.ask(b"COMMIT")
    assert seen == [b"BEGIN", b"COMMIT"]


async def test_a_server_that_ends_ends_the_client_too(proxy: FaultProxy, client: Client) -> None:
    """An orderly end passes through in both directions, and nothing is kept."""
    assert await client.ask(b"hello") == b"hello"
    assert proxy.connection_count == 1
    client.writer.write_eof()
    assert await client.was_cut()
    while proxy.connection_count:
        await asyncio.sleep(0)


def test_the_url_goes_through_the_proxy_and_keeps_the_rest() -> None:
    """Login, database and options survive."""

    class At6000(FaultProxy):
        port = 6000

    proxied = At6000("10.0.0.1", 5432).url("postgresql://me:pw@10.0.0.1:5432/db?ssl=no")
    assert proxied == "postgresql://me:pw@127.0.0.1:6000/db?ssl=no"
