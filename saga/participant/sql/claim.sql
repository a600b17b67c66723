insert into saga_inbox
    (key, status, command_type, command_hash, command, owner, lease_until, recorded_at, forget_at)
values ($1, 'in_progress', $2, $3, $4, $5, $6, $7, $8)
on conflict (key) do nothing
returning key
