-- One compiled definition.
select hash, name, version, canonical, published_at from definitions where hash = $1;
