"""`saga follow`: what can never work is said at once."""

import pytest

from tests.unit.cli.conftest import Type


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--amqp", "http://a:geheim@h", "follow"], 2, "amqp://user:password@host:port/vhost"),
        (["--amqp", "amqp://127.0.0.1:1/", "--store", "mysql://a:geheim@h/d", "follow"], 2, "mysql"),
        (["--amqp", "amqp://127.0.0.1:1/", "follow", "--health", "nowhere"], 1, "--health nowhere"),
    ],
)
def test_a_wrong_address_is_an_error(saga: Type, arguments: list[str], code: int, said: str) -> None:
    """Not a process that waits for ever; and no password in it."""
    done = saga(*arguments)
    assert done.code == code
    assert said in done.err
    assert "geheim" not in done.err + done.out
