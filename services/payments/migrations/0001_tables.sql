-- Read by PostgreSQL and SQLite alike. Money is whole cents.
create table accounts (
    name text primary key,
    balance_cents bigint not null
);

-- Two rows a transfer, adding up to nothing. Append-only.
create table entries (
    transfer text not null,
    account text not null,
    amount_cents bigint not null
);
create index entries_by_transfer on entries (transfer);

-- No unique key: the same claim twice is for an auditor to find, not for the table to hide.
create table claims (
    id text not null,
    kind text not null check (kind in ('charge', 'invoice')),
    order_id text not null,
    customer text not null,
    amount_cents bigint not null,
    state text not null check (state in ('open', 'settled'))
);
create index claims_by_id on claims (id);
create index claims_by_order on claims (order_id);

-- What really happened, without any unique key: see services/effects.py.
create table payments_effects (
    saga text not null,
    step text not null,
    kind text not null check (kind in ('do', 'undo')),
    idempotency_key text not null,
    subject text not null,
    detail text not null,
    at_ns bigint not null,
    sequence bigint not null
);
create index payments_effects_by_subject on payments_effects (subject);
