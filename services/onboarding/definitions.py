"""The `customer-onboarding` saga: account, money, then infrastructure beside a mailbox, and a welcome."""

from datetime import timedelta

from contracts.customers import CloseCustomer, CreateCustomer
from contracts.mailboxes import CloseMailbox, OpenMailbox
from contracts.notifications import SendMail
from contracts.onboarding import CustomerReady, NewCustomer
from contracts.payments import ChargeCard, RefundCharge
from contracts.provisioning import (
    CreateNetwork,
    DeleteNetwork,
    PublishAddress,
    StartMachine,
    StopMachine,
    WithdrawAddress,
)
from saga import Saga, define, text

SOON = timedelta(seconds=10)
"""For one attempt: nothing here takes long, and an answer that was lost is asked for again soon."""


@define("customer-onboarding", version=1, deadline=timedelta(hours=24))
def onboarding(s: Saga, new: NewCustomer) -> CustomerReady:
    """Until the welcome is sent everything can be undone; the branches side by side, each in reverse."""
    who, region = new.customer_id, new.region
    s.key(who)
    s.tag(region=region)

    register = CreateCustomer(customer_id=who, name=new.name, email=new.email)
    account = s.step("register", register, undo=CloseCustomer(customer_id=who), timeout=SOON)
    paid = s.step(
        "charge",
        ChargeCard(order_id=who, customer=new.name, amount=new.fee),
        undo=lambda r: RefundCharge(charge_id=r.charge_id, reason="onboarding undone"),
        unknown=RefundCharge(charge_id=None, reason="onboarding undone"),
        timeout=SOON,
    )
    with s.parallel("setup") as branch:
        with branch("infrastructure"):
            create = CreateNetwork(customer_id=who, region=region)
            network = s.step("network", create, undo=DeleteNetwork(customer_id=who), timeout=SOON)
            start = StartMachine(customer_id=who, network_id=network.network_id)
            machine = s.step("machine", start, undo=StopMachine(customer_id=who), timeout=SOON)
            publish = PublishAddress(customer_id=who, region=region, machine_id=machine.machine_id)
            site = s.step("address", publish, undo=WithdrawAddress(customer_id=who), timeout=SOON)
        with branch("mail"):
            open_it = OpenMailbox(customer_id=who, name=new.mailbox)
            box = s.step("mailbox", open_it, undo=CloseMailbox(customer_id=who), timeout=SOON)
    subject = text("Welcome, {}: {} is yours", new.name, site.url)
    s.pivot("welcome", SendMail(to=new.email, subject=subject, reference=who))
    return CustomerReady(account_id=account.account_id, charge_id=paid.charge_id, url=site.url, mailbox=box.address)
