-- The sagas below a root: counted when one more is to begin, and listed with it. Roots have no entry.

create index sagas_below on sagas (root, id) where parent is not null;
