-- A page of parked messages, newest first.
select
    id, at, origin, reason, detail, exchange, routing_key, body,
    headers, message_id, correlation_id, type, reply_to, sender
from parked
where id < $1
order by id desc
limit $2;
