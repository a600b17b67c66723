update saga_inbox set owner = $2, lease_until = $3
where key = $1 and status = 'in_progress' and owner = $4 and lease_until = $5
returning key
