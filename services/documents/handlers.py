"""What documents does. Each handler runs in the transaction that also remembers its answer."""

from uuid import uuid4

from contracts.documents import ArchiveDocument, CreateDocument, DocumentArchived, DocumentCreated
from saga.contract import Context, InDoubt
from services.effects import EffectLedger

EFFECTS = EffectLedger("documents")


async def create(cmd: CreateDocument, ctx: Context) -> DocumentCreated:
    """Keep a new document, whatever there is already."""
    document_id = f"doc_{uuid4().hex}"
    await ctx.tx.execute(
        "insert into documents (document_id, reference, title, body, state) values ($1, $2, $3, $4, 'kept')",
        document_id,
        cmd.reference,
        cmd.title,
        cmd.body,
    )
    await EFFECTS.record(ctx, "do", subject=cmd.reference, detail=document_id)
    return DocumentCreated(document_id=document_id)


async def archive(cmd: ArchiveDocument, ctx: Context) -> DocumentArchived:
    """Put away the one named, else the one the inbox remembers. Raises InDoubt when it knows neither."""
    remembered = ctx.undone.reply_as(DocumentCreated) if ctx.undone else None
    document_id = cmd.document_id or (remembered.document_id if remembered else "")
    found: list[tuple[str]] = await ctx.tx.execute(
        "update documents set state = 'archived' where document_id = $1 returning reference", document_id
    )
    if not found:
        raise InDoubt(f"no document {document_id or '(not named)'} is kept here")
    await EFFECTS.record(ctx, "undo", subject=found[0][0], detail=document_id)
    return DocumentArchived(document_id=document_id)
