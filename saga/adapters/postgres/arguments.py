"""Values of the ports turned into the array parameters of the commit statement: one array a column."""

from collections.abc import Mapping, Sequence

import msgspec

from saga.core.rows import content_digest, indexed_tags, indexed_text, stored_mapping, stored_message, stored_text
from saga.ports import Advance, Batch, NewSaga, ParkedMessage


def commit_arguments(batch: Batch) -> list[Sequence[object]]:
    """The parameters of sql/commit.sql, in their order."""
    return [*_advances(batch.advances), *_starts(batch.starts), *_parked(batch.parked)]


def json_text(mapping: Mapping[str, str]) -> str:
    """A jsonb parameter."""
    return msgspec.json.encode(stored_mapping(mapping)).decode() if mapping else "{}"


def _advances(advances: Sequence[Advance]) -> list[Sequence[object]]:
    return [
        [advance.saga for advance in advances],
        [advance.expected_version for advance in advances],
        [indexed_text(advance.view.status) for advance in advances],
        [indexed_text(advance.view.wait_kind) for advance in advances],
        [stored_text(advance.view.wait_text) for advance in advances],
        [json_text(indexed_tags(advance.view.tags)) for advance in advances],
        [advance.alarm for advance in advances],
        [None if isinstance(advance.wake_at, msgspec.UnsetType) else advance.wake_at for advance in advances],
        [stored_text(advance.cause) for advance in advances],
        [advance.data for advance in advances],
    ]


def _starts(starts: Sequence[NewSaga]) -> list[Sequence[object]]:
    return [
        [start.saga for start in starts],
        [indexed_text(start.name) for start in starts],
        [indexed_text(start.start_key) for start in starts],
        [start.input_hash for start in starts],
        [start.root for start in starts],
        [start.parent for start in starts],
        [stored_text(start.definition) for start in starts],
        [indexed_text(start.view.status) for start in starts],
        [indexed_text(start.view.wait_kind) for start in starts],
        [stored_text(start.view.wait_text) for start in starts],
        [json_text(indexed_tags(start.view.tags)) for start in starts],
        [start.wake_at for start in starts],
        [stored_text(start.cause) for start in starts],
        [start.data for start in starts],
    ]


def _parked(parked: Sequence[ParkedMessage]) -> list[Sequence[object]]:
    kept = [stored_message(message) for message in parked]
    return [
        [content_digest(message) if message.message_id else None for message in kept],
        [message.origin for message in kept],
        [message.reason for message in kept],
        [message.detail for message in kept],
        [message.exchange for message in kept],
        [message.routing_key for message in kept],
        [message.body for message in kept],
        [json_text(message.headers) for message in kept],
        [message.message_id for message in kept],
        [message.correlation_id for message in kept],
        [message.type for message in kept],
        [message.reply_to for message in kept],
        [message.sender for message in kept],
    ]
