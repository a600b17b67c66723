-- The transaction holds the only write lock already; read the row of the key.
select 1,
       cast((julianday('now') - 2440587.5) * 86400000 as integer),
       lower(hex(randomblob(16))),
       status, command_type, command_hash, command, reply_type, reply, code, effect, cost, owner, lease_until
from (select 1) as one left join saga_inbox on key = $1
