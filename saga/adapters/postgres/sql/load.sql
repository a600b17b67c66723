-- What the rows say now, and the commits after the version each reader knows; one snapshot for both.
-- The subquery makes the planner take the primary key of history for each saga: joined, a table without statistics
-- was planned as a scan.
select
    s.id, s.name, s.definition, s.version, s.wake_at, s.dispatched_version,
    array(
        select h.data from history h where h.saga = s.id and h.version > r.since order by h.version
    ) as commits
from unnest($1::uuid[], $2::integer[]) as r (id, since)
join sagas s on s.id = r.id;
