-- What operators did with these parked messages, oldest first.
select parked, verb, actor, reason, at
from parked_actions
where parked = any($1::bigint[])
order by parked, id;
