insert into saga_inbox
    (key, status, command_type, command_hash, command, reply_type, reply, code, effect, recorded_at,
    forget_at, cost)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
on conflict (key) do nothing
returning key
