-- Read by PostgreSQL and SQLite alike.
create table sites (
    name text primary key,
    free bigint not null check (free >= 0)
);
insert into sites (name, free) values ('delft', 1000000), ('utrecht', 1000000), ('attic', 0);

create table desks (
    desk_id text not null,
    site text not null,
    employee_id text not null,
    state text not null check (state in ('taken', 'free'))
);
create index desks_by_employee on desks (employee_id);

create table badges (
    badge_id text not null,
    employee_id text not null
);

-- What really happened, without any unique key: see services/effects.py.
create table workplace_effects (
    saga text not null,
    step text not null,
    kind text not null check (kind in ('do', 'undo')),
    idempotency_key text not null,
    subject text not null,
    detail text not null,
    at_ns bigint not null,
    sequence bigint not null
);
create index workplace_effects_by_subject on workplace_effects (subject);
