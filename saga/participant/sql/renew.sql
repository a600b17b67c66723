update saga_inbox set lease_until = $3
where key = $1 and owner = $2 and status = 'in_progress'
returning key
