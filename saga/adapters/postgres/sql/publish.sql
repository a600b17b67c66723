-- Store a compiled definition; what is there stays.
insert into definitions (hash, name, version, canonical) values ($1, $2, $3, $4) on conflict do nothing;
