"""What mailboxes answers: opening a mailbox for a customer, and closing it."""

import msgspec

from saga.contract import Command, Effect, Failure, command


class MailboxOpened(msgspec.Struct, frozen=True):
    """Mail to this address arrives."""

    address: str


class AddressInUse(Failure, frozen=True):
    """Nobody gets this address."""

    address: str


@command(service="mailboxes", effect=Effect.INBOX)
class OpenMailbox(Command[MailboxOpened, AddressInUse], frozen=True):
    """Open the mailbox of a customer; `name` is what stands before the @."""

    customer_id: str
    name: str


class MailboxClosed(msgspec.Struct, frozen=True):
    """No mail arrives there any more."""

    mailbox_count: int


@command(service="mailboxes", effect=Effect.INBOX)
class CloseMailbox(Command[MailboxClosed], frozen=True):
    """Close every mailbox of a customer."""

    customer_id: str
