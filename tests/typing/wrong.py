"""What both type checkers must find: every line marked BAD is an error for each of them, and no other line is.

Never imported: the mistakes are there to be seen, not to be run.
"""

from datetime import timedelta
from decimal import Decimal

from saga import Context, On, Saga, all_of, coalesce, define, no_undo, one_of, required, size, text
from tests.typing.orders import (
    BookCourier,
    CardCharged,
    CardDeclined,
    ChargeCard,
    CourierBooked,
    CourierRefused,
    Done,
    OrderPlaced,
    OutOfStock,
    PlaceOrder,
    QuoteCourier,
    RefundCharge,
    ReleaseStock,
    ReserveStock,
    SendMail,
    order,
)


@define("wrong", version=1)
def wrong(s: Saga, o: PlaceOrder) -> OrderPlaced:
    """A definition with a mistake in most lines."""
    release = ReleaseStock(order_id=o.order_id)
    charge = ChargeCard(order_id=o.order_id, amount=o.total)
    reserve = ReserveStock(order_id=o.order_id, lines=o.lines)
    s.key(o.order_idd)  # BAD unknown field of the input
    s.key(o.lines[0].unit_count)  # BAD int as business key
    s.step("a", ChargeCard(order_id=o.order_id, amount=o.email), undo=no_undo("x"))  # BAD str for Decimal
    s.step("b", charge)  # BAD no undo
    s.step("c", charge, undo=lambda r: RefundCharge(charge_id=r.chargeid, reason=""))  # BAD unknown field of the reply
    s.step("d", reserve, undo=reserve)  # BAD an undo that may refuse
    s.step("e", reserve, undo=release, unknown=reserve)  # BAD an undo of the unknown that may refuse
    s.step("f", reserve, undo=release, on_exhausted=On.HOLD)  # BAD a policy of undoing, not of exhaustion
    s.step("g", reserve, undo=release, timeout=30)  # BAD a number without a unit
    s.step("h", o, undo=release)  # BAD the input is no command
    s.read("i", QuoteCourier(address=o.email))  # BAD str for Address
    s.retryable("j", BookCourier(order_id=o.order_id, carrier="x"))  # BAD a retryable that may refuse
    s.pivot("k", SendMail(to=o.coupon, subject="x"))  # BAD str | None for str
    s.pivot("l", SendMail(to=o.total > 1, subject="x"))  # BAD bool for str
    paid = s.step("m", charge, undo=lambda r: RefundCharge(charge_id=r.charge_id, reason=""))
    s.pivot("n", SendMail(to=paid.amount, subject="x"))  # BAD Decimal for str
    s.pivot("o", SendMail(to=coalesce(o.coupon, None), subject="x"))  # BAD a choice that may be None
    s.pivot("p", SendMail(to=text("{}", o.address), subject="x"))  # BAD a Struct has no text
    s.pivot("q", charge, on_exhausted=On.COMPENSATE)  # BAD a pivot does not give up
    with s.when(o.coupon):  # BAD str | None for a condition
        pass
    with s.when(size(o.total) > 3):  # BAD a number has no size
        pass
    with s.when(all_of(o.gift, o.total)):  # BAD Decimal for a condition
        pass
    with s.attempt("r", on=[CardCharged]):  # BAD a reply is no reason to fail
        pass
    with s.attempt("s", on=[CardDeclined, On.PARK]) as t:  # BAD parking is no reason to fail
        pass
    with t.otherwise() as u:
        u.reserve()  # BAD an arm has no value
    ok = s.pivot("v", SendMail(to=required(o.coupon), subject=text("{}", o.total), body=coalesce(o.coupon, "none")))
    with s.when(one_of(o.address.country, "DE", "AT")):
        s.tag(city=o.address.city, total=o.total)
    if o.total > Decimal(3):  # the checkers cannot see it: it raises when it is run
        pass
    return ok  # BAD the reply of a step for the result


order.version = 4  # BAD a definition is frozen
late: timedelta = order.version  # BAD a version is no time
define("late")  # BAD no version


async def charge(cmd: ChargeCard, ctx: Context) -> CardCharged | CardDeclined:
    """Right: it answers with the reply or a declared failure."""
    return CardDeclined(reason=cmd.order_id + ctx.key)


async def undeclared(cmd: ChargeCard, ctx: Context) -> CardCharged | OutOfStock:
    """Answers with a failure of another command."""
    return OutOfStock(sku=cmd.order_id + ctx.key)


async def refuses(cmd: RefundCharge, ctx: Context) -> Done | CardDeclined:
    """A compensation that refuses."""
    return CardDeclined(reason=cmd.reason + ctx.key)


async def book(cmd: BookCourier, ctx: Context) -> CourierBooked | CourierRefused:
    """Right."""
    return CourierRefused(reason=cmd.carrier + ctx.key)


async def find(cmd: BookCourier, ctx: Context) -> CourierBooked | None:
    """Right: the reply, or None for no."""
    return CourierBooked(tracking=cmd.carrier + ctx.key)


async def asks(cmd: BookCourier, ctx: Context) -> bool:
    """A probe that says yes or no."""
    return cmd.carrier == ctx.key


async def costs(cmd: BookCourier, ctx: Context) -> CourierBooked:
    """Amounts are exact."""
    ctx.add_cost(Decimal("0.01"), "USD")
    ctx.add_cost(7, "tokens")
    ctx.add_cost(0.01, "USD")  # BAD a float
    ctx.add_cost("0.01 USD")  # BAD no unit
    return CourierBooked(tracking=cmd.carrier)


handlers = [
    ChargeCard.handled_by(charge),
    ChargeCard.handled_by(undeclared),  # BAD a failure that is not declared
    ReserveStock.handled_by(charge),  # BAD a handler of another command
    RefundCharge.handled_by(refuses),  # BAD a compensation that refuses
    BookCourier.handled_by(book, probe=find),
    BookCourier.handled_by(book, probe=asks),  # BAD a probe that does not give the reply
]
