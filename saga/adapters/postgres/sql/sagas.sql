-- A page of sagas, newest first; the conditions are put in by saga.adapters.postgres.listing.
select
    s.id, s.name, s.start_key, s.definition, coalesce(d.version, 0) as definition_version, s.version,
    s.status, s.wait_kind, s.wait_text, s.tags, s.root, s.parent, s.wake_at, s.dispatched_version
from sagas s
left join definitions d on d.hash = s.definition
where /* conditions */
order by /* order */ s.id desc
limit $1;
