-- A page of what was committed after a position, by transaction. It stops below the oldest transaction that still runs:
-- what that one writes comes before. One row without a saga says that there is nothing, and which cluster says so.
select c.system_identifier::text as cluster, h.saga, h.version, h.cause, h.at, h.data, h.tx
from pg_control_system() c
left join lateral (
    select saga, version, cause, at, data, tx
    from history
    where tx >= $1::bigint
      and (tx, saga, version) > ($1::bigint, $2::uuid, $3::integer)
      and tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    order by tx, saga, version
    limit $4
) h on true
order by h.tx, h.saga, h.version;
