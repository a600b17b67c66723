-- What operators did with parked messages. A message is never deleted and what was done with it is never rewritten.

alter table parked add column settled text check (settled in ('redriven', 'discarded'));

comment on column parked.settled is 'Null as long as an operator has something to decide.';

create index parked_unsettled on parked (id) where settled is null;

create table parked_actions (
    id bigint primary key generated always as identity,
    parked bigint not null references parked (id),
    at timestamptz not null default clock_timestamp(),
    verb text not null,
    actor text not null,
    reason text not null
);

create index parked_actions_parked on parked_actions (parked, id);

-- The oldest that wait for one reason are read from the front of an index. The id never changes: updates stay HOT.
create index sagas_status_id on sagas (status, id);
create index sagas_wait_kind_id on sagas (wait_kind, id);
drop index sagas_status;
drop index sagas_wait_kind;
