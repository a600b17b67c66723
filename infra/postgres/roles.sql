-- Least privilege in the engine's database. Apply as the owner after each `saga db migrate`; again changes nothing:
--   psql "$OWNER_URL" -v ON_ERROR_STOP=1 -f roles.sql
-- Give the roles to login users of your own: GRANT saga_engine TO orchestrator; GRANT saga_reader TO grafana;

do $$
begin
    create role saga_engine nologin;
exception when duplicate_object then null;
end $$;

do $$
begin
    create role saga_reader nologin;
exception when duplicate_object then null;
end $$;

-- An orchestrator, and an operator's command line. Nobody who runs can change or delete what was recorded.
grant select, insert on history, parked, definitions to saga_engine;
grant select, insert, update on sagas to saga_engine;
grant select on saga_migrations to saga_engine;
-- How far each follower of the history has come.
grant select, insert, update on followers to saga_engine;
-- What an operator does with a parked message is added; the message itself stays as it came.
grant select, insert on parked_actions to saga_engine;
grant update (digest, settled) on parked to saga_engine;

-- Dashboards and auditors.
grant select on sagas, history, parked, parked_actions, definitions, saga_migrations to saga_reader;
