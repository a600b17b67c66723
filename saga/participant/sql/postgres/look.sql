-- Take the key, without waiting, until this transaction ends, and read its row. The snapshot may be older than the lock:
-- whatever is written afterwards is conditional.
select pg_try_advisory_xact_lock(hashtextextended('saga_inbox ' || $1::text, 0))::int,
       (extract(epoch from clock_timestamp()) * 1000)::bigint,
       gen_random_uuid()::text,
       status, command_type, command_hash, command, reply_type, reply, code, effect, cost, owner, lease_until
from (select 1) as one left join saga_inbox on key = $1::text
