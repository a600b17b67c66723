-- Read by PostgreSQL and SQLite alike.
create table privileges (
    name text primary key
);
insert into privileges (name) values ('code'), ('mail'), ('payroll'), ('production'), ('vpn'), ('wiki');

-- No unique key: the same account twice is for an auditor to find, not for the table to hide.
create table user_accounts (
    account_id text not null,
    employee_id text not null,
    login text not null,
    state text not null check (state in ('open', 'closed'))
);
create index user_accounts_by_employee on user_accounts (employee_id);

create table granted_privileges (
    employee_id text not null,
    privilege text not null,
    state text not null check (state in ('held', 'revoked'))
);
create index granted_privileges_by_employee on granted_privileges (employee_id);

-- What really happened, without any unique key: see services/effects.py.
create table accounts_effects (
    saga text not null,
    step text not null,
    kind text not null check (kind in ('do', 'undo')),
    idempotency_key text not null,
    subject text not null,
    detail text not null,
    at_ns bigint not null,
    sequence bigint not null
);
create index accounts_effects_by_subject on accounts_effects (subject);
