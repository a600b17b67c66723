"""One SMTP exchange, split at the moment after which nobody can tell what happened."""

import re
import smtplib
from email.message import EmailMessage
from email.policy import SMTP

from contracts.notifications import SendMail, SendMessage
from saga.contract import Context, InDoubt

SENDER = "orders@shop.example"
PERMANENT_MIN = 500
TAKEN = 250
START_MAIL_INPUT = 354


class NotSent(Exception):
    """The server certainly did not take the mail."""

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


def written(cmd: SendMail | SendMessage, ctx: Context) -> EmailMessage:
    """The mail, with our key in a header. Its Message-ID is made from the key: it names the mail, once and for all."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = SENDER
    mail["To"] = cmd.to
    mail["Subject"] = " ".join(cmd.subject.splitlines())
    mail["Message-ID"] = f"<{ctx.key}@shop.example>"
    mail["X-Idempotency-Key"] = ctx.key
    mail["X-Reference"] = " ".join(cmd.reference.splitlines())
    mail.set_content(cmd.body if isinstance(cmd, SendMessage) else cmd.subject)
    return mail


def deliver(server: tuple[str, int], mail: EmailMessage, timeout_seconds: float) -> None:
    """Hand the mail to the server.

    Raises NotSent until the first byte of the mail is on its way, and for a reply that refuses it; InDoubt when the
    connection ends between that byte and the server's reply.
    """
    try:
        connection = smtplib.SMTP(*server, timeout=timeout_seconds)
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent(
            f"smtp://{server[0]}:{server[1]}: {type(error).__name__}: {error}", permanent=_permanent(error)
        ) from error
    try:
        _envelope(connection, mail)
        _content(connection, mail)
    finally:
        connection.close()


def _envelope(connection: smtplib.SMTP, mail: EmailMessage) -> None:
    try:
        connection.ehlo_or_helo_if_needed()
        for reply in (connection.mail(SENDER), connection.rcpt(mail["To"]), connection.docmd("DATA")):
            _refused(*reply)
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent(f"{type(error).__name__}: {error}", permanent=_permanent(error)) from error


def _content(connection: smtplib.SMTP, mail: EmailMessage) -> None:
    try:
        # A line that begins with a dot would end the mail (RFC 5321, 4.5.2).
        connection.send(re.sub(rb"(?m)^\.", b"..", mail.as_bytes()).rstrip(b"\r\n") + b"\r\n.\r\n")
        reply = connection.getreply()
    except (OSError, smtplib.SMTPException) as error:
        raise InDoubt(f"the mail server may have taken it: {type(error).__name__}: {error}") from error
    _refused(*reply)


def _refused(code: int, text: bytes) -> None:
    if code not in {TAKEN, START_MAIL_INPUT}:
        permanent = code >= PERMANENT_MIN
        raise NotSent(f"the mail server answered {code} {text.decode(errors='replace')}", permanent=permanent)


def _permanent(error: Exception) -> bool:
    return isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= PERMANENT_MIN
