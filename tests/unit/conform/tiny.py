"""A participant as small as the wire contract allows, on the in-memory bus, with one flaw if a test wants it."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import msgspec

from saga.core.topology import command_queue
from saga.ports import Bus, Delivery, Outgoing

ECHOED = ("saga-step", "saga-kind", "saga-execution", "saga-attempt", "saga-idempotency-key", "traceparent")
NEEDED = ECHOED[:5]
NEVER = "9999-01-01T00:00:00Z"


class Row(msgspec.Struct):
    """What is remembered of a key."""

    hash: str
    outcome: str
    code: str = ""
    effect: str = "applied"
    body: bytes = b""


class Tiny:
    """Serves `tiny.Do.v1` and `tiny.Undo.v1`: it counts, and declines what says so."""

    def __init__(self, bus: Bus, *, flaw: str = "") -> None:
        self.rows: dict[str, Row] = {}
        self.done = 0
        self.declined = 0
        self._bus = bus
        self._flaw = flaw

    async def serve(self) -> None:
        """Until cancelled."""
        subscription = await self._bus.consume(command_queue("tiny"), 100)
        while True:
            deliveries = await subscription.receive()
            before = dict(self.rows)
            messages: list[Outgoing] = []
            for delivery in deliveries:
                known = self.rows
                if self._flaw == "at-once":  # as several processes would, each with what it read before
                    self.rows = dict(before)
                messages += self._answer(delivery)
                self.rows = {**known, **self.rows}
            await self._bus.publish(messages)
            await subscription.settle(deliveries)

    # ------------------------------------------------------------------------------------------------ the wire contract

    def _answer(self, command: Delivery) -> list[Outgoing]:
        if any(name not in command.headers for name in (NEEDED[1:] if self._flaw == "missing-headers" else NEEDED)):
            return self._unreadable(command, "missing-header")
        try:
            text = command.body.decode(errors="replace" if self._flaw == "bad-utf8" else "strict")
            asked = json.loads(text, strict=self._flaw != "nul")
        except ValueError:
            if self._flaw == "alive":
                raise
            return [*self._unreadable(command, "not-json"), self._reply(command, Row("", "refused", "invalid-payload"))]
        return [self._reply(command, self._decide(command, asked))]

    def _decide(self, command: Delivery, asked: Any) -> Row:
        if command.routing_key not in ("tiny.Do.v1", "tiny.Undo.v1") and self._flaw != "unknown-command":
            return Row("", "refused", "unknown-command")
        expired = datetime.fromisoformat(command.headers.get("saga-expires-at", NEVER)) < datetime.now(UTC)
        if expired and self._flaw == "expired-known":
            return Row("", "refused", "expired")
        row = self._known(command)
        if row is not None:
            return row
        if expired and self._flaw != "expired-unknown":
            return self._kept(command, Row("", "refused", "expired"), keep=self._flaw == "refused-forgotten")
        if not isinstance(asked, dict) and self._flaw != "wrong-shape":
            return Row("", "refused", "invalid-payload")
        if command.headers["saga-kind"] == "compensation":
            return self._undo(command)
        if isinstance(asked, dict) and asked.get("decline"):
            code = "" if self._flaw == "codes" else "Declined"
            self.declined += 1
            body = json.dumps({"number": self.declined}).encode()
            declined = Row(hash_of(command, self._flaw), "failed", code, "none", body)
            return self._kept(command, declined, keep=self._flaw != "failed-remembered")
        self.done += 1
        applied = Row(hash_of(command, self._flaw), "ok", body=json.dumps({"number": self.done}).encode())
        return self._kept(command, applied, keep=self._flaw != "same-attempt")

    def _known(self, command: Delivery) -> Row | None:
        row = self.rows.get(command.headers["saga-idempotency-key"])
        if row is None:
            return None
        if row.outcome == "cancelled":
            return None if self._flaw == "late-action" else Row("", "refused", "cancelled")
        same = row.hash == hash_of(command, self._flaw)
        if not same and self._flaw != "other-bytes":
            return Row("", "refused", "key-reused")
        if self._flaw == "applied-twice":
            return row
        return msgspec.structs.replace(row, effect="none" if row.effect == "none" else "replayed")

    def _undo(self, command: Delivery) -> Row:
        key, knows_ok = command.headers["saga-undoes"], command.headers["saga-undoes-outcome"] == "ok"
        action = self.rows.get(key)
        nothing = Row(hash_of(command, self._flaw), "ok", effect="none", body=b"{}")
        if action is None and knows_ok and self._flaw != "undo-forgotten":
            return Row("", "refused", "in-doubt")
        if action is None:
            if self._flaw != "no-tombstone":
                self.rows[key] = Row("", "cancelled")
            if self._flaw == "undo-first":
                return Row(hash_of(command, self._flaw), "failed", "NotFound", "none", b"{}")
            return self._kept(command, nothing)
        if action.outcome != "ok" and self._flaw != "undo-failed":
            return self._kept(command, nothing)
        self.done -= 1
        undone = Row(hash_of(command, self._flaw), "ok", body=json.dumps({"left": self.done}).encode())
        return self._kept(command, undone, keep=self._flaw != "undo-again")

    # --------------------------------------------------------------------------------------------------------- messages

    def _unreadable(self, command: Delivery, reason: str) -> list[Outgoing]:
        if self._flaw == "not-parked":
            return []
        origin = {
            "saga-park-reason": reason,
            "saga-origin-queue": command.queue,
            "saga-origin-exchange": command.exchange,
            "saga-origin-routing-key": command.routing_key,
        }
        return [
            Outgoing(
                "saga.parking",
                command.queue,
                command.body,
                command.message_id,
                command.type,
                {**command.headers, **origin},
                correlation_id=command.correlation_id,
            )
        ]

    def _reply(self, command: Delivery, row: Row) -> Outgoing:
        headers = {name: command.headers[name] for name in ECHOED if name in command.headers}
        headers |= {"saga-in-reply-to": command.message_id, "saga-outcome": row.outcome, "saga-effect": row.effect}
        if row.code:
            headers["saga-code"] = row.code
        match self._flaw:
            case "echo":
                headers["saga-attempt"] = "1"
            case "trace":
                del headers["traceparent"]
            case "routing-key":
                headers["saga-outcome"] = "done"
            case "limits":
                headers["saga-message"] = "x" * 5_000
            case "bodies" if row.outcome == "ok":
                row = msgspec.structs.replace(row, body=b"done")
        settles = row.outcome in ("ok", "failed")
        name = {"ok": "Done", "failed": row.code or "Declined"}.get(row.outcome, "")
        return Outgoing(
            "saga.replies",
            f"tiny.{row.outcome}",
            row.body,
            f"{command.message_id}.reply",
            f"tiny.{name}.v1" if settles else "",
            headers,
            correlation_id=command.correlation_id,
        )

    def _kept(self, command: Delivery, row: Row, *, keep: bool = True) -> Row:
        if keep and (row.outcome != "refused" or self._flaw == "refused-forgotten"):
            self.rows[command.headers["saga-idempotency-key"]] = row
        return row


def hash_of(command: Delivery, flaw: str) -> str:
    """Of type and bytes."""
    meant = flaw == "bytes-as-sent"
    body = json.dumps(json.loads(command.body), sort_keys=True).encode() if meant else command.body
    kind = b"" if flaw == "other-command" else command.routing_key.encode()
    return hashlib.sha256(kind + b" " + body).hexdigest()
