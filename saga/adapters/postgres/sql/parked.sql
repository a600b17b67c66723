-- A page of parked messages, newest first; further conditions are put in by saga.adapters.postgres.parked.
select
    p.id, p.at, p.origin, p.reason, p.detail, p.exchange, p.routing_key, p.body,
    p.headers, p.message_id, p.correlation_id, p.type, p.reply_to, p.sender, p.settled
from parked p
where p.id < $1 /* conditions */
order by /* order */ p.id desc
limit $2;
