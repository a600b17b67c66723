"""What drafting does. Each handler runs in the transaction that also remembers its answer."""

import re
from decimal import Decimal
from uuid import uuid4

from contracts.drafting import DiscardDraft, DraftDiscarded, DraftMessage, MessageDrafted
from saga.contract import Context, RetryLater
from services.effects import EffectLedger

EFFECTS = EffectLedger("drafting")
TOKEN_PRICE_USD = Decimal("0.00002")
"""As a language model would charge for each: here a token is a word."""


async def draft(cmd: DraftMessage, ctx: Context) -> MessageDrafted:
    """Write it. Raises RetryLater while the segment has no template: that is for a person to add, not to answer."""
    templates: list[tuple[str, str]] = await ctx.tx.execute(
        "select subject, body from templates where segment = $1", cmd.segment
    )
    if not templates:
        raise RetryLater(f"there is no template for the segment {cmd.segment!r}", code="no-template")
    subject, body = (_filled(part, cmd) for part in templates[0])
    tokens_count = len(subject.split()) + len(body.split())
    ctx.add_cost(tokens_count, "tokens")
    ctx.add_cost(tokens_count * TOKEN_PRICE_USD, "USD")
    draft_id = f"draft_{uuid4().hex}"
    await ctx.tx.execute(
        "insert into drafts (draft_id, reference, subject, body, state) values ($1, $2, $3, $4, 'open')",
        draft_id,
        cmd.reference,
        subject,
        body,
    )
    await EFFECTS.record(ctx, "do", subject=cmd.reference, detail=draft_id)
    return MessageDrafted(draft_id=draft_id, subject=subject, body=body)


async def discard(cmd: DiscardDraft, ctx: Context) -> DraftDiscarded:
    """Throw away whatever is open under the reference."""
    discarded = await ctx.tx.execute(
        "update drafts set state = 'discarded' where reference = $1 and state = 'open' returning draft_id",
        cmd.reference,
    )
    await EFFECTS.record(ctx, "undo", subject=cmd.reference, detail=" ".join(sorted(row[0] for row in discarded)))
    return DraftDiscarded(draft_count=len(discarded))


def _filled(template: str, cmd: DraftMessage) -> str:
    words = {"{name}": cmd.name, "{company}": cmd.company, "{facts}": cmd.facts}
    return re.sub("|".join(map(re.escape, words)), lambda found: words[found[0]], template)
