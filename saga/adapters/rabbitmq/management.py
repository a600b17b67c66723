"""The broker's management HTTP API: policies set, and the whole topology read, which AMQP alone cannot do."""

import base64
import json
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import Request, urlopen

import msgspec

from saga.core.definitions_file import read_definitions
from saga.core.topology import Policy, Topology
from saga.ports import Unavailable

HTTP_SECONDS = 10.0
ANSWER_BYTES_MAX = 64 * 1024 * 1024
"""Of a broker's definitions: a million bindings would fit."""
PORTS = {"http": 15672, "https": 15671}
LISTS = ("exchanges", "queues", "bindings", "policies")
NO_API, LOGIN_REFUSED, NO_RIGHT = "SAGA-4013", "SAGA-4003", "SAGA-4009"
ENABLE = "rabbitmq-plugins enable rabbitmq_management on the broker, or its address in SAGA_AMQP_MANAGEMENT"


def management_address(amqp_url: str, given: str = "") -> str:
    """Where the API is: as given, else on the broker's host at the plugin's port, with the broker's login.

    A given address without a login takes the broker's. An encrypted broker is asked over https.
    """
    broker, api = urlsplit(amqp_url), urlsplit(given)
    if api.username:
        return given
    login = broker.netloc.rpartition("@")[0]
    if given:
        return api._replace(netloc=f"{login}@{api.netloc}" if login else api.netloc).geturl()
    scheme = "https" if broker.scheme == "amqps" else "http"
    host = f"[{broker.hostname}]" if ":" in (broker.hostname or "") else broker.hostname
    return f"{scheme}://{f'{login}@' if login else ''}{host}:{PORTS[scheme]}"


class Management:
    """One broker's API. Every call blocks, at most `HTTP_SECONDS` for each answer."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        try:
            usual, port = PORTS[parts.scheme], parts.port
        except (ValueError, KeyError):
            raise Unavailable(
                f"{place} is no http address. Fix: http://user:password@host:15672", code=NO_API
            ) from None
        self.place = place if port else f"{place}:{usual}"
        self.user = unquote(parts.username or "guest")
        password = unquote(parts.password or "guest")
        self._login = "Basic " + base64.b64encode(f"{self.user}:{password}".encode()).decode()

    def put_policy(self, vhost: str, policy: Policy) -> None:
        """Set it. Raises Unavailable."""
        rules = {"pattern": policy.pattern, "definition": policy.definition, "priority": policy.priority}
        self._ask(
            f"policies/{_word(vhost)}/{_word(policy.name)}",
            f"could not set the policy {policy.name}",
            method="PUT",
            body=json.dumps({**rules, "apply-to": "queues"}).encode(),
        )

    def topology(self, vhost: str, *, users: bool) -> Topology:
        """Everything in the vhost, and who may do what there. Raises Unavailable, naming what is missing for it.

        Users may only be read by an administrator.
        """
        what = f"could not read the vhost {vhost!r}"
        if users:
            self._ask(f"vhosts/{_word(vhost)}", what)  # or all would be missing from it
            answer = self._ask("definitions", what)
        else:
            parts = [b'"%s":%s' % (one.encode(), self._ask(f"{one}/{_word(vhost)}", what)) for one in LISTS]
            answer = b"{%s}" % b",".join(parts)
        try:
            return read_definitions(answer, vhost=vhost)
        except msgspec.DecodeError as error:
            raise Unavailable(f"{self.place}: {what}: unexpected answer: {error}. Fix: {ENABLE}", code=NO_API) from None

    def _ask(self, path: str, what: str, *, method: str = "GET", body: bytes | None = None) -> bytes:
        request = Request(f"{self.place}/api/{path}", method=method, data=body)  # noqa: S310 - the scheme was checked
        request.add_unredirected_header("Authorization", self._login)
        if body is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urlopen(request, timeout=HTTP_SECONDS) as response:  # noqa: S310 - the scheme was checked
                answer: bytes = response.read(ANSWER_BYTES_MAX + 1)
        except HTTPError as error:
            with error:
                raise self._refusal(what, error.code, error.read(1_000).decode(errors="replace")) from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise Unavailable(f"{self.place}: {what}: {reason}. Fix: {ENABLE}", code=NO_API) from error
        if len(answer) > ANSWER_BYTES_MAX:
            limit = f"the answer has more than {ANSWER_BYTES_MAX >> 20} MiB"
            raise Unavailable(f"{self.place}: {what}: {limit}", code=NO_API)
        return answer

    def _refusal(self, what: str, status: int, said: str) -> Unavailable:
        text = f"{self.place}: {what}: {status} {said.strip()}"
        if status == 404:
            return Unavailable(f"{text}. Fix: the vhost of --amqp; or {ENABLE}", code=NO_API)
        if status not in {401, 403}:
            return Unavailable(text, code=NO_API)
        for tag, way_out in (("administrator", ", or --no-users"), ("policymaker", ""), ("management user", "")):
            if tag in said.lower():
                fix = f"rabbitmqctl set_user_tags {self.user} {tag.split()[0]}, or another user in SAGA_AMQP_MANAGEMENT"
                return Unavailable(f"{text}. Fix: {fix}{way_out}", code=NO_RIGHT)
        return Unavailable(f"{text}. Fix: correct user and password in SAGA_AMQP_MANAGEMENT", code=LOGIN_REFUSED)


def _word(name: str) -> str:
    return quote(name, safe="")
