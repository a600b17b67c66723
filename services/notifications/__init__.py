"""Notifications: sends mail over SMTP. `saga serve services.notifications:participant`.

`SAGA_SMTP_URL` says where the mail server is. Notifications has no tables of its own: what was sent is in the mail
server's hands, and the inbox knows what was asked.
"""

from contracts.notifications import SendMail, SendMessage
from saga.participant import Participant
from services import environment
from services.notifications.handlers import MailRoom


def participant() -> Participant:
    """The participant, as the environment configures it. Raises ValueError for a missing or bad setting.

    It takes no injected faults: an error after a mail is a doubt only a person can end. The mail server has its own.
    """
    host, port = environment.address("SAGA_SMTP_URL", scheme="smtp", example="smtp://127.0.0.1:8025")
    room = MailRoom(host, port)
    handlers = [SendMail.handled_by(room.send), SendMessage.handled_by(room.send)]
    return Participant("notifications", handlers=handlers)
