"""What customers answers: taking somebody on as a customer, and closing what was opened."""

import msgspec

from saga.contract import Command, Effect, Failure, command


class CustomerCreated(msgspec.Struct, frozen=True):
    """They are in the books."""

    account_id: str


class CustomerRefused(Failure, frozen=True):
    """We do no business with them."""

    reason: str


@command(service="customers", effect=Effect.INBOX)
class CreateCustomer(Command[CustomerCreated, CustomerRefused], frozen=True):
    """Open an account for a customer."""

    customer_id: str
    name: str
    email: str


class CustomerClosed(msgspec.Struct, frozen=True):
    """Nothing of theirs is open any more."""

    account_count: int


@command(service="customers", effect=Effect.INBOX)
class CloseCustomer(Command[CustomerClosed], frozen=True):
    """Close the account of a customer."""

    customer_id: str
