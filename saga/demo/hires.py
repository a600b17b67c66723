"""The acts of `hr-onboarding`: privileges approved, refused, and given back by a saga that had complete access."""

import msgspec

from saga.core.messages import Choice
from saga.demo import examples, ledgers
from saga.demo.ledgers import Check, Done
from saga.demo.stage import Act, Stage
from saga.demo.town import Town

APPROVER = "eve"
LESS = ("mail", "wiki")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """One hire, as the world sees it."""

    done: tuple[Done, ...]
    """Everything that was done or undone, oldest first."""
    accounts: int
    """Open ones."""
    privileges: tuple[str, ...]
    """Held now."""
    desks: int
    """Taken ones."""
    badges: int
    mails: int

    def did(self, *steps: str) -> tuple[int, ...]:
        """How often each step was done."""
        return tuple(ledgers.count(self.done, step) for step in steps)


async def approved(stage: Stage, employee_id: str) -> tuple[str, bool]:
    """Act one."""
    stage.title("1  a hire whose privileges somebody approves, but for one")
    saga = await stage.start(examples.hire(employee_id))
    asked = await stage.follow_until_asked(saga)
    fewer = {"employee_id": employee_id, "privileges": LESS}
    before = await facts(stage.town, employee_id)
    nothing = stage.tell([Check(f"accounts: {len(before.privileges)} privileges so far", not before.privileges)])
    await stage.decide(asked, Choice.APPROVE, APPROVER, reason="no vpn in the first month", edited=fewer)
    await stage.follow(saga)
    return saga, stage.tell(welcomed(await facts(stage.town, employee_id))) and nothing


async def refused(stage: Stage, employee_id: str) -> tuple[str, bool]:
    """Act two."""
    stage.title("2  somebody says no: the account goes, and nothing was ever granted")
    saga = await stage.start(examples.hire(employee_id))
    asked = await stage.follow_until_asked(saga)
    await stage.decide(asked, Choice.REJECT, APPROVER, reason="not before the course")
    await stage.follow(saga)
    found = await facts(stage.town, employee_id)
    grants = found.did("privileges")[0]
    never = Check(f"accounts: privileges were granted {grants} times", not grants)
    return saga, stage.tell([never, *gone(found, ("account",))])


async def undone(stage: Stage, employee_id: str) -> tuple[str, bool]:
    """Act three."""
    stage.title("3  all approved, then no photo for the badge: access is undone as one unit")
    saga = await stage.start(examples.hire(employee_id, photo=""))
    asked = await stage.follow_until_asked(saga)
    await stage.decide(asked, Choice.APPROVE, APPROVER)
    await stage.follow(saga)
    return saga, stage.tell(gone(await facts(stage.town, employee_id), ("desk", "privileges", "account")))


ACTS: tuple[Act, ...] = (approved, refused, undone)


async def facts(town: Town, employee_id: str) -> Facts:
    """Look a hire up. Raises Unavailable."""
    held = await ledgers.rows(
        town.database("accounts"),
        "select privilege from granted_privileges where employee_id = $1 and state = 'held' order by privilege",
        employee_id,
    )
    return Facts(
        done=tuple(await ledgers.effects(town, ("accounts", "workplace"), employee_id)),
        accounts=await _count(town, "accounts", "user_accounts where employee_id = $1 and state = 'open'", employee_id),
        privileges=tuple(str(row[0]) for row in held),
        desks=await _count(town, "workplace", "desks where employee_id = $1 and state = 'taken'", employee_id),
        badges=await _count(town, "workplace", "badges where employee_id = $1", employee_id),
        mails=ledgers.books(town, "mailsink", "mail", reference=employee_id),
    )


def welcomed(found: Facts) -> list[Check]:
    """A hire who has everything that was approved, once."""
    made = found.did("account", "privileges", "desk", "badge")
    return [
        Check(f"accounts: {found.accounts} account open, {made[0]} made", found.accounts == made[0] == 1),
        Check(
            f"accounts: {', '.join(found.privileges)}: as approved; granted once",
            (found.privileges, made[1]) == (LESS, 1),
        ),
        Check(
            f"workplace: {found.desks} desk, {found.badges} badge; mail server: {found.mails} mail",
            (found.desks, found.badges, found.mails, *made[2:]) == (1, 1, 1, 1, 1),
        ),
    ]


def gone(found: Facts, order: tuple[str, ...]) -> list[Check]:
    """A hire of whom nothing is left, undone in this order."""
    steps = ledgers.undone(found.done)
    left = found.accounts + len(found.privileges) + found.desks
    return [
        Check(f"undone: {', then '.join(steps)}", steps == order),
        Check(
            f"accounts: {found.accounts} open, {len(found.privileges)} privileges; workplace: {found.desks} desks,"
            f" {found.badges} badges; mail server: {found.mails} mails",
            not left + found.badges + found.mails,
        ),
    ]


async def _count(town: Town, service: str, what: str, employee_id: str) -> int:
    sql = f"select count(*) from {what}"  # noqa: S608 - the words are ours
    return int((await ledgers.rows(town.database(service), sql, employee_id))[0][0])
