"""What every store does alike with what it keeps: text that fits a column, ids that carry a time, applied migrations.

Memory, SQLite and Postgres answer the same because they share these rules, not because they copy each other.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec

from saga.core.errors import BadValue, SchemaMismatch
from saga.core.state import View

MessageT = TypeVar("MessageT", bound=msgspec.Struct)

INDEXED_BYTES_MAX = 512
"""A longer key would not fit an index page of Postgres and would take the whole batch down with it."""
PAGE_ROWS_MAX = 10_000
"""Rows of one page, whatever was asked for."""
ROW_NUMBER_MAX = 2**63 - 1

_SAGA_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_saga_id(text: str) -> bool:
    """Whether this can be the id of a saga at all: a UUID in its canonical lower-case form."""
    return _SAGA_ID.fullmatch(text) is not None


def started_at(saga: str) -> datetime:
    """The time in a UUIDv7, to the millisecond: when the saga was started."""
    return _EPOCH + timedelta(milliseconds=int(saga[:8] + saga[9:13], 16))


def first_id_at(when: datetime) -> str:
    """The smallest id of a saga started at `when`, to the millisecond: compares with ids as text."""
    milliseconds = min(max((when - _EPOCH) // timedelta(milliseconds=1), 0), 2**48 - 1)
    digits = f"{milliseconds:012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"


def stored_text(text: str) -> str:
    """The text as a column keeps it: NUL and lone surrogates, which Postgres refuses, become U+FFFD."""
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSTORABLE.sub("\ufffd", text)


def indexed_text(text: str) -> str:
    """As `stored_text`, and cut to what an index takes: a longer text keeps its head and ends in its digest."""
    kept = stored_text(text)
    encoded = kept.encode()
    if len(encoded) <= INDEXED_BYTES_MAX:
        return kept
    digest = hashlib.blake2b(encoded, digest_size=16).hexdigest()
    return f"{encoded[: INDEXED_BYTES_MAX - 40].decode(errors='ignore')}…{digest}"


def stored_mapping(mapping: Mapping[str, str]) -> dict[str, str]:
    """Headers as they are kept."""
    return {stored_text(key): stored_text(value) for key, value in mapping.items()}


def indexed_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as a row has them, and as a search for them must ask."""
    return {stored_text(name): indexed_text(value) for name, value in tags.items()}


def page_limit(limit: int) -> int:
    """How many rows a page may have: what was asked for, within reason."""
    return min(max(limit, 0), PAGE_ROWS_MAX)


def cursor_id(saga: str) -> str:
    """A page's cursor, checked. Raises BadValue for what is no saga id."""
    if not is_saga_id(saga):
        raise BadValue(f"before: {saga[:80]!r} is no saga id. Fix: pass the last id of the page before")
    return saga


def row_number(number: int) -> int:
    """A number as a column takes it; outside of its range there are no rows."""
    return max(min(number, ROW_NUMBER_MAX), -1)


class Migration(msgspec.Struct, frozen=True):
    """One numbered step of a schema."""

    name: str
    """`NNNN_what`, from its file name; names are applied in order."""
    sql: str

    @property
    def checksum(self) -> str:
        """Of the text, whatever line ends the checkout gave it."""
        return hashlib.sha256(self.sql.replace("\r\n", "\n").encode()).hexdigest()


def missing_migrations(released: Sequence[Migration], applied: Mapping[str, str]) -> list[Migration]:
    """The released migrations that are not applied, in order; `applied` maps names to checksums.

    A store may be ahead of this release: that is a rolling deployment. Raises SchemaMismatch when an applied
    migration has another text now, or when one is missing below an applied one.
    """
    ordered = sorted(released, key=lambda migration: migration.name)
    missing = [migration for migration in ordered if migration.name not in applied]
    for migration in ordered:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise SchemaMismatch(
                f"migration {migration.name} was applied with another text than this release has. "
                "Fix: run the release that applied it, or restore the file; a change is a new migration"
            )
    if missing and applied and missing[0].name < max(applied):
        raise SchemaMismatch(
            f"migration {missing[0].name} is not applied although the later {max(applied)} is. "
            "Fix: give it a number above every applied one"
        )
    return missing


def distinct_ids(sagas: Sequence[str]) -> None:
    """Check the sagas of a batch. Raises ValueError for one named twice, and for what is no saga id."""
    if len(set(sagas)) != len(sagas):
        twice = next(saga for saga in sagas if sagas.count(saga) > 1)
        raise ValueError(f"saga {twice} stands twice in one batch. Fix: one commit of a saga for each batch")
    for saga in sagas:
        if not is_saga_id(saga):
            raise ValueError(f"{saga[:80]!r} is no saga id. Fix: take ids from the Ids port (UUIDv7, lower case)")


def stored_view(view: View) -> View:
    """A view as a row keeps it."""
    return View(
        status=indexed_text(view.status),
        wait_kind=indexed_text(view.wait_kind),
        wait_text=stored_text(view.wait_text),
        tags=indexed_tags(view.tags) if view.tags else view.tags,
    )


def stored_message(message: MessageT) -> MessageT:
    """A parked message as its row keeps it: text and headers stored, bytes untouched."""
    kept: dict[str, object] = {}
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if isinstance(value, str):
            kept[name] = stored_text(value)
        elif isinstance(value, dict):
            kept[name] = stored_mapping(value)
    return msgspec.structs.replace(message, **kept)


def content_digest(message: msgspec.Struct) -> bytes:
    """16 bytes naming a parked message: the same message parked again, by a redelivery or a repeated commit."""
    return hashlib.blake2b(msgspec.json.encode(message, order="deterministic"), digest_size=16).digest()
