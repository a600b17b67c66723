-- The newest and the oldest of one definition, however many sagas of others there are.
create index sagas_name_id on sagas (name, id);
