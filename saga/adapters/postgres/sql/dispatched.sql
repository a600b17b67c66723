-- Raise dispatched_version, never lower it. Rows are locked in the order of their ids.
with locked as materialized (
    select s.id, r.version
    from unnest($1::uuid[], $2::integer[]) as r (id, version)
    join sagas s on s.id = r.id and s.dispatched_version < r.version
    order by s.id
    for update of s
)
update sagas s set dispatched_version = l.version from locked l where s.id = l.id;
