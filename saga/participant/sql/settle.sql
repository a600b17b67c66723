update saga_inbox
set status = $3, reply_type = $4, reply = $5, code = $6, effect = $7, owner = null, lease_until = null,
    recorded_at = $8, forget_at = $9, cost = $10
where key = $1 and owner = $2 and status = 'in_progress'
returning key
