-- All versions of one name, or of every name.
select hash, name, version, canonical, published_at
from definitions
where $1::text is null or name = $1
order by name collate "C", version desc;
