"""An arriving body is checked against the paths a definition reads, with what may be null and what may be missing."""

import pytest

from saga.core.reads import check_reads

READS = {
    "input.total": "decimal",
    "input.gift": "bool=",
    "input.coupon": "str?",
    "input.code": "str?=",
    "input.address": "object",
    "input.address.city": "str",
    "input.note": "object?=",
    "input.note.text": "str",
    "input.lines": "list",
    "input.lines[0]": "object=",
    "input.lines[0].sku": "str",
    'input["odd name"]': "int=",
    "charge.charge_id": "str",
    "charge": "object",
    "inputs.other": "int",
}
GOOD = b'{"total":"1.50","coupon":null,"address":{"city":"Ulm"},"lines":[]}'


def test_a_body_that_fits_is_accepted() -> None:
    """Only paths of its own source are looked at."""
    assert check_reads(READS, "input", GOOD) is None
    assert check_reads(READS, "charge", b'{"charge_id":"c"}') is None
    assert check_reads(READS, "unread", b"[]") is None


@pytest.mark.parametrize(
    ("old", "new", "place", "reason"),
    [
        (b'"total":"1.50"', b'"other":1', "input.total", "decimal is read here, but it is missing"),
        (b'"1.50"', b'"x"', "input.total", "decimal is read here, but it is a string"),
        (b'"1.50"', b"null", "input.total", "but it is null"),
        (b'"coupon":null', b'"coupon":1', "input.coupon", "str is read here, but it is a number"),
        (b'"coupon":null', b'"other":1', "input.coupon", "but it is missing"),
        (b'"coupon":null', b'"coupon":null,"gift":null', "input.gift", "but it is null"),
        (b'"coupon":null', b'"coupon":null,"gift":"yes"', "input.gift", "bool is read here"),
        (b'{"city":"Ulm"}', b"null", "input.address", "but it is null"),
        (b'{"city":"Ulm"}', b"[]", "input.address", "object is read here, but it is a list"),
        (b'{"city":"Ulm"}', b"{}", "input.address.city", "but it is missing"),
        (b'"coupon":null', b'"coupon":null,"note":{}', "input.note.text", "but it is missing"),
        (b"[]", b"[{}]", "input.lines[0].sku", "but it is missing"),
        (b"[]", b'["x"]', "input.lines[0]", "object is read here, but it is a string"),
        (b"[]", b"{}", "input.lines", "list is read here, but it is an object"),
        (b'"coupon":null', b'"coupon":null,"odd name":1.5', 'input["odd name"]', "int is read here"),
    ],
)
def test_a_body_that_does_not_fit_names_the_path(old: bytes, new: bytes, place: str, reason: str) -> None:
    """The first path that cannot be read as the definition reads it."""
    error = check_reads(READS, "input", GOOD.replace(old, new))
    assert error is not None
    assert error.place == place
    assert reason in error.reason


@pytest.mark.parametrize(
    "extra", [b'"gift":true', b'"code":null', b'"code":"x"', b'"note":null', b'"note":{"text":""}']
)
def test_what_may_be_missing_or_null_may_also_be_there(extra: bytes) -> None:
    """Marks allow, they do not demand."""
    assert check_reads(READS, "input", GOOD.replace(b"{", b"{" + extra + b",", 1)) is None


@pytest.mark.parametrize("body", [b"", b"\xff", b'{"total":"\xff"}', b"[" * 100_000, b"NaN", b"null", b"3"])
def test_hostile_bytes_are_an_answer_not_an_exception(body: bytes) -> None:
    """A body that is no JSON, or no object, is refused at its source."""
    error = check_reads(READS, "input", body)
    assert error is not None
    assert error.place == "input"


@pytest.mark.parametrize(("path", "kind"), [("input..x", "str"), ("input.x]", "str"), ("input.x", "string")])
def test_an_entry_that_is_none_is_an_answer(path: str, kind: str) -> None:
    """A definition from a store cannot take the orchestrator down."""
    error = check_reads({path: kind}, "input", b"{}")
    assert error is not None
    assert error.place == path
