-- As look.sql, for a JSON array of keys in one round trip; each key at most once.
select pg_try_advisory_xact_lock(hashtextextended('saga_inbox ' || wanted.key, 0))::int,
       (extract(epoch from clock_timestamp()) * 1000)::bigint,
       gen_random_uuid()::text,
       i.status, i.command_type, i.command_hash, i.command, i.reply_type, i.reply, i.code, i.effect, i.cost, i.owner,
       i.lease_until, wanted.key
from jsonb_array_elements_text($1::text::jsonb) as wanted (key) left join saga_inbox i on i.key = wanted.key
