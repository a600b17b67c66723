-- Take due sagas and push them out by the lease, so that no other orchestrator takes them meanwhile.
-- now() is fixed for the statement, so the index on wake_at can be used; clock_timestamp() would read all of it.
with due as materialized (
    select id, wake_at
    from sagas
    where wake_at <= now()
    order by wake_at, id
    limit $1
    for update skip locked
)
update sagas s
set wake_at = now() + $2::interval
from due
where s.id = due.id
returning s.id, due.wake_at, now() as now;
