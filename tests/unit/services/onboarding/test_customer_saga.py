"""The customer-onboarding definition, played with scripted participants."""

from datetime import timedelta
from decimal import Decimal

from contracts.customers import CustomerClosed, CustomerCreated, CustomerRefused
from contracts.mailboxes import AddressInUse, MailboxClosed, MailboxOpened
from contracts.notifications import MailSent, SendMail
from contracts.onboarding import CustomerReady, NewCustomer
from contracts.payments import CardCharged, CardDeclined, RefundCharge
from contracts.provisioning import (
    AddressPublished,
    MachineStarted,
    NetworkCreated,
    NoAddressLeft,
    StartMachine,
    TakenAway,
)
from saga.testing import Answers, Script, compensation_coverage, lost, play, retry, stuck
from services.onboarding.definitions import onboarding

NEW = NewCustomer(
    customer_id="c1", name="ann", email="ann@example.org", mailbox="ann", region="eu-west", fee=Decimal("99.00")
)
MACHINE, MAILBOX = MachineStarted(machine_id="mac-1"), MailboxOpened(address="ann@box.example")
URL = "https://add-1.eu-west.cloud.example"
SUNNY: dict[str, Script] = {
    "register": CustomerCreated(account_id="cus-1"),
    "register.undo": CustomerClosed(account_count=1),
    "charge": CardCharged(charge_id="ch-1"),
    "network": NetworkCreated(network_id="net-1"),
    "network.undo": TakenAway(count=1),
    "machine": MACHINE,
    "machine.undo": TakenAway(count=1),
    "address": AddressPublished(url=URL),
    "address.undo": TakenAway(count=1),
    "mailbox": MAILBOX,
    "mailbox.undo": MailboxClosed(mailbox_count=1),
    "welcome": MailSent(mail_id="m1"),
}
FULL = NoAddressLeft(reason="full")


def but(**changes: Script) -> Answers:
    """A sunny day, but for these steps."""
    return {**SUNNY, **changes}


def order_of(undone: tuple[str, ...], *steps: str) -> tuple[str, ...]:
    """Of these steps, in the order in which they were undone."""
    return tuple(step for step in undone if step in steps)


async def test_a_customer_who_gets_everything() -> None:
    """Both branches are begun before either is through, and the welcome names what was made."""
    run = await play(onboarding, NEW, SUNNY)
    assert run.status == "completed"
    assert run.output == CustomerReady(account_id="cus-1", charge_id="ch-1", url=URL, mailbox="ann@box.example")
    assert set(run.commands[2:4]) == {"network", "mailbox"}
    assert run.sent(StartMachine) == [StartMachine(customer_id="c1", network_id="net-1")]
    assert run.sent(SendMail) == [
        SendMail(to="ann@example.org", subject=f"Welcome, ann: {URL} is yours", reference="c1")
    ]


async def test_a_late_failure_undoes_both_branches_then_the_rest() -> None:
    """Reverse inside the branch, side by side between them, and only then what came before."""
    run = await play(onboarding, NEW, but(address=FULL))
    assert (run.status, run.because, run.standing) == ("compensated", "address: NoAddressLeft", ())
    assert order_of(run.undone, "machine", "network") == ("machine", "network")
    assert sorted(run.undone[:3]) == ["machine", "mailbox", "network"]
    assert run.undone[3:] == ("charge", "register")
    assert run.sent(RefundCharge) == [RefundCharge(charge_id="ch-1", reason="onboarding undone")]


async def test_what_is_on_its_way_in_the_other_branch_is_undone_too() -> None:
    """The mailbox's answer is late by an hour: it may be open, so it is closed, and nothing stands in the end."""
    run = await play(onboarding, NEW, but(mailbox=stuck(MAILBOX, by=timedelta(hours=1)), address=FULL))
    assert (run.status, run.standing) == ("compensated", ())
    assert "mailbox" in run.undone


async def test_a_refused_mailbox_undoes_the_infrastructure() -> None:
    """Whatever of it was reached, in reverse."""
    run = await play(onboarding, NEW, but(mailbox=AddressInUse(address="ann@box.example")))
    assert (run.status, run.standing) == ("compensated", ())
    done = [step for step in run.commands if step in {"network", "machine", "address"}]
    assert order_of(run.undone, *done) == tuple(reversed(done))


async def test_refusals_before_the_branches() -> None:
    """Somebody we do no business with costs nothing; a declined card closes the account."""
    refused = await play(onboarding, NEW, but(register=CustomerRefused(reason="listed")))
    assert (refused.status, refused.commands) == ("compensated", ("register",))
    declined = await play(onboarding, NEW, but(charge=CardDeclined(reason="bank")))
    assert (declined.status, declined.undone) == ("compensated", ("register",))


async def test_a_lost_answer_of_the_cloud_makes_one_machine() -> None:
    """Asked again under the same key."""
    run = await play(onboarding, NEW, but(machine=lost(MACHINE)))
    assert (run.status, run.attempts("machine"), run.standing.count("machine")) == ("completed", 2, 1)


async def test_a_cloud_that_never_answers_waits_for_a_person() -> None:
    """An hour of attempts, then it stands in front of an operator, and cancelling undoes it as unknown."""
    run = await play(onboarding, NEW, but(network=retry("cloud-silent")))
    assert (run.status, run.waits[0].kind) == ("parked", "parked")
    assert run.operator.cancel("too late") == "now"
    await run.finish()
    assert (run.status, run.standing) == ("compensated", ())
    assert set(run.undone) >= {"network", "mailbox", "charge", "register"}


async def test_everything_that_can_go_wrong() -> None:
    """Every compensation is sent, after an ok and after an unknown outcome; the undo law holds in every story."""
    coverage = await compensation_coverage(onboarding, NEW, SUNNY)
    coverage.check()
    assert coverage.broken == ()
    assert {ending.status for ending in coverage.endings} == {"completed", "compensated", "parked"}
