-- A page of everything there is, saga by saga, whatever transaction wrote it.
select saga, version, cause, at, data, tx
from history
where (saga, version) > ($1::uuid, $2::integer)
order by saga, version
limit $3;
