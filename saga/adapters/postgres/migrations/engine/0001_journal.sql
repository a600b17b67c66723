-- The journal of the engine: a compare-and-swap row for each saga and one history row for each commit.
-- An ordinary hop writes no indexed column, so with room in the page its update stays in the page (HOT).

create table sagas (
    id uuid primary key,  -- UUIDv7: sorts by start time
    name text not null,
    start_key text not null,
    input_hash bytea not null,
    root uuid not null,
    parent uuid,
    definition text not null,
    version integer not null,
    status text not null,
    wait_kind text not null,
    wait_text text not null,
    tags jsonb not null,
    wake_at timestamptz,
    dispatched_version integer not null default 0,
    unique (name, start_key)
) with (fillfactor = 70);

comment on column sagas.version is 'Version of the last commit in history: the compare-and-swap.';
comment on column sagas.definition is 'Hash of the compiled definition.';
comment on column sagas.wake_at is 'The saga must be looked at by then at the latest: a lower bound of its next deadline.';
comment on column sagas.dispatched_version is 'Everything issued up to this commit is known to have reached the broker.';

create index sagas_wake_at on sagas (wake_at) where wake_at is not null;
create index sagas_status on sagas (status);
create index sagas_wait_kind on sagas (wait_kind);
create index sagas_tags on sagas using gin (tags jsonb_path_ops);

-- Dead versions of hot rows are pruned page by page; vacuum has to come early for what pruning leaves behind.
alter table sagas set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);

create table history (
    saga uuid not null,
    version integer not null,
    cause text not null,
    at timestamptz not null default clock_timestamp(),
    tx bigint not null default pg_current_xact_id()::text::bigint,
    data bytea not null,
    primary key (saga, version)
);

comment on table history is 'One row for each commit of a saga; append only.';
comment on column history.data is 'The events of the decision, as they were encoded.';
comment on column history.tx is 'Transaction that wrote it: who reads along stops below the oldest one still running.';

create index history_tx on history using brin (tx) with (autosummarize = on);

-- What the engine could not use, with everything needed to send it again.
create table parked (
    id bigint primary key generated always as identity,
    at timestamptz not null default clock_timestamp(),
    digest bytea unique,  -- a redelivery of a message with an id, or a repeated commit, is the same row
    origin text not null,
    reason text not null,
    detail text not null,
    exchange text not null,
    routing_key text not null,
    body bytea not null,
    headers jsonb not null,
    message_id text not null,
    correlation_id text not null,
    type text not null,
    reply_to text not null,
    sender text
);

create table definitions (
    hash text primary key,
    name text not null,
    version integer not null,
    canonical bytea not null,
    published_at timestamptz not null default clock_timestamp(),
    unique (name, version)
);
