"""What notifications does: sends one mail, and knows exactly when it cannot tell whether it did."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from contracts.notifications import MailSent, SendMail, SendMessage
from saga.contract import Context, RetryLater
from services.notifications.smtp import NotSent, deliver, written

EXCHANGES_MAX = 64
PATIENCE = timedelta(minutes=2)
"""Below the `timeout` of steps that send mail, and well below the 15 minutes a handler may take."""
PAUSE = timedelta(milliseconds=500)


class MailRoom:
    """The handler, tied to one mail server."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        patience: timedelta = PATIENCE,
        pause: timedelta = PAUSE,
        timeout_seconds: float = 30,
    ) -> None:
        self._server = (host, port)
        self._patience = patience
        self._pause = pause
        self._timeout_seconds = timeout_seconds
        self._threads = ThreadPoolExecutor(EXCHANGES_MAX, thread_name_prefix="smtp")

    async def send(self, cmd: SendMail | SendMessage, ctx: Context) -> MailSent:
        """Send the mail.

        A command that is tried at most once gets no second attempt from the engine, so what certainly did not happen
        is tried again here. Raises InDoubt when the server may have taken the mail without saying so.
        """
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._patience.total_seconds()
        mail = written(cmd, ctx)
        while True:
            try:
                await loop.run_in_executor(self._threads, deliver, self._server, mail, self._timeout_seconds)
            except NotSent as reason:
                if reason.permanent or loop.time() >= give_up_at:
                    raise RetryLater(str(reason), code="not-sent") from reason
                await asyncio.sleep(self._pause.total_seconds())
            else:
                return MailSent(mail_id=str(mail["Message-ID"]))  # the header is a str of its own class
