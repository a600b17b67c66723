-- How many sagas there are below each root.
select root, count(*) as count
from sagas
where parent is not null and root = any($1::uuid[])
group by root;
