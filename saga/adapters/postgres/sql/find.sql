-- Sagas by name and start key.
select r.ord, s.id, s.name, s.start_key, s.input_hash, s.version, s.status
from unnest($1::text[], $2::text[]) with ordinality as r (name, start_key, ord)
join sagas s on s.name = r.name and s.start_key = r.start_key;
