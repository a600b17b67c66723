"""What fits on the wire is decided before a byte is written."""

import msgspec
import pytest

from saga.core.limits import BODY_BYTES_MAX, HEADERS_BYTES_MAX, headers_size, unsendable
from saga.ports import Outgoing

FINE = Outgoing("saga.commands", "payments.A.v1", b"{}", "id", "payments.A.v1", {"saga-key": "k"})


def changed(**fields: object) -> Outgoing:
    return msgspec.structs.replace(FINE, **fields)


@pytest.mark.parametrize(
    "message",
    [
        FINE,
        changed(body=b"x" * BODY_BYTES_MAX),
        changed(headers={"saga-a": "x" * (HEADERS_BYTES_MAX - len("saga-a"))}),
        changed(routing_key="ü" * 127 + "x"),
        changed(headers={}),
    ],
    ids=["ordinary", "largest body", "largest headers", "longest key", "no headers"],
)
def test_what_is_at_the_limit_fits(message: Outgoing) -> None:
    """Limits are inclusive, in bytes."""
    assert unsendable(message) is None


@pytest.mark.parametrize(
    ("message", "place"),
    [
        (changed(body=b"x" * (BODY_BYTES_MAX + 1)), "body"),
        (changed(body="text"), "body"),
        (changed(headers={"saga-a": "x" * HEADERS_BYTES_MAX}), "headers"),
        (changed(headers={"saga-a": "ü" * (HEADERS_BYTES_MAX // 2)}), "headers"),
        (changed(headers={"": "x"}), "header name"),
        (changed(headers={"h" * 129: "x"}), "header name"),
        (changed(headers={"saga-a": 1}), "header"),
        (changed(headers={"saga-a": None}), "header"),
        (changed(headers={"saga-a": "\udfff"}), "UTF-8"),
        (changed(routing_key="ü" * 128), "routing_key"),
        (changed(type="x" * 256), "type"),
        (changed(correlation_id=None), "text"),
        (changed(reply_to="\ud800"), "UTF-8"),
        (changed(message_id=""), "message_id"),
    ],
)
def test_what_does_not_fit_is_named_with_a_fix(message: Outgoing, place: str) -> None:
    """The sentence says where, why and what to do."""
    problem = unsendable(message)
    assert problem is not None
    assert place in problem
    assert "Fix:" in problem


def test_sizes_are_bytes() -> None:
    """Not characters."""
    assert headers_size([("ü", "ab"), ("c", "€")]) == 2 + 2 + 1 + 3
