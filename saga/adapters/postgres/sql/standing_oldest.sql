-- For each kind of wait the last commit that is longest ago, among those of the sagas that were started first; and one
-- row of no kind, with the time. What wait_kind is not says nothing new, but the index holds only what it is true of.
select k.wait_kind, min(h.at) as since, clock_timestamp() as now
from unnest($1::text[]) as k (wait_kind)
cross join lateral (
    select s.id, s.version
    from sagas s
    where s.wait_kind = k.wait_kind and s.wait_kind <> ''
    order by s.id
    limit $2
) s
join history h on h.saga = s.id and h.version = s.version
group by k.wait_kind
union all
select null, null, clock_timestamp();
