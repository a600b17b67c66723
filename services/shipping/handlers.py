"""What shipping does: asks the carrier, under our idempotency key as reference."""

from contracts.shipping import BookCourier, CourierBooked, CourierQuoted, CourierRefused, QuoteCourier
from saga.contract import Context, RetryLater
from services.shipping.carrier import Carrier, CarrierAnswer, CarrierSilent

CREATED = 201
FOUND = 200
CONFLICT = 409


class Desk:
    """The handlers, tied to one carrier."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    async def quote(self, cmd: QuoteCourier, _ctx: Context) -> CourierQuoted:
        """Ask for a price; changes nothing."""
        try:
            answer = await self._carrier.quote(cmd.address.country)
        except CarrierSilent as silence:
            raise RetryLater(str(silence), code="carrier-silent") from silence
        if answer.status != FOUND:
            raise _unexpected(answer)
        return CourierQuoted(carrier=answer.body["carrier"], price_cents=answer.body["price_cents"])

    async def book(self, cmd: BookCourier, ctx: Context) -> CourierBooked | CourierRefused:
        """Book under our key. When no answer comes nothing is claimed: the next delivery asks `find` first."""
        order = {"order_id": cmd.order_id, "carrier": cmd.carrier, "country": cmd.address.country, "gift": cmd.gift}
        try:
            answer = await self._carrier.book(ctx.key, order)
        except CarrierSilent as silence:
            raise RetryLater(str(silence), code="carrier-silent") from silence
        if answer.status == CONFLICT:
            return CourierRefused(reason=answer.body["reason"])
        if answer.status != CREATED:
            raise _unexpected(answer)
        return CourierBooked(tracking=answer.body["tracking"])

    async def find(self, _cmd: BookCourier, ctx: Context) -> CourierBooked | None:
        """The probe: did an earlier run under this key book it?"""
        try:
            answer = await self._carrier.find(ctx.key)
        except CarrierSilent as silence:
            raise RetryLater(str(silence), code="carrier-silent") from silence
        if answer.status != FOUND:
            raise _unexpected(answer)
        bookings = answer.body["bookings"]
        return CourierBooked(tracking=bookings[0]["tracking"]) if bookings else None


def _unexpected(answer: CarrierAnswer) -> RetryLater:
    return RetryLater(f"the carrier answered {answer.status}: {answer.body}", code=f"carrier-{answer.status}")
