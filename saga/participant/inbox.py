"""The inbox: one row a key, in the service's own database. What to do with a row is decided in `rules`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from saga.core.messages import CommandMessage, Kind, ReplyEffect
from saga.cost import Cost, read, spelt
from saga.participant.rules import InboxRow, RowStatus, payload_hash
from saga.ports import Transaction

Dialect = Literal["postgres", "sqlite"]

_FOLDER = Path(__file__).parent / "sql"
_RECORD_COLUMNS = 12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Looked(msgspec.Struct, frozen=True):
    """A key as one transaction found it."""

    locked: bool
    """Whether this transaction holds the key now. If not, somebody else is at it."""
    row: InboxRow | None
    now: datetime
    """By the database's clock, which all consumers of the queue share."""
    token: str
    """Random, from the database: makes an owner that no other delivery has, whatever processes call themselves."""


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What a key is remembered for."""

    status: RowStatus
    reply_type: str = ""
    reply: bytes = b""
    code: str = ""
    effect: ReplyEffect
    cost: Cost | None = None
    now: datetime
    remembers: timedelta


class Claim(msgspec.Struct, frozen=True):
    """Who answers for a row in progress, and until when."""

    owner: str
    until: datetime


async def look(tx: Transaction, dialect: Dialect, key: str) -> Looked:
    """Take the key for this transaction, without waiting, and read its row."""
    [found] = await tx.execute(_statement(f"{dialect}/look"), key)
    return _looked(key, found)


async def look_all(tx: Transaction, dialect: Dialect, keys: Sequence[str]) -> dict[str, Looked]:
    """`look` at several keys, each named once, in one round trip."""
    found = await tx.execute(_statement(f"{dialect}/look_all"), msgspec.json.encode(keys).decode())
    return {str(key): _looked(str(key), columns) for *columns, key in found}


async def claim(tx: Transaction, command: CommandMessage, by: Claim, *, now: datetime, remembers: timedelta) -> bool:
    """Write the first row of a key: in progress. False if somebody was faster."""
    return bool(
        await tx.execute(
            _statement("claim"),
            command.key,
            command.type_name,
            payload_hash(command.body),
            _kept_body(command),
            by.owner,
            _milliseconds(by.until),
            _milliseconds(now),
            _milliseconds(now + remembers),
        )
    )


async def take_over(tx: Transaction, stale: InboxRow, by: Claim) -> bool:
    """Answer for an interrupted row from now on. False if somebody else does meanwhile, or it was settled."""
    if stale.lease_until is None:
        return False
    old = _milliseconds(stale.lease_until)
    return bool(
        await tx.execute(_statement("take_over"), stale.key, by.owner, _milliseconds(by.until), stale.owner, old)
    )


async def renew(tx: Transaction, key: str, by: Claim) -> bool:
    """Move the end of a lease; a time in the past gives the row up. False if it is no longer ours."""
    return bool(await tx.execute(_statement("renew"), key, by.owner, _milliseconds(by.until)))


async def record(tx: Transaction, command: CommandMessage, settlement: Settlement) -> bool:
    """Write the first and last row of a key: settled. False if somebody was faster."""
    return bool(await tx.execute(_statement("record"), *_recorded(command, settlement)))


async def record_all(tx: Transaction, settled: Sequence[tuple[CommandMessage, Settlement]]) -> bool:
    """`record` for several keys in one round trip. False if somebody was faster with any: leave the transaction."""
    values = [value for command, settlement in settled for value in _recorded(command, settlement)]
    return len(await tx.execute(_record_statement(len(settled)), *values)) == len(settled)


async def tombstone(tx: Transaction, key: str, *, now: datetime, remembers: timedelta) -> bool:
    """Cancel a key that never came. False if it came meanwhile."""
    settlement = Settlement(status=RowStatus.CANCELLED, effect=ReplyEffect.NONE, now=now, remembers=remembers)
    return bool(await tx.execute(_statement("record"), key, settlement.status, None, None, None, *_answer(settlement)))


async def settle(tx: Transaction, key: str, owner: str, settlement: Settlement) -> bool:
    """End a row in progress. False if it is no longer ours."""
    return bool(await tx.execute(_statement("settle"), key, owner, settlement.status, *_answer(settlement)))


async def purge(tx: Transaction, dialect: Dialect, limit: int) -> int:
    """Forget up to `limit` rows whose contract says so; returns how many there were."""
    now = (await look(tx, dialect, "purge")).now
    return len(await tx.execute(_statement("purge"), _milliseconds(now), limit))


@cache
def _statement(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


@cache
def _record_statement(rows_count: int) -> str:
    """record.sql for several rows, all its parameters renumbered: an array is not something every driver takes."""
    rows = (range(row * _RECORD_COLUMNS + 1, (row + 1) * _RECORD_COLUMNS + 1) for row in range(rows_count))
    one, *more = (f"({', '.join(f'${number}' for number in row)})" for row in rows)
    return _statement("record").replace(one, ",\n    ".join((one, *more)))


def _looked(key: str, found: Sequence[object]) -> Looked:
    locked, now_ms, token, *columns = found
    return Looked(bool(locked), _row(key, columns), _moment(now_ms), str(token))


def _row(key: str, columns: Sequence[object]) -> InboxRow | None:
    if columns[0] is None:
        return None
    stored = msgspec.convert(columns, _Columns)
    return InboxRow(
        key=key,
        status=stored.status,
        command_type=stored.command_type,
        command_hash=stored.command_hash,
        command=stored.command,
        reply_type=stored.reply_type,
        reply=stored.reply,
        code=stored.code,
        effect=stored.effect,
        cost=read(stored.cost) if stored.cost else None,
        owner=stored.owner,
        lease_until=None if stored.lease_until is None else _moment(stored.lease_until),
    )


class _Columns(msgspec.Struct, array_like=True):
    """As look.sql selects them."""

    status: RowStatus
    command_type: str | None
    command_hash: bytes | None
    command: bytes | None
    reply_type: str
    reply: bytes
    code: str
    effect: ReplyEffect
    cost: str
    owner: str | None
    lease_until: int | None


def _recorded(command: CommandMessage, settlement: Settlement) -> tuple[object, ...]:
    """The parameters of record.sql."""
    identity = (command.key, settlement.status, command.type_name, payload_hash(command.body), _kept_body(command))
    return (*identity, *_answer(settlement))


def _answer(settlement: Settlement) -> tuple[object, ...]:
    return (
        settlement.reply_type,
        settlement.reply,
        settlement.code,
        settlement.effect.value,
        _milliseconds(settlement.now),
        _milliseconds(settlement.now + settlement.remembers),
        spelt(settlement.cost) if settlement.cost else "",
    )


def _kept_body(command: CommandMessage) -> bytes | None:
    """An action's bytes are kept for its undo; a compensation's are in the message that repeats it."""
    return command.body if command.kind is Kind.ACTION else None


def _moment(milliseconds: object) -> datetime:
    return _EPOCH + timedelta(milliseconds=msgspec.convert(milliseconds, int))


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND
