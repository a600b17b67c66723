"""What starts the onboarding of a customer, and what comes of it."""

from decimal import Decimal

import msgspec


class NewCustomer(msgspec.Struct, frozen=True):
    """Input of the `customer-onboarding` saga; `customer_id` is its business key."""

    customer_id: str
    name: str
    email: str
    """Where the welcome goes."""
    mailbox: str
    """What stands before the @ of their own mailbox."""
    region: str
    """Where their machine is to stand: `eu-west`, `us-east`, …"""
    fee: Decimal


class CustomerReady(msgspec.Struct, frozen=True):
    """Output of the `customer-onboarding` saga."""

    account_id: str
    charge_id: str
    url: str
    mailbox: str
