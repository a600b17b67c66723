-- Read by PostgreSQL and SQLite alike.
-- No unique key: the same mailbox twice is for an auditor to find, not for the table to hide.
create table mailboxes (
    address text not null,
    customer_id text not null,
    state text not null check (state in ('open', 'closed'))
);
create index mailboxes_by_customer on mailboxes (customer_id);

-- What really happened, without any unique key: see services/effects.py.
create table mailboxes_effects (
    saga text not null,
    step text not null,
    kind text not null check (kind in ('do', 'undo')),
    idempotency_key text not null,
    subject text not null,
    detail text not null,
    at_ns bigint not null,
    sequence bigint not null
);
create index mailboxes_effects_by_subject on mailboxes_effects (subject);
