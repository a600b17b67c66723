-- The hash under a name and version.
select hash from definitions where name = $1 and version = $2;
