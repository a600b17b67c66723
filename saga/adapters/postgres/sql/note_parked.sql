-- An action on a parked message. Without its digest the same message parked again is a row of its own.
with found as (
    update parked
    set digest = null, settled = case when $2 = 'redriving' then settled else $2 end
    where id = $1
    returning id
)
insert into parked_actions (parked, verb, actor, reason)
select id, $2, $3, $4 from found
returning id;
