-- The newest unsettled messages by reason and queue.
select origin, reason, count(*) as count, min(id) as oldest_id, min(at) as oldest_at
from (
    select id, at, origin, reason
    from parked
    where settled is null
    order by id desc
    limit $1
) newest
group by origin, reason
order by count(*) desc, reason collate "C", origin collate "C";
