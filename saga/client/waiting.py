"""What is waited for, and what was heard: any number may wait for one answer, and an end is at hand for a while."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from saga.core.messages import ResultMessage


class _Waited:
    def __init__(self) -> None:
        self.answer: asyncio.Future[ResultMessage] = asyncio.get_running_loop().create_future()
        self.waiting_count = 0


class Waits:
    """Answers that somebody waits for, by the question's id; the last one to leave takes the question along."""

    def __init__(self) -> None:
        self._waited: dict[str, _Waited] = {}

    def __len__(self) -> int:
        return len(self._waited)

    @contextmanager
    def waiting(self, message_id: str) -> Iterator[asyncio.Future[ResultMessage]]:
        """The answer, to be awaited inside the block. It belongs to all who wait: never cancel it."""
        waited = self._waited.get(message_id)
        if waited is None:
            waited = self._waited[message_id] = _Waited()
        waited.waiting_count += 1
        try:
            yield waited.answer
        finally:
            waited.waiting_count -= 1
            if waited.waiting_count == 0:
                del self._waited[message_id]

    def hear(self, answer: ResultMessage) -> bool:
        """Tell those who wait for it; False when nobody does."""
        waited = self._waited.get(answer.in_reply_to)
        if waited is None:
            return False
        if not waited.answer.done():
            waited.answer.set_result(answer)
        return True


class Shelf:
    """Ends that were heard, by the question's id: so many, of so many bytes. The oldest goes first, and is told again
    when somebody asks for it."""

    def __init__(self, count_max: int, bytes_max: int) -> None:
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._ends: OrderedDict[str, ResultMessage] = OrderedDict()
        self._size_bytes = 0

    def __len__(self) -> int:
        return len(self._ends)

    def __contains__(self, message_id: object) -> bool:
        return message_id in self._ends

    def put(self, end: ResultMessage) -> None:
        """On top; what was there under the same id is replaced."""
        self.take(end.in_reply_to)
        self._ends[end.in_reply_to] = end
        self._size_bytes += len(end.output)
        while len(self._ends) > self._count_max or self._size_bytes > self._bytes_max:
            self.take(next(iter(self._ends)))

    def take(self, message_id: str) -> ResultMessage | None:
        """The end, which is here no more; None when it is not there."""
        end = self._ends.pop(message_id, None)
        if end is not None:
            self._size_bytes -= len(end.output)
        return end
