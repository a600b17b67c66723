-- Open sagas, which all wait for something, are counted by definition and status from this index alone. Those that have
-- ended have no entry in it any more. No column of it changes without another index changing too: updates stay HOT.
create index sagas_waiting on sagas (wait_kind, id) include (status, name) where wait_kind <> '';
drop index sagas_wait_kind_id;
