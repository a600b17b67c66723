-- Who follows the history, and how far each has come.

create table followers (
    name text primary key,
    position text not null,
    owner text not null,
    leased_until integer not null
) strict;
