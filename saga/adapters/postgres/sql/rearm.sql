-- Write wake_at of sagas that still stand at the given version. Rows are waited for, in the order of their ids:
-- passing over a locked one would leave it asleep until the lease ends.
with locked as materialized (
    select s.id, r.wake_at
    from unnest($1::uuid[], $2::integer[], $3::timestamptz[]) as r (id, version, wake_at)
    join sagas s on s.id = r.id and s.version = r.version
    order by s.id
    for update of s
)
update sagas s set wake_at = l.wake_at from locked l where s.id = l.id;
