-- What the steps do, the same on every side of the benchmark. No unique key: a step done twice must show.
create table effects (
    order_id text not null,
    step text not null,
    amount_cents bigint not null,
    at timestamptz not null default clock_timestamp()
);
create index effects_by_order on effects (order_id);
