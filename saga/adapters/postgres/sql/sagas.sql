-- A page of sagas with their definitions' versions; saga.adapters.postgres.listing says which page and in which order.
select
    s.id, s.name, s.start_key, s.definition, coalesce(d.version, 0) as definition_version, s.version,
    s.status, s.wait_kind, s.wait_text, s.tags, s.root, s.parent, s.wake_at, s.dispatched_version
from (/* page */) s
left join definitions d on d.hash = s.definition
order by /* order */;
