"""The CRM's HTTP API, as the service uses it: the standard library's client, in threads."""

import asyncio
import http.client
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import msgspec

EXCHANGES_MAX = 64
TIMEOUT_SECONDS = 10.0


class ProviderAnswer(msgspec.Struct, frozen=True):
    """A complete answer."""

    status: int
    body: dict[str, Any]


class ProviderSilent(Exception):
    """No complete answer came: whatever was asked may have happened."""


class Provider:
    """A CRM at an address. Every call raises ProviderSilent when no complete answer came in time."""

    def __init__(self, host: str, port: int, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._host = host
        self._port = port
        self._timeout_seconds = timeout_seconds
        self._threads = ThreadPoolExecutor(EXCHANGES_MAX, thread_name_prefix="crm")

    async def put_contact(self, email: str, contact: dict[str, str], *, key: str) -> ProviderAnswer:
        """Write a contact down; under a key that it knows the CRM does nothing, and answers as it did then."""
        path = f"/contacts/{quote(email, safe='')}"
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._put, path, msgspec.json.encode(contact), key)

    def _put(self, path: str, body: bytes, key: str) -> ProviderAnswer:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)
        try:
            connection.request("PUT", path, body, {"Idempotency-Key": key})
            response = connection.getresponse()
            return ProviderAnswer(response.status, msgspec.json.decode(response.read(), type=dict[str, Any]))
        except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
            place = f"http://{self._host}:{self._port}"
            raise ProviderSilent(f"PUT {place}/contacts: {type(error).__name__}: {error}") from error
        finally:
            connection.close()
