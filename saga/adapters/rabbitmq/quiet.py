"""Keeps the client library's log lines few: it logs each failed reconnect, some with a traceback."""

import logging

REPEAT_SECONDS = 30.0
_LOGGERS = (
    "aiormq.connection",
    "aiormq.channel",
    "aio_pika.connection",
    "aio_pika.channel",
    "aio_pika.tools",
)


class _OncePerPeriod(logging.Filter):
    """Lets one line of a kind through in `REPEAT_SECONDS`; the next one says how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = (record.module, record.lineno)
        since, left_out = self._seen.get(kind, (float("-inf"), 0))
        if record.created - since < REPEAT_SECONDS:
            self._seen[kind] = (since, left_out + 1)
            return False
        self._seen[kind] = (record.created, 0)
        if left_out:
            record.msg = f"{record.getMessage()} ({left_out} more in the last period)"
            record.args = ()
        return True


_FILTER = _OncePerPeriod()


def quieten_client_logs() -> None:
    """Idempotent: a logger keeps each filter once."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)
