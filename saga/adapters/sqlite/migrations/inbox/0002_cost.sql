-- What a stored answer told of its cost, as the header says it, so that it tells the same again.
alter table saga_inbox add column cost text not null default '';
