"""The transport speaks TLS where the address says so."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from saga.adapters.rabbitmq import RabbitBus
from saga.adapters.rabbitmq.topology import apply
from saga.core.topology import wanted_topology
from saga.ports import Outgoing, Unavailable
from tests.servers import PrivateRabbit
from tests.servers.binaries import free_port


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1, signed by itself; its key lies beside it."""
    folder: Path = tmp_path_factory.mktemp("tls")
    path = folder / "cert.pem"
    options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    names = [
        "-addext",
        "subjectAltName=IP:127.0.0.1,DNS:localhost",
        "-keyout",
        str(folder / "key.pem"),
        "-out",
        str(path),
    ]
    subprocess.run(["openssl", "req", *options, *names], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def address(certificate: Path) -> Iterator[str]:
    port = free_port()
    config = "\n".join(
        [
            f"listeners.ssl.default = 127.0.0.1:{port}",
            f"ssl_options.certfile = {certificate}",
            f"ssl_options.keyfile = {certificate.with_name('key.pem')}",
        ]
    )
    with PrivateRabbit(config=config):
        yield f"amqps://guest:guest@127.0.0.1:{port}/"


async def test_messages_cross_an_encrypted_connection(address: str, certificate: Path) -> None:
    """Large ones too, both ways."""
    url = f"{address}?cafile={certificate}"
    await apply(url, wanted_topology(["payments"]))
    bus = await RabbitBus.open(url, name="tls")
    try:
        body = b"x" * 200_000
        sent = await bus.publish(
            [Outgoing("saga.commands", "payments.A.v1", body, f"m-{number}", "t", {}) for number in range(20)]
        )
        assert {one.outcome for one in sent} == {"confirmed"}
        subscription = await bus.consume("saga.commands.payments", 50)
        got = list(await subscription.receive())
        while len(got) < 20:
            got += await subscription.receive()
        await subscription.settle(got)
        assert {one.body for one in got} == {body}
    finally:
        await bus.close()


async def test_a_certificate_that_is_not_trusted_is_refused(address: str) -> None:
    """Without its authority nothing is sent to it, not even the password."""
    with pytest.raises(Unavailable, match="certificate"):
        await RabbitBus.open(address, name="tls")
