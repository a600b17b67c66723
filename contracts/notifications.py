"""What notifications answers: sending a mail or a written message, once or not at all."""

import msgspec

from saga.contract import Command, Effect, command


class MailSent(msgspec.Struct, frozen=True):
    """The mail server took it."""

    mail_id: str


@command(service="notifications", effect=Effect.AT_MOST_ONCE)
class SendMail(Command[MailSent], frozen=True):
    """Send one mail. Nobody can ask a mail server later whether it took one."""

    to: str
    subject: str
    reference: str = ""
    """What the mail is about, for whoever traces it; goes into a header."""


@command(service="notifications", effect=Effect.AT_MOST_ONCE)
class SendMessage(Command[MailSent], frozen=True):
    """Send one mail with a text that somebody wrote."""

    to: str
    subject: str
    body: str
    reference: str = ""
