"""Messages of the size that the engine sends: the same exchanges, properties and number of headers."""

from saga.ports import Delivery, Outgoing

SERVICE = "floor"
STEPS = ("reserve", "charge", "book", "confirm")
BODY = b'{"order_id":"%b","amount_cents":2000}'
REPLY = b'{"reference":"%b-%b"}'
_HASH = "0123456789abcdef0123456789abcdef"
_TRACE = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


def start(order_id: str, message_id: str, reply_to: str) -> Outgoing:
    """Asks for an order."""
    headers = {"saga-key": order_id, "saga-version": "1"}
    body = BODY % order_id.encode()
    return Outgoing("saga.start", SERVICE, body, message_id, SERVICE, headers, reply_to=reply_to)


def command(saga: str, order_id: str, step: int, body: bytes) -> Outgoing:
    """Asks for a step."""
    headers = {
        "saga-key": order_id,
        "saga-name": SERVICE,
        "saga-version": "1",
        "saga-step": STEPS[step],
        "saga-kind": "action",
        "saga-execution": "1",
        "saga-attempt": "1",
        "saga-idempotency-key": f"{saga[:31]}{step}",
        "saga-expires-at": "2030-01-01T00:00:00.000000Z",
        "traceparent": _TRACE,
    }
    key = f"{SERVICE}.{STEPS[step].title()}.v1"
    return Outgoing("saga.commands", key, body, f"{saga}{step}", key, headers, correlation_id=saga)


def reply(asked: Delivery) -> Outgoing:
    """Answers a step."""
    given = asked.headers
    headers = {
        "saga-step": given["saga-step"],
        "saga-kind": given["saga-kind"],
        "saga-execution": given["saga-execution"],
        "saga-attempt": given["saga-attempt"],
        "saga-idempotency-key": given["saga-idempotency-key"],
        "saga-key": given["saga-key"],
        "saga-in-reply-to": asked.message_id,
        "saga-outcome": "ok",
        "saga-effect": "applied",
        "saga-handler-ms": "1",
        "traceparent": given["traceparent"],
    }
    body = REPLY % (given["saga-step"].encode(), given["saga-key"].encode())
    message_id = f"r{asked.message_id}"
    return Outgoing(
        "saga.replies", f"{SERVICE}.ok", body, message_id, "floor.Done.v1", headers, correlation_id=asked.correlation_id
    )


def result(kind: str, saga: str, message_id: str, reply_to: str) -> Outgoing:
    """Tells the caller."""
    headers = {"saga-in-reply-to": message_id}
    body = b'{"saga":"%b","status":"completed","output":{"reference":"confirm"}}' % saga.encode()
    name = f"saga.{kind}.v1"
    return Outgoing("saga.results", reply_to, body, f"{kind}{message_id}", name, headers, mandatory=False)
