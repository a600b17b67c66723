-- Read by PostgreSQL and SQLite alike.
create table stock (
    sku text primary key,
    counted bigint not null,   -- what was on the shelf when it was counted: available + held, for an auditor
    available bigint not null check (available >= 0)
);

create table reservations (
    order_id text not null,
    sku text not null,
    unit_count bigint not null,
    state text not null check (state in ('held', 'released'))
);
create index reservations_by_order on reservations (order_id);

-- What really happened, without any unique key: see services/effects.py.
create table inventory_effects (
    saga text not null,
    step text not null,
    kind text not null check (kind in ('do', 'undo')),
    idempotency_key text not null,
    subject text not null,
    detail text not null,
    at_ns bigint not null,
    sequence bigint not null
);
create index inventory_effects_by_subject on inventory_effects (subject);

-- The shelf of the reference world: sku-1 to sku-50, and one product that is always sold out.
insert into stock (sku, counted, available)
with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < 50)
select 'sku-' || n, 1000000, 1000000 from numbers;

insert into stock (sku, counted, available) values ('sold-out', 0, 0);
