"""The carrier's HTTP API, as shipping uses it.

The client is the standard library's, in threads: one short exchange per connection needs no pool, no dependency and
no event loop, and its blocking reads have a timeout that always fires.
"""

import asyncio
import http.client
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import msgspec

EXCHANGES_MAX = 64
TIMEOUT_SECONDS = 10.0


class CarrierAnswer(msgspec.Struct, frozen=True):
    """A complete answer."""

    status: int
    body: dict[str, Any]


class CarrierSilent(Exception):
    """No complete answer came: whatever was asked may have happened."""


class Carrier:
    """A carrier at an address. Every call raises CarrierSilent when no complete answer came in time."""

    def __init__(self, host: str, port: int, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._host = host
        self._port = port
        self._timeout_seconds = timeout_seconds
        self._threads = ThreadPoolExecutor(EXCHANGES_MAX, thread_name_prefix="carrier")

    async def quote(self, country: str) -> CarrierAnswer:
        """Ask who serves a country, and the price."""
        return await self._exchange("POST", "/quotes", {"country": country})

    async def book(self, reference: str, order: dict[str, Any]) -> CarrierAnswer:
        """Have a parcel fetched. Doing it twice under one reference books it twice."""
        return await self._exchange("POST", "/bookings", {"reference": reference, **order})

    async def find(self, reference: str) -> CarrierAnswer:
        """Ask what was booked under a reference; the carrier answers after what it is doing under it is done."""
        return await self._exchange("GET", f"/bookings?reference={quote(reference)}")

    async def _exchange(self, method: str, path: str, body: dict[str, Any] | None = None) -> CarrierAnswer:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._exchange_blocking, method, path, body)

    def _exchange_blocking(self, method: str, path: str, body: dict[str, Any] | None) -> CarrierAnswer:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)
        try:
            connection.request(method, path, None if body is None else msgspec.json.encode(body))
            response = connection.getresponse()
            return CarrierAnswer(response.status, msgspec.json.decode(response.read(), type=dict[str, Any]))
        except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
            place = f"http://{self._host}:{self._port}{path.partition('?')[0]}"
            raise CarrierSilent(f"{method} {place}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()
