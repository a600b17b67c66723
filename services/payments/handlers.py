"""What payments does. Each handler runs in the transaction that also remembers its answer.

No handler here guards against being run twice: that is the inbox's promise, and a guard would hide it being broken.
"""

from decimal import Decimal
from uuid import uuid4

from contracts.payments import (
    CancelInvoice,
    CardCharged,
    CardDeclined,
    ChargeCard,
    ChargeRefunded,
    InvoiceCancelled,
    InvoiceIssued,
    InvoiceRefused,
    IssueInvoice,
    LimitReached,
    RefundCharge,
)
from saga.contract import Context, InDoubt
from services.effects import EffectLedger
from services.payments import ledger

EFFECTS = EffectLedger("payments")
CHARGE_MAX = Decimal("10000.00")
DECLINED = "declined"
"""A customer whose name starts so has a card that is always declined."""
PREPAID = "declined-prepaid"
"""A customer whose name starts so gets no invoice either."""


def payable(cmd: ChargeCard | IssueInvoice) -> str | None:
    """What is wrong with the amount, or None."""
    if not cmd.amount.is_finite() or cmd.amount <= 0:
        return f"amount {cmd.amount} is not above 0"
    if cmd.amount != round(cmd.amount, 2):
        return f"amount {cmd.amount} has fractions of a cent"
    return None


async def charge(cmd: ChargeCard, ctx: Context) -> CardCharged | CardDeclined | LimitReached:
    """Take the amount from the customer's card."""
    if cmd.customer.startswith(DECLINED):
        return CardDeclined(reason="the bank declined")
    if cmd.amount > CHARGE_MAX:
        return LimitReached(limit=CHARGE_MAX)
    claim = ledger.Claim(f"ch_{uuid4().hex}", cmd.order_id, cmd.customer, cents(cmd.amount))
    await ledger.open_claim(ctx.tx, claim, kind="charge")
    await EFFECTS.record(ctx, "do", subject=cmd.order_id, detail=f"{claim.id} {claim.amount_cents}")
    return CardCharged(charge_id=claim.id)


async def refund(cmd: RefundCharge, ctx: Context) -> ChargeRefunded:
    """Give back a charge: the one named, else the one the inbox remembers. Raises InDoubt when it knows neither."""
    remembered = ctx.undone.reply_as(CardCharged) if ctx.undone else None
    charge_id = cmd.charge_id or (remembered.charge_id if remembered else None)
    found = await ledger.claim_by_id(ctx.tx, charge_id) if charge_id else None
    if found is None:
        raise InDoubt(f"no charge {charge_id or '(not named)'} is on the books: look it up with the bank")
    refund_id = f"re_{uuid4().hex}"
    await ledger.settle_claim(ctx.tx, found, transfer=refund_id, kind="charge")
    await EFFECTS.record(ctx, "undo", subject=found.order_id, detail=f"{charge_id} {found.amount_cents}")
    return ChargeRefunded(refund_id=refund_id, amount=amount(found.amount_cents))


async def invoice(cmd: IssueInvoice, ctx: Context) -> InvoiceIssued | InvoiceRefused:
    """Let the customer owe the amount."""
    if cmd.customer.startswith(PREPAID):
        return InvoiceRefused(reason="this customer pays in advance")
    claim = ledger.Claim(f"in_{uuid4().hex}", cmd.order_id, cmd.customer, cents(cmd.amount))
    await ledger.open_claim(ctx.tx, claim, kind="invoice")
    await EFFECTS.record(ctx, "do", subject=cmd.order_id, detail=f"{claim.id} {claim.amount_cents}")
    return InvoiceIssued(invoice_id=claim.id)


async def cancel(cmd: CancelInvoice, ctx: Context) -> InvoiceCancelled:
    """Take back the invoice the inbox remembers, else whatever is owed for the order."""
    remembered = ctx.undone.reply_as(InvoiceIssued) if ctx.undone else None
    named = await ledger.claim_by_id(ctx.tx, remembered.invoice_id) if remembered else None
    found = [named] if named else await ledger.open_invoices(ctx.tx, cmd.order_id)
    for claim in found:
        await ledger.settle_claim(ctx.tx, claim, transfer=f"cn_{uuid4().hex}", kind="invoice")
    total = sum(claim.amount_cents for claim in found)
    await EFFECTS.record(ctx, "undo", subject=cmd.order_id, detail=f"{' '.join(c.id for c in found)} {total}")
    return InvoiceCancelled(amount=amount(total))


def cents(money: Decimal) -> int:
    """Whole cents, as the ledger keeps them."""
    return int(money * 100)


def amount(amount_cents: int) -> Decimal:
    """Money with two digits after the point."""
    return Decimal(amount_cents).scaleb(-2)
