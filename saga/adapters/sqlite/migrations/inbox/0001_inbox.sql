-- What a service remembers of the commands it was asked, by idempotency key. Times are milliseconds since 1970, by the
-- database's clock.
create table saga_inbox (
    key text not null primary key,
    status text not null check (status in ('in_progress', 'ok', 'failed', 'cancelled')),
    command_type text,                      -- null on the tombstone of a command that never came
    command_hash blob,
    command blob,                          -- of an action, for its undo
    reply_type text not null default '',
    reply blob not null default x'',
    code text not null default '',
    effect text not null default 'applied',
    owner text,                             -- of a row in progress: who answers for it, and until when
    lease_until integer,
    recorded_at integer not null,
    forget_at integer not null
);
create index saga_inbox_forget on saga_inbox (forget_at);
