-- As look.sql, for a JSON array of keys; each key at most once.
select 1,
       cast((julianday('now') - 2440587.5) * 86400000 as integer),
       lower(hex(randomblob(16))),
       i.status, i.command_type, i.command_hash, i.command, i.reply_type, i.reply, i.code, i.effect, i.cost, i.owner,
       i.lease_until, wanted.value
from json_each($1) as wanted left join saga_inbox i on i.key = wanted.value
