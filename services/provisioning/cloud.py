"""The cloud's HTTP API, as provisioning uses it. Every request carries an idempotency key.

The client is the standard library's, in threads: one short exchange per connection needs no pool, no dependency and
no event loop, and its blocking reads have a timeout that always fires.
"""

import asyncio
import http.client
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal
from urllib.parse import quote

import msgspec

EXCHANGES_MAX = 64
TIMEOUT_SECONDS = 5.0
Kind = Literal["networks", "machines", "addresses"]


class CloudAnswer(msgspec.Struct, frozen=True):
    """A complete answer."""

    status: int
    body: dict[str, Any]


class CloudSilent(Exception):
    """No complete answer came: whatever was asked may have happened."""


class Cloud:
    """A cloud at an address. Every call raises CloudSilent when no complete answer came in time."""

    def __init__(self, host: str, port: int, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._host = host
        self._port = port
        self._timeout_seconds = timeout_seconds
        self._threads = ThreadPoolExecutor(EXCHANGES_MAX, thread_name_prefix="cloud")

    async def create(self, kind: Kind, key: str, wish: dict[str, Any]) -> CloudAnswer:
        """Have something made. Asked again under the key, the cloud answers as it did the first time."""
        return await self._exchange("POST", f"/{kind}", key, wish)

    async def delete(self, kind: Kind, made_under: str) -> CloudAnswer:
        """Take away what was made under a key; from then on nothing can be made under it."""
        return await self._exchange("DELETE", f"/{kind}/{quote(made_under, safe='')}", "")

    async def _exchange(self, method: str, path: str, key: str, body: dict[str, Any] | None = None) -> CloudAnswer:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._exchange_blocking, method, path, key, body)

    def _exchange_blocking(self, method: str, path: str, key: str, body: dict[str, Any] | None) -> CloudAnswer:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)
        try:
            headers = {"Idempotency-Key": key} if key else {}
            connection.request(method, path, None if body is None else msgspec.json.encode(body), headers)
            response = connection.getresponse()
            return CloudAnswer(response.status, msgspec.json.decode(response.read(), type=dict[str, Any]))
        except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
            place = f"http://{self._host}:{self._port}{path}"
            raise CloudSilent(f"{method} {place}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()
