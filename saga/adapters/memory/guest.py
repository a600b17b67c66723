"""The in-memory broker of another process on this machine, as a bus: see `saga.adapters.memory.sharing`."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec

from saga.adapters.memory.sharing import Arrival, Frames, Hello, Settlement, Welcome, socket_path
from saga.core.limits import unsendable
from saga.ports import Delivery, MissingQueue, Outgoing, Sent, Unavailable

CALL_SECONDS_MAX = 10.0


class GuestBus:
    """`saga.ports.Bus`. When the other process dies and comes back, the next call connects again."""

    def __init__(self, folder: Path, user: str) -> None:
        """Raises Unavailable for a folder whose path is too long."""
        self._path = socket_path(folder)
        self.user = user
        self._publishing: Frames | None = None
        self._turn = asyncio.Lock()
        self._clients: dict[str, str] = {}
        self._subscriptions: list[GuestSubscription] = []
        self._closed = False

    @classmethod
    async def open(cls, folder: Path, *, user: str) -> "GuestBus":
        """Connect. Raises Unavailable when nobody is there."""
        bus = cls(folder, user)
        bus._publishing, _ = await greeted(bus._path, Hello(user))
        return bus

    async def publish(self, messages: Sequence[Outgoing]) -> list[Sent]:
        """Publish all; one result a message, in order. `unknown` for all when the other process is away."""
        if self._closed:
            return [Sent("unknown", "the bus is closed; nothing was sent") for _ in messages]
        # What breaks a limit is refused here: it might not even fit a frame.
        problems = [unsendable(message) for message in messages]
        fit = [message for message, problem in zip(messages, problems, strict=True) if problem is None]
        sent = iter(await self._sent(fit))
        return [next(sent) if problem is None else Sent("refused", problem) for problem in problems]

    async def _sent(self, messages: Sequence[Outgoing]) -> list[Sent]:
        async with self._turn:
            try:
                async with asyncio.timeout(CALL_SECONDS_MAX):
                    if self._publishing is None:
                        self._publishing, _ = await greeted(self._path, Hello(self.user))
                    await self._publishing.write(list(messages))
                    return await self._publishing.read(list[Sent])
            except (OSError, EOFError, Unavailable) as problem:
                self._hang_up()
                return [Sent("unknown", str(problem) or "the other process is gone") for _ in messages]
            except BaseException:  # cancelled in the middle: the answer that comes would be taken for the next one's
                self._hang_up()
                raise

    async def consume(self, queue: str, prefetch: int) -> "GuestSubscription":
        """Open a subscription, connected again when the other process comes back. Raises Unavailable, MissingQueue."""
        if self._closed:
            raise Unavailable("the bus is closed")
        hello = Hello(self.user, queue, prefetch, self._clients.get(queue, ""))
        subscription = GuestSubscription(self._path, hello)
        await subscription.connect()
        self._subscriptions.append(subscription)
        return subscription

    async def declare_results(self, client: str, *, kept: timedelta = timedelta.max) -> tuple[str, str]:  # noqa: ARG002
        """Make a caller's own queue; returns its name and its `reply_to`. It is kept as long as the other process
        lives. Raises Unavailable."""
        frames, welcome = await greeted(self._path, Hello(self.user, client=client))
        frames.close()
        self._clients[welcome.results_queue] = client
        return welcome.results_queue, welcome.reply_to

    async def close(self) -> None:
        """Close every connection."""
        self._closed = True
        self._hang_up()
        for subscription in self._subscriptions:
            await subscription.close()

    def _hang_up(self) -> None:
        if self._publishing is not None:
            self._publishing.close()
            self._publishing = None


class GuestSubscription:
    """Deliveries of one queue. Those of a connection that was lost can no longer be settled: they come again."""

    def __init__(self, path: Path, hello: Hello) -> None:
        self._path = path
        self._hello = hello
        self._frames: Frames | None = None
        self._before = 0
        """The last token of connections that are gone: tokens begin anew with each."""
        self._last = 0
        self._closed = False

    @property
    def trouble(self) -> str | None:
        """Why nothing can arrive now."""
        return f"{self._path}: the process behind it is gone" if self._frames is None else None

    async def connect(self) -> Frames:
        """Raises Unavailable, MissingQueue."""
        self._frames, _ = await greeted(self._path, self._hello)
        self._before = self._last
        return self._frames

    async def receive(self) -> Sequence[Delivery]:
        """Wait for deliveries. Raises Unavailable while the other process is away, MissingQueue when its queue goes."""
        if self._closed:
            raise Unavailable(f"the subscription of {self._hello.queue} is closed")
        frames = self._frames or await self.connect()
        try:
            arrival = await frames.read(Arrival)
        except (OSError, EOFError) as error:
            raise self._lost() from error
        if arrival.queue_missing:
            raise MissingQueue(arrival.queue_missing)
        deliveries = [
            msgspec.structs.replace(delivery, token=delivery.token + self._before) for delivery in arrival.deliveries
        ]
        self._last = deliveries[-1].token
        return deliveries

    async def settle(self, acked: Sequence[Delivery], released: Sequence[Delivery] = ()) -> None:
        """Acknowledge and give back. Deliveries of a connection that is gone are ignored: they come again."""
        frames, before = self._frames, self._before
        if frames is None:
            return
        settlement = Settlement(
            [delivery.token - before for delivery in acked if delivery.token > before],
            [delivery.token - before for delivery in released if delivery.token > before],
        )
        try:
            await frames.write(settlement)
        except OSError:
            if self._frames is frames:  # else it is connected again by now
                self._lost()

    async def close(self) -> None:
        """Stop consuming; what is not settled goes back to the queue."""
        self._closed = True
        self._lost()

    def _lost(self) -> Unavailable:
        if self._frames is not None:
            self._frames.close()
            self._frames = None
        return Unavailable(f"{self._path}: the process behind it is gone", code="SAGA-4012")


async def greeted(path: Path, hello: Hello) -> tuple[Frames, Welcome]:
    """A connection that was accepted. Raises Unavailable, MissingQueue."""
    try:
        frames = Frames(*await asyncio.open_unix_connection(path))
        welcome = await _answer(frames, hello)
    except (OSError, EOFError) as error:
        raise Unavailable(
            f"{path}: nobody listens there ({type(error).__name__}). Fix: start `saga dev --state {path.parent}`",
            code="SAGA-4012",
        ) from error
    if welcome.problem:
        frames.close()
        raise MissingQueue(welcome.problem) if welcome.queue_missing else Unavailable(welcome.problem)
    return frames, welcome


async def _answer(frames: Frames, hello: Hello) -> Welcome:
    try:
        async with asyncio.timeout(CALL_SECONDS_MAX):
            await frames.write(hello)
            return await frames.read(Welcome)
    except BaseException:
        frames.close()
        raise
