-- Sagas that have not ended, which all wait for something: read from an index alone.
select name, status, wait_kind, count(*) as count
from sagas
where wait_kind <> ''
group by name, status, wait_kind;
