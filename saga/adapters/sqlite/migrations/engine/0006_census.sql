-- Open sagas, which all wait for something, are counted by definition and status from this index alone.
create index sagas_waiting on sagas (wait_kind, id, status, name) where wait_kind <> '';
drop index sagas_wait_kind;
