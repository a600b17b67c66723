-- Move the cursor, if it is still ours.
update followers
set position = $3, leased_until = clock_timestamp() + $4::interval
where name = $1 and owner = $2
returning name;
