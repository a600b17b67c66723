-- A page of one saga's commits.
select saga, version, cause, at, data from history where saga = $1 and version > $2 order by version limit $3;
