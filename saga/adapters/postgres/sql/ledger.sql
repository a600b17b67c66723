-- Which migrations this database has; each set of tables (scope) has its own numbers.
create table if not exists saga_migrations (
    scope text not null,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp(),
    primary key (scope, name)
);
