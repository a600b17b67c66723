-- Read by PostgreSQL and SQLite alike. No unique key: the same document twice is for an auditor to find.
create table documents (
    document_id text not null,
    reference text not null,
    title text not null,
    body text not null,
    state text not null check (state in ('kept', 'archived'))
);
create index documents_by_id on documents (document_id);

-- What really happened, without any unique key: see services/effects.py.
create table documents_effects (
    saga text not null,
    step text not null,
    kind text not null check (kind in ('do', 'undo')),
    idempotency_key text not null,
    subject text not null,
    detail text not null,
    at_ns bigint not null,
    sequence bigint not null
);
create index documents_effects_by_subject on documents_effects (subject);
