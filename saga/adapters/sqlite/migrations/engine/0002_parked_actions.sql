-- What operators did with parked messages. A message is never deleted and what was done with it is never rewritten.

alter table parked add column settled text check (settled in ('redriven', 'discarded'));

create index parked_unsettled on parked (id) where settled is null;

create table parked_actions (
    id integer primary key autoincrement,
    parked integer not null references parked (id),
    at integer not null,
    verb text not null,
    actor text not null,
    reason text not null
) strict;

create index parked_actions_parked on parked_actions (parked, id);
