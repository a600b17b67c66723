-- Of very many that are due the first are claimed without sorting all of them, also when all are due at one instant.
create index sagas_wake_at_id on sagas (wake_at, id) where wake_at is not null;
drop index sagas_wake_at;

-- The newest and the oldest of one definition, however many sagas of others there are.
create index sagas_name_id on sagas (name, id);

-- A saga without tags has no entry.
drop index sagas_tags;
create index sagas_tags on sagas using gin (tags jsonb_path_ops) where tags <> '{}';
