-- Where this database cluster stands. Every transaction below `floor` has ended; none reached `ceiling` yet, so a row
-- that says so was written by another cluster and restored here.
select
    (select system_identifier from pg_control_system())::text as cluster,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint as floor,
    exists(
        select from history where tx >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    ) as restored;
