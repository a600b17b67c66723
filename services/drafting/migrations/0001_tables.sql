-- Read by PostgreSQL and SQLite alike.
create table templates (
    segment text primary key,
    subject text not null,
    body text not null
);
insert into templates (segment, subject, body) values
    ('food', 'Fresh ideas for {company}', 'Dear {name}, {facts} Shall we talk over breakfast?'),
    ('health', 'A healthy idea for {company}', 'Dear {name}, {facts} Shall we talk?'),
    ('trade', 'An idea for {company}', 'Dear {name}, {facts} Shall we talk?');

-- No unique key: the same draft twice is for an auditor to find.
create table drafts (
    draft_id text not null,
    reference text not null,
    subject text not null,
    body text not null,
    state text not null check (state in ('open', 'discarded'))
);
create index drafts_by_reference on drafts (reference);

-- What really happened, without any unique key: see services/effects.py.
create table drafting_effects (
    saga text not null,
    step text not null,
    kind text not null check (kind in ('do', 'undo')),
    idempotency_key text not null,
    subject text not null,
    detail text not null,
    at_ns bigint not null,
    sequence bigint not null
);
create index drafting_effects_by_subject on drafting_effects (subject);
