"""Where the management API is, and what is said when it is not there."""

import socket
from collections.abc import Iterator
from threading import Thread

import pytest

from saga.adapters.rabbitmq.management import Management, management_address
from saga.ports import Unavailable


@pytest.mark.parametrize(
    ("broker", "given", "address"),
    [
        ("amqp://ann:a%40b@mq.example:5673/prod", "", "http://ann:a%40b@mq.example:15672"),
        ("amqp://mq.example/prod", "", "http://mq.example:15672"),
        ("amqps://ann:x@mq.example/prod", "", "https://ann:x@mq.example:15671"),
        ("amqp://ann:x@[::1]:5672/", "", "http://ann:x@[::1]:15672"),
        ("amqp://ann:x@mq.example/", "http://other:8080", "http://ann:x@other:8080"),
        ("amqp://ann:x@mq.example/", "https://bob:y@other", "https://bob:y@other"),
    ],
)
def test_the_address_follows_from_the_broker(broker: str, given: str, address: str) -> None:
    """Its host and login, unless others are given; an encrypted broker is not asked in the clear."""
    assert management_address(broker, given) == address


@pytest.mark.parametrize("address", ["ftp://a:secret@h", "h:15672", "http://a:secret@h:port", "dev:///folder"])
def test_what_is_no_address_says_so(address: str) -> None:
    """Without the password."""
    with pytest.raises(Unavailable, match="Fix: http://") as caught:
        Management(address)
    assert "secret" not in str(caught.value)


@pytest.fixture
def babbler() -> Iterator[str]:
    """The address of something that answers anything but HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4_096)
                connection.sendall(b"AMQP\x00\x00\x09\x01")

        thread = Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://guest:guest@127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def test_something_else_at_the_port(babbler: str) -> None:
    """No HTTP: the error says what to enable."""
    with pytest.raises(Unavailable, match="rabbitmq-plugins enable rabbitmq_management"):
        Management(babbler).topology("/", users=True)
