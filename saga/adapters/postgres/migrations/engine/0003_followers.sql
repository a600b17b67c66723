-- Who follows the history, and how far each has come.

create table followers (
    name text primary key,
    position text not null,
    owner text not null,
    leased_until timestamptz not null
);

comment on table followers is 'One cursor for each follower of history; its owner alone moves it.';
comment on column followers.position is 'Everything up to here was delivered.';

-- A BRIN index has to read every page that vacuum has not summarised yet, at each look: minutes of commits.
drop index history_tx;
create index history_tx on history (tx);
