-- Read by PostgreSQL and SQLite alike.
-- No unique key: the same customer twice is for an auditor to find, not for the table to hide.
create table customer_accounts (
    account_id text not null,
    customer_id text not null,
    name text not null,
    email text not null,
    state text not null check (state in ('open', 'closed'))
);
create index customer_accounts_by_customer on customer_accounts (customer_id);

-- What really happened, without any unique key: see services/effects.py.
create table customers_effects (
    saga text not null,
    step text not null,
    kind text not null check (kind in ('do', 'undo')),
    idempotency_key text not null,
    subject text not null,
    detail text not null,
    at_ns bigint not null,
    sequence bigint not null
);
create index customers_effects_by_subject on customers_effects (subject);
