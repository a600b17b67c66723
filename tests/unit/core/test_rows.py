"""What every store does alike: text, ids, pages, and which migrations are missing."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga.core import rows
from saga.core.errors import SchemaMismatch
from saga.core.rows import Migration, missing_migrations
from saga.core.state import View

ID = "01890a5d-ac96-774b-bcce-b302099a8057"
FIRST = Migration("0001_first", "create table a ();")
SECOND = Migration("0002_second", "create table b ();")
any_text = st.text(st.characters(exclude_categories=()))


@given(any_text)
def test_stored_text_fits_postgres_and_keeps_its_length(text: str) -> None:
    """No NUL, no surrogate, one character for each, and storing twice is storing once."""
    kept = rows.stored_text(text)
    assert "\x00" not in kept
    assert kept.encode().decode() == kept
    assert len(kept) == len(text)
    assert rows.stored_text(kept) == kept


@given(st.text())
def test_ordinary_text_is_untouched(text: str) -> None:
    """Only what cannot be kept is changed."""
    assert rows.stored_text(text) == text.replace("\x00", "\ufffd")


@given(any_text, st.integers(1, 60))
def test_indexed_text_fits_an_index(text: str, times: int) -> None:
    """However long and in whatever alphabet; storing twice is storing once."""
    kept = rows.indexed_text(text * times)
    assert len(kept.encode()) <= rows.INDEXED_BYTES_MAX
    assert rows.indexed_text(kept) == kept


def test_long_keys_stay_different() -> None:
    """The digest tells apart what the cut made alike; the head stays readable."""
    kept = {rows.indexed_text("k:" + "x" * 1_000 + end) for end in "ab"}
    assert len(kept) == 2
    assert all(text.startswith("k:xxx") for text in kept)


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001 - given UTC
def test_ids_and_times_agree(moment: datetime) -> None:
    """The first id of a moment says that moment, to the millisecond, and ids sort by it."""
    first = rows.first_id_at(moment)
    assert rows.is_saga_id(first)
    assert timedelta(0) <= moment - rows.started_at(first) < timedelta(milliseconds=1)
    assert first <= rows.first_id_at(moment + timedelta(milliseconds=1) if moment.year < 9999 else moment)


def test_a_known_uuid_tells_its_time() -> None:
    """Read as RFC 9562 lays it out."""
    assert rows.started_at("017f22e2-79b0-7cc3-98c4-dc0c0c07398f") == datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
    assert rows.first_id_at(datetime(1900, 1, 1, tzinfo=UTC)) == "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    "text", ["", "x", ID.upper(), ID.replace("-", ""), f"{{{ID}}}", f"{ID}\n", f" {ID}", ID[:-1] + "é"]
)
def test_only_the_canonical_form_is_an_id(text: str) -> None:
    """One saga has one spelling, in every store."""
    assert rows.is_saga_id(ID)
    assert not rows.is_saga_id(text)


def test_a_batch_of_distinct_ids_passes() -> None:
    """Twice the same, or no id at all, is refused by name."""
    rows.distinct_ids([ID, rows.first_id_at(datetime(2020, 1, 1, tzinfo=UTC))])
    with pytest.raises(ValueError, match=f"saga {ID} stands twice"):
        rows.distinct_ids([ID, ID])
    with pytest.raises(ValueError, match="'x' is no saga id"):
        rows.distinct_ids(["x"])


def test_pages_have_a_limit() -> None:
    """Neither negative nor endless."""
    assert [rows.page_limit(limit) for limit in (-1, 0, 7, 10**9)] == [0, 0, 7, rows.PAGE_ROWS_MAX]


def test_a_view_is_kept_as_a_row_keeps_it() -> None:
    """Each text by its own rule."""
    kept = rows.stored_view(View("s" * 600, "w\x00", "t\x00" * 600, {"a\x00": "\x00"}))
    assert (len(kept.status) < 600, kept.wait_kind, len(kept.wait_text)) == (True, "w\ufffd", 1_200)
    assert kept.tags == {"a\ufffd": "\ufffd"}


def test_missing_migrations_come_in_order() -> None:
    """Nothing applied: all; all applied: none; ahead of this release: none."""
    both = {FIRST.name: FIRST.checksum, SECOND.name: SECOND.checksum}
    assert missing_migrations([SECOND, FIRST], {}) == [FIRST, SECOND]
    assert missing_migrations([FIRST, SECOND], {FIRST.name: FIRST.checksum}) == [SECOND]
    assert missing_migrations([FIRST, SECOND], both | {"0003_later": "x"}) == []


def test_line_ends_are_no_change() -> None:
    """A checkout with other line ends has the same migration."""
    assert Migration("m", "a;\r\nb;\r\n").checksum == Migration("m", "a;\nb;\n").checksum


def test_a_store_that_went_another_way_is_refused() -> None:
    """A changed text, and a gap below what is applied: each names the migration and the fix."""
    with pytest.raises(SchemaMismatch, match=r"0001_first was applied with another text.*Fix:"):
        missing_migrations([FIRST], {FIRST.name: "other"})
    with pytest.raises(SchemaMismatch, match=r"0001_first is not applied although the later 0002_second is.*Fix:"):
        missing_migrations([FIRST, SECOND], {SECOND.name: SECOND.checksum})
