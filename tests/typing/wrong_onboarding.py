"""What both type checkers must find in what branches, waits, asks and nests: every line marked BAD, and no other.

Never imported: the mistakes are there to be seen, not to be run.
"""

from datetime import timedelta

from saga import On, Saga, coalesce, define, no_undo
from saga.define import Definition, Escalate
from tests.typing.onboarding import (
    AccountReady,
    AddSeat,
    Created,
    Draft,
    Hire,
    NewCustomer,
    NoRoom,
    PaymentArrived,
    Provision,
    RemoveSeat,
    SendMail,
    Welcomed,
    account,
    onboarding,
)

DAY = timedelta(days=1)


@define("wrong", version=1)
def wrong(s: Saga, new: NewCustomer) -> Welcomed:
    """A definition with a mistake in most lines."""
    with s.parallel("a", join=On.STOP):  # BAD a policy of failures, not of joining
        pass
    with s.parallel("b", on_failed=On.ALL):  # BAD a way of joining, not a policy of failures
        pass
    with s.parallel("c") as branch:
        with branch():  # BAD a branch has a name
            pass
        branch.add("left")  # BAD branches are written with blocks
        with branch("left") as left:
            s.key(left)  # BAD a branch has no value
    with s.each("d", new.seats):  # BAD no limit
        pass
    with s.each("e", new.large, limit=5):  # BAD bool is no list
        pass
    with s.each("f", new.seats, limit=5, key=lambda one: one.mail):  # BAD unknown field of the item
        pass
    with s.each("g", new.seats, limit=5, on_failed=On.ANY):  # BAD a way of joining
        pass
    with s.each("h", new.seats, limit=5) as seat:
        s.step("i", AddSeat(email=seat.admin), undo=RemoveSeat(email=seat.email))  # BAD bool for str
        s.read("j", Draft(name=seat.name))  # BAD unknown field of the item
        added = s.step("k", AddSeat(email=seat.email), undo=RemoveSeat(email=seat.email))
    licences: list[int] = s.collect(added.id)  # BAD a list of str
    s.read("l", Draft(name=s.collect(added.id)))  # BAD a list for str
    s.collect(added.licence)  # BAD unknown field of the reply
    return Welcomed(url=new.name, licences=[new.name], approved_by=str(licences))


@define("waits", version=1)
def waits(s: Saga, new: NewCustomer) -> None:
    """Mistakes in what repeats and waits."""
    with s.repeat("m") as turn:  # BAD no limit
        pass
    with s.repeat("n", limit=5, pause=60) as turn:  # BAD a number without a unit
        draft = s.read("o", Draft(name=new.name))
        turn.until(draft.body)  # BAD str for a condition
        turn.until()  # BAD until what
    with s.within("p", 3600):  # BAD a number without a unit
        pass
    with s.within("q"):  # BAD no time
        pass
    s.sleep("r", 3600)  # BAD a number without a unit
    s.sleep("s", new.starts_at)  # BAD an instant for a time
    s.sleep_until("t", new.trial)  # BAD a time for an instant
    nothing: str = s.sleep("u", new.trial)  # BAD a wait has no value
    s.signal("v", PaymentArrived, where=lambda paid: paid.amount > 3)  # BAD unknown field of the signal
    s.signal("w", PaymentArrived, where=lambda paid: paid.ref)  # BAD str for a condition
    s.signal("x", PaymentArrived, within=DAY, on_late=On.HOLD)  # BAD a policy of undoing
    s.signal("y", "paid")  # BAD a name for a type
    paid = s.signal("z", PaymentArrived, name="paid", within=DAY, on_late=On.CONTINUE)
    s.read("aa", Draft(name=coalesce(paid.ref, None)))  # BAD a choice that may be None
    s.read("bb", Draft(name=nothing))


@define("people", version=1)
def people(s: Saga, new: NewCustomer) -> None:
    """Mistakes in what people approve."""
    mail = SendMail(send_to=new.contact, subject="a", body="b")
    s.approval("a", mail)  # BAD no roles
    s.approval("b", new, roles=["editor"])  # BAD the input is no command
    s.approval("c", mail, roles=["editor"], edit=lambda m: (m.color,))  # BAD unknown field of the command
    s.approval("d", mail, roles=["editor"], edit=["body"])  # BAD names for a function of the command
    s.approval("e", mail, roles=["editor"], on_expiry=On.PARK)  # BAD a policy of exhaustion
    s.approval("f", mail, roles=["editor"], on_expiry=Escalate())  # BAD to nobody
    s.approval("g", mail, roles=["editor"], expires=5)  # BAD a number without a unit
    s.approval("h", mail, roles=["editor"], when=new.name)  # BAD str for a condition
    s.approval("i", mail, roles=["editor"], summary=new.large)  # BAD bool for str
    s.approval("j", mail, roles=["editor"], quorum="two")  # BAD str for int
    s.gate("k", roles=["editor"])  # BAD showing nothing
    s.gate("l", showing=new)  # BAD no roles
    letter = s.approval("m", mail, roles=["editor"])
    s.pivot("n", letter)  # BAD the approval, not what was approved
    s.read("o", Draft(name=letter.reason))  # BAD str | None for str
    s.read("p", Draft(name=letter.approved_at))  # BAD an instant for str
    sent: AccountReady = s.pivot("q", letter.subject)  # BAD the reply of the command
    right: Created = s.pivot("r", letter.subject)
    s.read("s", Draft(name=right.id + sent.account + letter.approver))
    room = s.approval("t", Provision(region="eu"), roles=["editor"])
    s.retryable("u", room.subject)  # BAD a retryable that may refuse
    s.step("v", AddSeat(email="a"), undo=room.subject)  # BAD it may refuse


@define("nested", version=1)
def nested(s: Saga, new: NewCustomer) -> AccountReady:
    """Mistakes in what starts other sagas."""
    s.child("a", account, Hire(name=new.name))  # BAD no undo
    s.child("b", account, new, undo=On.CANCEL)  # BAD the input of another saga
    s.child("c", account, Hire(name=new.large), undo=On.CANCEL)  # BAD bool for str
    s.child("d", account, Hire(name=new.name), undo=On.PARK)  # BAD a policy of exhaustion
    s.child("e", account, Hire(name=new.name), undo=RemoveSeat(email="a"))  # BAD a command undoes no saga
    s.child("f", Hire, Hire(name=new.name), undo=On.WAIT)  # BAD a Struct is no definition
    s.pivot_child("g", onboarding, new, undo=On.CANCEL)  # BAD a pivot has no undo
    s.retryable_child("h", onboarding, Hire(name=new.name))  # BAD the input of another saga
    ready = s.child("i", account, Hire(name=new.name), undo=no_undo("stays"))
    s.read("j", Draft(name=ready.name))  # BAD unknown field of the output
    with s.attempt("k", on=[On.COMPENSATED, On.REJECTED, On.EXPIRED, On.DEADLINE, On.LIMIT, On.EXHAUSTED, NoRoom]):
        s.read("l", Draft(name=ready.account))
    with s.attempt("m", on=[On.CANCEL]):  # BAD what an undo does is no reason to fail
        pass
    return s.pivot_child("n", onboarding, new)  # BAD the output of another saga


other: Definition[NewCustomer, AccountReady] = account  # BAD it starts with something else
