-- The journal of the engine in SQLite: the tables of the Postgres store, with times in microseconds since 1970.

create table sagas (
    id text primary key,  -- UUIDv7 in its canonical form: sorts by start time
    name text not null,
    start_key text not null,
    input_hash blob not null,
    root text not null,
    parent text,
    definition text not null,
    version integer not null,
    status text not null,
    wait_kind text not null,
    wait_text text not null,
    tags text not null,
    wake_at integer,
    dispatched_version integer not null default 0,
    unique (name, start_key)
) strict;

create index sagas_wake_at on sagas (wake_at, id) where wake_at is not null;
create index sagas_status on sagas (status, id);
create index sagas_wait_kind on sagas (wait_kind, id);

-- One writer and no gaps: a reader that follows goes by position.
create table history (
    position integer primary key autoincrement,
    saga text not null,
    version integer not null,
    cause text not null,
    at integer not null,
    data blob not null,
    unique (saga, version)
) strict;

create table parked (
    id integer primary key autoincrement,
    at integer not null,
    digest blob unique,
    origin text not null,
    reason text not null,
    detail text not null,
    exchange text not null,
    routing_key text not null,
    body blob not null,
    headers text not null,
    message_id text not null,
    correlation_id text not null,
    type text not null,
    reply_to text not null,
    sender text
) strict;

create table definitions (
    hash text primary key,
    name text not null,
    version integer not null,
    canonical blob not null,
    published_at integer not null,
    unique (name, version)
) strict;
