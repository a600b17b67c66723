"""Parked messages in memory, and what operators did with them."""

from collections import Counter
from datetime import datetime

import msgspec

from saga.core import rows
from saga.ports import ParkedAction, ParkedCount, ParkedFilter, ParkedMessage, ParkedRow


class ParkedTable:
    """Every parked message by its number, which is its place in the list plus one."""

    def __init__(self) -> None:
        self.rows: list[ParkedRow] = []
        self._digests: dict[bytes, int] = {}

    def park(self, message: ParkedMessage, now: datetime) -> None:
        """Keep it, unless it is kept already."""
        kept, number = rows.stored_message(message), len(self.rows) + 1
        if kept.message_id and self._digests.setdefault(rows.content_digest(kept), number) != number:
            return
        self.rows.append(ParkedRow(number, now, kept))

    def page(self, where: ParkedFilter, before: int | None, limit: int) -> list[ParkedRow]:
        """See `ParkedMessages.parked`."""
        found = [row for row in self.rows if (before is None or row.id < before) and _matches(row, where)]
        return (found[::-1] if where.after is None else found)[: rows.page_limit(limit)]

    def counts(self, newest: int) -> list[ParkedCount]:
        """See `ParkedMessages.parked_counts`."""
        counted = self.page(ParkedFilter(settled=False), None, newest)[::-1]
        numbers = Counter((row.message.reason, row.message.origin) for row in counted)
        first = {(row.message.reason, row.message.origin): row for row in reversed(counted)}
        ordered = sorted(numbers, key=lambda each: (-numbers[each], each))
        return [
            ParkedCount(origin, reason, numbers[reason, origin], first[reason, origin].id, first[reason, origin].at)
            for reason, origin in ordered
        ]

    def note(self, number: int, action: ParkedAction, now: datetime) -> bool:
        """See `ParkedMessages.note_parked`."""
        if not 0 < number <= len(self.rows):
            return False
        row = self.rows[number - 1]
        said = ParkedAction(action.verb, rows.stored_text(action.actor), rows.stored_text(action.reason), now)
        settled = row.settled if action.verb == "redriving" else action.verb
        self.rows[number - 1] = msgspec.structs.replace(row, settled=settled, actions=(*row.actions, said))
        self._digests = {digest: kept for digest, kept in self._digests.items() if kept != number}
        return True


def _matches(row: ParkedRow, where: ParkedFilter) -> bool:
    wanted = [(where.origin, row.message.origin), (where.reason, row.message.reason)]
    return (
        (not where.ids or row.id in where.ids)
        and all(want is None or rows.stored_text(want) == have for want, have in wanted)
        and (where.settled is None or where.settled == (row.settled is not None))
        and (where.after is None or row.id > where.after)
    )
