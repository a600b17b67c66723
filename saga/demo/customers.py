"""The acts of `customer-onboarding`: one that completes, one undone late, and one whose process is killed meanwhile."""

from decimal import Decimal

import msgspec

from saga.demo import examples, ledgers
from saga.demo.ledgers import Check, Done
from saga.demo.stage import Act, Stage
from saga.demo.town import Town

FEE = Decimal("99.00")
CLOUD = {"networks": "network", "machines": "machine", "addresses": "address"}
"""What the cloud makes, and by which step."""
INFRASTRUCTURE, MAIL = ("network", "machine", "address"), ("mailbox",)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """One customer, as the world sees it."""

    done: tuple[Done, ...]
    """Everything that was done or undone, by services and by the cloud, oldest first."""
    accounts: int
    """Open ones."""
    mailboxes: int
    """Open ones."""
    paid: Decimal
    """Less what was paid back."""
    again: int
    """How often the cloud was asked for something it had made already."""
    mails: int

    def did(self, *steps: str) -> tuple[int, ...]:
        """How often each step was done."""
        return tuple(ledgers.count(self.done, step) for step in steps)

    @property
    def standing(self) -> int:
        """Things in the cloud that were made and not taken away."""
        return sum(self.did(*INFRASTRUCTURE)) - sum(ledgers.count(self.done, step, "undo") for step in INFRASTRUCTURE)


async def completes(stage: Stage, customer_id: str) -> tuple[str, bool]:
    """Act one."""
    stage.title("1  a customer who gets it all, infrastructure and mailbox side by side")
    saga = await stage.start(examples.customer(customer_id, name=customer_id))
    await stage.follow(saga)
    return saga, stage.tell(welcomed(await facts(stage.town, customer_id)))


async def is_undone(stage: Stage, customer_id: str) -> tuple[str, bool]:
    """Act two."""
    stage.title("2  no address is left at the end: both branches are undone, then the rest")
    saga = await stage.start(examples.customer(customer_id, name=customer_id, region="aq-south"))
    await stage.follow(saga)
    return saga, stage.tell(undone(await facts(stage.town, customer_id)))


async def survives(stage: Stage, customer_id: str) -> tuple[str, bool]:
    """Act three."""
    stage.title("3  kill -9 when the cloud has started the machine and nobody knows")
    town, screen = stage.town, stage.screen
    screen.say("  provisioning is told to stall there, so that the moment can be hit", "dim")
    runs = await town.stall("provisioning", "StartMachine")
    saga = await stage.start(examples.customer(customer_id, name=customer_id))
    await stage.follow_until_run(saga, runs)
    await town.kill()
    screen.say(f"  kill -9 {town.victim_pid}: {town.victim}; the machine runs, its answer is lost", "bad")
    before = await facts(town, customer_id)
    (machines,) = before.did("machine")
    lost = stage.tell([Check(f"cloud: {machines} machine, and no step of the saga says so", machines == 1)])
    await town.start_again()
    screen.say(f"  started again as process {town.victim_pid}", "good")
    await stage.follow(saga)
    found = await facts(town, customer_id)
    once = Check(
        f"the cloud was asked {found.again} more time for what it had made, and made {found.did('machine')[0]} machine",
        (found.again, found.did("machine")) == (1, (1,)),
    )
    return saga, stage.tell([once, *welcomed(found)]) and lost


ACTS: tuple[Act, ...] = (completes, is_undone, survives)


async def facts(town: Town, customer_id: str) -> Facts:
    """Look a customer up. Raises Unavailable."""
    done = await ledgers.effects(town, ("customers", "payments", "mailboxes"), customer_id)
    for kind, line_kind in (("do", "create"), ("undo", "delete")):
        for line in ledgers.book_lines(town, "cloud", line_kind, customer=customer_id):
            done.append(Done(line["at_ns"], line["sequence"], "cloud", CLOUD[line["of"]], kind))
    paid = await ledgers.rows(
        town.database("payments"),
        "select coalesce(-sum(amount_cents), 0) from entries where account = $1",
        f"card:{customer_id}",
    )
    return Facts(
        done=tuple(sorted(done)),
        accounts=await _open(town, "customers", "customer_accounts", customer_id),
        mailboxes=await _open(town, "mailboxes", "mailboxes", customer_id),
        paid=Decimal(int(paid[0][0])).scaleb(-2),
        again=ledgers.books(town, "cloud", "again", customer=customer_id),
        mails=ledgers.books(town, "mailsink", "mail", reference=customer_id),
    )


def welcomed(found: Facts) -> list[Check]:
    """A customer who has everything, once."""
    made = found.did(*INFRASTRUCTURE)
    (charges,) = found.did("charge")
    return [
        Check(f"customers: {found.accounts} account open", found.accounts == 1),
        Check(f"payments: {charges} charge, {found.paid} paid", (charges, found.paid) == (1, FEE)),
        Check(f"cloud: {made[0]} network, {made[1]} machine, {made[2]} address", made == (1, 1, 1)),
        Check(
            f"mailboxes: {found.mailboxes} mailbox; mail server: {found.mails} mail",
            found.mailboxes == found.mails == 1,
        ),
    ]


def undone(found: Facts) -> list[Check]:
    """A customer who was turned back: nothing stands, and it went in the order that is allowed."""
    order = ledgers.undone(found.done)
    infrastructure = tuple(step for step in order if step in INFRASTRUCTURE)
    refunds = ledgers.count(found.done, "charge", "undo")
    (charges,) = found.did("charge")
    return [
        Check(
            f"undone in the branches: {', then '.join(infrastructure)}; beside them mailbox",
            infrastructure == ("machine", "network") and sorted(order[:3]) == ["machine", "mailbox", "network"],
        ),
        Check(f"and after both: {', then '.join(order[3:])}", order[3:] == ("charge", "register")),
        Check(
            f"payments: {charges} charge, {refunds} refund, {found.paid} paid",
            (charges, refunds, found.paid) == (1, 1, Decimal(0)),
        ),
        Check(
            f"cloud: {found.standing} things; customers: {found.accounts} accounts; mailboxes: {found.mailboxes};"
            f" mail server: {found.mails} mails",
            not found.standing + found.accounts + found.mailboxes + found.mails,
        ),
    ]


async def _open(town: Town, service: str, table: str, customer_id: str) -> int:
    sql = f"select count(*) from {table} where customer_id = $1 and state = 'open'"  # noqa: S608 - the names are ours
    return int((await ledgers.rows(town.database(service), sql, customer_id))[0][0])
