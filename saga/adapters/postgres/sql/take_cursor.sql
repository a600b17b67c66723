-- Take the cursor, or keep it; nothing is returned while somebody else's lease runs.
insert into followers as f (name, owner, position, leased_until)
values ($1, $2, '', clock_timestamp() + $3::interval)
on conflict (name) do update
set owner = excluded.owner, leased_until = excluded.leased_until
where f.owner = excluded.owner or f.leased_until <= clock_timestamp()
returning position;
