-- A batch of advances, starts and parked messages: one statement, one transaction, one round trip.
--
-- Rows are locked in the order of their ids and a locked one is passed over: writers on overlapping batches neither
-- wait for each other nor deadlock. Starts and parked messages are inserted in the order of their unique keys, because
-- there a writer has to wait for another one's outcome. Who is missing from the answer lost, and reloads.
--
-- Columns are read as array elements by their number: joining the arrays again was planned as a loop in a loop, and a
-- hop of a batch of 200 cost twice as much as one of a batch of 50.
with
locked as materialized (
    select s.id, s.version, a.expected, a.ord
    from unnest($1::uuid[], $2::integer[]) with ordinality as a (id, expected, ord)
    join sagas s on s.id = a.id
    order by s.id
    for update of s skip locked
),
moved as (
    update sagas s
    set version = s.version + 1,
        status = ($3::text[])[l.ord],
        wait_kind = ($4::text[])[l.ord],
        wait_text = ($5::text[])[l.ord],
        tags = ($6::jsonb[])[l.ord],
        wake_at = case ($7::text[])[l.ord]
            when 'exact' then ($8::timestamptz[])[l.ord]
            when 'earlier' then least(s.wake_at, ($8::timestamptz[])[l.ord])
            else s.wake_at
        end
    from locked l
    where s.id = l.id and l.version = l.expected and s.version = l.expected
    returning s.id, s.version, l.ord
),
appended as (
    insert into history (saga, version, cause, data)
    select id, version, ($9::text[])[ord], ($10::bytea[])[ord] from moved
),
-- A commit whose answer was lost is sent again: it won, if what stands there is what we wrote.
already_moved as (
    select l.ord
    from locked l
    join history h on h.saga = l.id and h.version = l.expected + 1
    where l.version > l.expected and h.data = ($10::bytea[])[l.ord]
),
born as (
    insert into sagas (
        id, name, start_key, input_hash, root, parent, definition,
        version, status, wait_kind, wait_text, tags, wake_at
    )
    select
        n.id, n.name, n.start_key, n.input_hash, n.root, n.parent, n.definition,
        1, n.status, n.wait_kind, n.wait_text, n.tags, n.wake_at
    from unnest(
        $11::uuid[], $12::text[], $13::text[], $14::bytea[], $15::uuid[], $16::uuid[], $17::text[],
        $18::text[], $19::text[], $20::text[], $21::jsonb[], $22::timestamptz[]
    ) with ordinality as n (
        id, name, start_key, input_hash, root, parent, definition,
        status, wait_kind, wait_text, tags, wake_at, ord
    )
    order by n.name collate "C", n.start_key collate "C", n.ord
    on conflict do nothing
    returning id
),
begun as (
    insert into history (saga, version, cause, data)
    select b.id, 1, ($23::text[])[n.ord], ($24::bytea[])[n.ord]
    from born b
    cross join lateral (select array_position($11::uuid[], b.id) as ord) n
),
already_born as (
    select n.id
    from unnest($11::uuid[]) with ordinality as n (id, ord)
    join history h on h.saga = n.id and h.version = 1
    where h.data = ($24::bytea[])[n.ord]
),
kept as (
    insert into parked (
        digest, origin, reason, detail, exchange, routing_key, body,
        headers, message_id, correlation_id, type, reply_to, sender
    )
    select
        p.digest, p.origin, p.reason, p.detail, p.exchange, p.routing_key, p.body,
        p.headers, p.message_id, p.correlation_id, p.type, p.reply_to, p.sender
    from unnest(
        $25::bytea[], $26::text[], $27::text[], $28::text[], $29::text[], $30::text[], $31::bytea[],
        $32::jsonb[], $33::text[], $34::text[], $35::text[], $36::text[], $37::text[]
    ) with ordinality as p (
        digest, origin, reason, detail, exchange, routing_key, body,
        headers, message_id, correlation_id, type, reply_to, sender, ord
    )
    order by p.digest, p.ord
    on conflict (digest) do nothing
)
select
    clock_timestamp() as now,
    array(select ord from moved union all select ord from already_moved) as advanced,
    array(select id from born union all select id from already_born) as started;
