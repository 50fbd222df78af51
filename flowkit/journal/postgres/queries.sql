-- Every statement of the PostgreSQL store. "-- name:" begins one; the lines that
-- follow say what it is for. Written for the schema "flowkit"; another name is put
-- in its place. Lists come as arrays, one per column: a group of a hundred moves is
-- as many statements as one move.

-- name: append
-- One record, if the fence still holds and its number is the next one. The lock
-- makes a claim at the same moment wait, or this statement see the new fence.
insert into flowkit.record (run, seq, at, kind, firing, step, data)
select
    n, %(seq)s, %(at)s, %(kind)s::text, %(firing)s::bigint, %(step)s::text,
    %(data)s::text
from flowkit.run
where
    n = %(n)s
    and fence = %(fence)s
    and %(seq)s = 1 + coalesce(
        (select max(r.seq) from flowkit.record as r where r.run = %(n)s), 0
    )
for no key update of run

-- name: begin
-- Matching and waking rely on each statement's own snapshot, so not on the default.
begin isolation level read committed

-- name: commit
-- The end of a transaction.
commit

-- name: sign_in
-- A writer's own row, which each of its transactions marks. It tells whether a commit
-- went through whose answer was lost. (A transaction's own number would not: after a
-- crash the server may give it to another one.)
insert into flowkit.writer (id) values (%(id)s) on conflict (id) do nothing

-- name: mark
-- First in each transaction: the lock on the row is what a successor waits for.
update flowkit.writer set serial = %(serial)s, at = now() where id = %(id)s

-- name: marked
-- The latest of a writer's transactions that was committed.
select serial from flowkit.writer where id = %(id)s for update

-- name: sign_out
-- A writer ends; so did those that were not heard of for a month.
delete from flowkit.writer where id = %(id)s or at < now() - interval '30 days'

-- name: backend
-- The process that serves a connection; the time tells it from a later one.
select pid, backend_start::text from pg_stat_activity where pid = pg_backend_pid()

-- name: end_backend
-- A connection that was lost may still be at work on the server.
select pg_terminate_backend(pid)
from pg_stat_activity
where pid = %(pid)s and backend_start::text = %(started)s

-- name: patience
-- How long to wait for a lock before giving up.
select set_config('lock_timeout', %(seconds)s, false)

-- name: lock_places
-- No two transactions match events and waits of one place at a time. Sorted, so
-- that two of them never wait for each other.
select pg_advisory_xact_lock(%(space)s, bucket)
from unnest(%(buckets)s::int[]) as bucket

-- name: peek_runs
-- Flow, waits and inbox of runs whose waits will change, to know the places to lock.
select
    run.n, run.flow,
    array(
        select distinct array[wait.name, wait.key]
        from flowkit.wait
        where wait.run = run.n and wait.kind = 'event'
    ),
    array(
        select distinct array[letter.name, letter.key]
        from flowkit.letter
        where letter.run = run.n
    )
from flowkit.run
where run.n = any(%(runs)s::bigint[])

-- name: lock_runs
-- Always in the order of numbers, so that two groups never wait for each other.
select n, id, flow, fence
from flowkit.run
where n = any(%(runs)s::bigint[])
order by n
for no key update

-- name: latest
-- The number of each run's latest record. Apart from lock_runs: a statement that had
-- to wait for a lock still looks at everything else as it was before.
select run.n, (select max(seq) from flowkit.record where record.run = run.n)
from unnest(%(runs)s::bigint[]) as run (n)

-- name: written
-- Records that a repeated move wants to write again.
select run, seq, at, kind, firing, step, data
from flowkit.record
where (run, seq) in (
    select * from unnest(%(runs)s::bigint[], %(seqs)s::bigint[])
)

-- name: waits_of
-- What these runs wait for.
select number, run, name, key, place, kind, token, data, since
from flowkit.wait
where run = any(%(runs)s::bigint[])
order by number

-- name: letters_of
-- The inboxes of these runs.
select number, subscriber, name, key, event, payload, at, run, traceparent
from flowkit.letter
where run = any(%(runs)s::bigint[])
order by number

-- name: waiting_at
-- The oldest runs that wait at each place and have room. "most" is one more than this
-- group could take away or fill. The room is null for any number of letters; runs
-- that this group changes are there in any case, since it may change their room.
select place.i, found.run, found.id, found.room
from
    unnest(
        %(flows)s::text[], %(names)s::text[], %(slots)s::text[], %(most)s::bigint[]
    ) with ordinality as place (flow, name, slot, most, i),
    lateral (
        select wait.run, run.id, space.room
        from flowkit.wait
        inner join flowkit.run on run.n = wait.run
        cross join lateral (
            select
                case when wait.data = '"transient"' then (
                    select count(*) from flowkit.wait as other
                    where
                        other.run = wait.run
                        and other.kind = 'event'
                        and other.name = place.name
                        and other.slot = place.slot
                        and other.since >= wait.since
                ) - (
                    select count(*) from flowkit.letter
                    where
                        letter.run = wait.run
                        and letter.name = place.name
                        and letter.slot = place.slot
                        and letter.at >= wait.since
                        and letter.number <> all(%(consumed)s::bigint[])
                ) end as room
        ) as space
        where
            wait.kind = 'event'
            and wait.flow = place.flow
            and wait.name = place.name
            and wait.slot = place.slot
            and (
                space.room is null
                or space.room > 0
                or wait.run = any(%(changing)s::bigint[])
            )
        order by wait.run
        limit place.most
    ) as found

-- name: full_at
-- Places where a run waits that this group does not change: with room or without.
select place.i
from
    unnest(
        %(flows)s::text[], %(names)s::text[], %(slots)s::text[]
    ) with ordinality as place (flow, name, slot, i)
where
    exists (
        select 1 from flowkit.wait
        where
            wait.kind = 'event'
            and wait.flow = place.flow
            and wait.name = place.name
            and wait.slot = place.slot
            and wait.data = '"transient"'
            and wait.run <> all(%(changing)s::bigint[])
    )

-- name: kept_at
-- All letters kept at each place.
select
    letter.number, letter.subscriber, letter.name, letter.key, letter.event,
    letter.payload, letter.at, null, letter.traceparent
from
    unnest(
        %(flows)s::text[], %(names)s::text[], %(slots)s::text[]
    ) as place (flow, name, slot)
inner join flowkit.letter
    on
        letter.run is null
        and not letter.handler
        and letter.subscriber = place.flow
        and letter.name = place.name
        and letter.slot = place.slot
order by letter.number

-- name: events_seen
-- Which of these event ids were accepted before.
select id from flowkit.event where id = any(%(ids)s::text[])

-- name: tokens_taken
-- To which run these tokens belong.
select token, run from flowkit.wait where token = any(%(tokens)s::text[])

-- name: run_numbers
-- Numbers for new runs, drawn first: outcomes are known before the commit is sent.
select nextval('flowkit.run_n_seq') from generate_series(1, %(count)s)

-- name: letter_numbers
-- Numbers for new letters.
select nextval('flowkit.letter_number_seq') from generate_series(1, %(count)s)

-- name: dead_numbers
-- Numbers for new dead letters.
select nextval('flowkit.dead_number_seq') from generate_series(1, %(count)s)

-- name: add_runs
-- New runs.
insert into flowkit.run (
    n, id, flow, state_id, status, key, inputs, graph, version, parent, created_by,
    tags, created, updated, due, fence, owner, error, result, state
)
select *
from unnest(
    %(n)s::bigint[], %(id)s::text[], %(flow)s::text[], %(state_id)s::text[],
    %(status)s::text[], %(key)s::text[], %(inputs)s::text[], %(graph)s::text[],
    %(version)s::text[], %(parent)s::text[], %(created_by)s::text[],
    %(tags)s::text[], %(created)s::float8[], %(updated)s::float8[],
    %(due)s::float8[], %(fence)s::bigint[], %(owner)s::text[], %(error)s::text[],
    %(result)s::text[], %(state)s::text[]
)

-- name: add_records
-- New records.
insert into flowkit.record (run, seq, at, kind, firing, step, data)
select *
from unnest(
    %(run)s::bigint[], %(seq)s::bigint[], %(at)s::float8[], %(kind)s::text[],
    %(firing)s::bigint[], %(step)s::text[], %(data)s::text[]
)

-- name: change_runs
-- What is said of runs. Null leaves a column; for those that may be null themselves,
-- "set_" says whether to write them.
update flowkit.run
set
    status = coalesce(new.status, run.status),
    updated = coalesce(new.updated, run.updated),
    due = case when new.set_due then new.due else run.due end,
    owner = case when new.set_owner then null else run.owner end,
    key = case when new.set_key then new.key else run.key end,
    state_id = coalesce(new.state_id, run.state_id),
    error = coalesce(new.error, run.error),
    result = coalesce(new.result, run.result),
    state = coalesce(new.state, run.state),
    graph = coalesce(new.graph, run.graph),
    tags = coalesce(new.tags, run.tags)
from unnest(
    %(n)s::bigint[], %(status)s::text[], %(updated)s::float8[],
    %(set_due)s::bool[], %(due)s::float8[], %(set_owner)s::bool[],
    %(set_key)s::bool[], %(key)s::text[], %(state_id)s::text[], %(error)s::text[],
    %(result)s::text[], %(state)s::text[], %(graph)s::text[], %(tags)s::text[]
) as new (
    n, status, updated, set_due, due, set_owner, set_key, key, state_id, error,
    result, state, graph, tags
)
where run.n = new.n

-- name: drop_waits
-- Waits that are over.
delete from flowkit.wait where number = any(%(numbers)s::bigint[])

-- name: add_waits
-- New waits.
insert into flowkit.wait (run, flow, name, key, place, kind, token, data, since)
select *
from unnest(
    %(run)s::bigint[], %(flow)s::text[], %(name)s::text[], %(key)s::text[],
    %(place)s::text[], %(kind)s::text[], %(token)s::text[], %(data)s::text[],
    %(since)s::float8[]
)

-- name: add_letters
-- New letters, kept or in a run's inbox.
insert into flowkit.letter (
    number, subscriber, name, key, event, payload, at, run, handler, traceparent
)
select *
from unnest(
    %(number)s::bigint[], %(subscriber)s::text[], %(name)s::text[], %(key)s::text[],
    %(event)s::text[], %(payload)s::text[], %(at)s::float8[], %(run)s::bigint[],
    %(handler)s::bool[], %(traceparent)s::text[]
)

-- name: move_letters
-- Letters that change hands: from kept to a run, from a run that ended to the next.
update flowkit.letter
set run = new.run
from unnest(%(number)s::bigint[], %(run)s::bigint[]) as new (number, run)
where letter.number = new.number

-- name: consume
-- Letters that a run has used up. Only from its own inbox.
delete from flowkit.letter
using unnest(%(number)s::bigint[], %(run)s::bigint[]) as gone (number, run)
where letter.number = gone.number and letter.run = gone.run

-- name: add_events
-- Event ids that are accepted from now on.
insert into flowkit.event (id, at)
select * from unnest(%(id)s::text[], %(at)s::float8[])

-- name: add_graphs
-- Definitions, each once for its hash.
insert into flowkit.graph (digest, data)
select * from unnest(%(digest)s::text[], %(data)s::text[])
order by 1
on conflict (digest) do nothing

-- name: bury
-- One dead letter.
insert into flowkit.dead (
    number, name, key, event, at, payload, reason, kind, subscriber
)
values (
    %(number)s, %(name)s, %(key)s, %(event)s, %(at)s, %(payload)s, %(reason)s,
    %(kind)s, %(subscriber)s
)

-- name: notify
-- Wake whoever listens, when this transaction commits.
select pg_notify(%(channel)s, id) from unnest(%(ids)s::text[]) as id

-- name: fence
-- What a refused append has to say.
select
    id, fence,
    (select max(seq) from flowkit.record where record.run = run.n)
from flowkit.run
where n = %(n)s

-- name: beat
-- A process is alive.
insert into flowkit.owner (id, until, host, pid)
values (%(id)s, %(until)s, %(host)s, %(pid)s)
on conflict (id) do update
    set until = excluded.until, host = excluded.host, pid = excluded.pid

-- name: retire
-- A process has ended: whoever is not in the table does not live.
delete from flowkit.owner where id = %(id)s

-- name: owners
-- Every process that said it is alive.
select id, until, host, pid from flowkit.owner order by id

-- name: claim
-- Take a run over unless a living owner has it.
update flowkit.run
set fence = run.fence + 1, owner = %(owner)s
where
    run.id = %(id)s
    and (
        run.owner is null
        or run.owner = %(owner)s
        or run.owner = any(%(dead)s::text[])
        or not exists (
            select 1 from flowkit.owner
            where owner.id = run.owner and owner.until > %(at)s
        )
    )
returning run.n

-- name: claimable
-- Runs to go on with: running ones, due ones, ones with a letter they wait for;
-- without a living owner. Each branch has an index of its own, so that a hundred thousand runs that
-- only wait cost nothing.
select id
from flowkit.run
where
    n in (
        select n from flowkit.run
        where status = 'running' and flow = any(%(flows)s::text[])
        union all
        select n from flowkit.run
        where
            status = 'waiting'
            and due is not null
            and due <= %(at)s
            and flow = any(%(flows)s::text[])
        union all
        select letter.run from flowkit.letter
        inner join flowkit.wait
            on
                wait.run = letter.run
                and wait.kind = 'event'
                and wait.name = letter.name
                and wait.slot = letter.slot
        where letter.run is not null
    )
    and flow = any(%(flows)s::text[])
    and (
        owner is null
        or owner = any(%(dead)s::text[])
        or not exists (
            select 1 from flowkit.owner
            where owner.id = run.owner and owner.until > %(at)s
        )
    )
order by n
limit %(limit)s

-- name: next_due
-- The earliest due of these flows: one look into the index for each.
select min(first.due)
from
    unnest(%(flows)s::text[]) as flow (name),
    lateral (
        select due from flowkit.run
        where status = 'waiting' and due is not null and run.flow = flow.name
        order by due
        limit 1
    ) as first

-- name: run_columns
-- The head of every statement that reads runs; not one by itself.
select
    run.id, run.flow, run.state_id, run.status, run.key, run.inputs, run.graph,
    run.version, run.parent, run.created_by, run.tags, run.created, run.updated,
    run.due, run.fence, run.owner, run.error, run.result, run.state,
    coalesce(
        (select max(seq) from flowkit.record where record.run = run.n), 0
    ) as seq,
    run.n
from flowkit.run

-- name: by_id
-- After run_columns: one run.
where run.id = %(id)s

-- name: by_ids
-- After run_columns: runs by id.
where run.id = any(%(ids)s::text[])

-- name: live_on
-- After run_columns: runs of these flows and states that are not over, and the runs
-- that moves of this group change, since they may come to be so.
where
    (
        run.status in ('running', 'waiting')
        and (run.flow, run.state_id) in (
            select * from unnest(%(flows)s::text[], %(states)s::text[])
        )
    )
    or run.n = any(%(runs)s::bigint[])
order by run.n desc

-- name: by_state
-- After run_columns: the newest run with a state id.
where
    run.state_id = %(state_id)s
    and (%(flow)s::text is null or run.flow = %(flow)s)
order by run.n desc
limit 1

-- name: entries
-- A run's records in order.
select seq, at, kind, firing, step, data
from flowkit.record
where run = (select n from flowkit.run where id = %(id)s) and seq > %(since)s
order by seq
limit %(limit)s

-- name: letters
-- A run's inbox.
select number, subscriber, name, key, event, payload, at, %(id)s::text, traceparent
from flowkit.letter
where run = (select n from flowkit.run where id = %(id)s)
order by number

-- name: figures
-- Counts and durations by flow and status; the conditions are filled in.
select
    run.flow, run.status, count(*), min(run.created),
    avg(run.updated - run.created),
    avg((run.updated - run.created) * (run.updated - run.created)),
    percentile_disc(0.5) within group (order by run.updated - run.created),
    percentile_disc(0.95) within group (order by run.updated - run.created),
    max(run.updated - run.created),
    count(*) filter (
        where run.updated - run.created > %(target)s::double precision
    )
from flowkit.run
{conditions}
group by run.flow, run.status
order by run.flow, run.status

-- name: failing
-- Errors that runs ended with, by flow; the conditions are filled in.
select
    run.flow, left(run.error, 200) as said, count(*),
    (array_agg(run.id order by run.n desc))[1]
from flowkit.run
{conditions}
group by run.flow, said
having left(run.error, 200) <> ''
order by count(*) desc, max(run.n) desc
limit %(limit)s

-- name: ids
-- Ids that begin with a prefix; "past" is greater than each of them.
select id from flowkit.run
where id >= %(prefix)s and id < %(past)s
order by id
limit %(limit)s

-- name: graph
-- A definition.
select data from flowkit.graph where digest = %(digest)s

-- name: subscribers
-- Flows with a run that waits for a name.
select distinct flow from flowkit.wait
where kind = 'event' and name = %(name)s
order by flow

-- name: seen
-- Whether an event id was accepted before.
select 1 from flowkit.event where id = %(id)s

-- name: kept
-- Letters that nobody has, oldest first.
select number, subscriber, name, key, event, payload, at, null, traceparent
from flowkit.letter
where
    run is null
    and (%(subscriber)s::text is null or subscriber = %(subscriber)s)
order by number

-- name: done
-- A handler has done its letter.
delete from flowkit.letter where number = %(number)s and run is null and handler

-- name: dead
-- Dead letters, oldest first.
select number, name, key, event, at, payload, reason, kind, subscriber
from flowkit.dead
where %(name)s::text is null or name = %(name)s
order by number
limit %(limit)s

-- name: undead
-- Take a dead letter out.
delete from flowkit.dead
where number = %(number)s
returning number, name, key, event, at, payload, reason, kind, subscriber

-- name: forget_events
-- Old event ids.
delete from flowkit.event where at < %(before)s

-- name: forget_kept
-- Kept letters that are too old or too many; with a reason, they are dead ones.
with gone as (
    delete from flowkit.letter
    where
        run is null
        and not handler
        and (
            at < %(before)s
            or number in (
                select number from flowkit.letter
                where run is null and not handler
                order by number desc
                offset %(most)s
            )
        )
    returning
        number, subscriber, name, key, event, payload, at, null::text, traceparent
),

buried as (
    insert into flowkit.dead (
        name, key, event, at, payload, reason, kind, subscriber
    )
    select
        name, key, event, %(at)s, payload, %(reason)s::text, 'dropped', subscriber
    from gone
    where %(reason)s::text is not null
    order by number
)

select * from gone order by number

-- name: purge
-- Runs that are over, with all that belongs to them.
with gone as (
    delete from flowkit.run
    where
        id = any(%(ids)s::text[])
        and status not in ('running', 'waiting')
    returning n
),

records as (delete from flowkit.record where run in (select n from gone)),

waits as (delete from flowkit.wait where run in (select n from gone)),

letters as (delete from flowkit.letter where run in (select n from gone))

select count(*) from gone

-- name: save_state
-- The latest state under an id.
insert into flowkit.state (id, method, state, at)
values (%(id)s, %(method)s, %(state)s, %(at)s)
on conflict (id) do update
    set method = excluded.method, state = excluded.state, at = excluded.at

-- name: load_state
-- What was saved last.
select state from flowkit.state where id = %(id)s

-- name: save_pending
-- A pause, one an id.
insert into flowkit.pending (id, context, state, at)
values (%(id)s, %(context)s, %(state)s, %(at)s)
on conflict (id) do update
    set context = excluded.context, state = excluded.state, at = excluded.at

-- name: load_pending
-- State and context of a pause.
select state, context from flowkit.pending where id = %(id)s

-- name: clear_pending
-- The pause is over.
delete from flowkit.pending where id = %(id)s

-- name: cell
-- A named value.
select value from flowkit.cell where name = %(name)s

-- name: swap_new
-- Set a value that is not there.
insert into flowkit.cell (name, value)
values (%(name)s, %(new)s)
on conflict (name) do nothing
returning 1

-- name: swap_old
-- Set a value that is still the old one.
update flowkit.cell set value = %(new)s
where name = %(name)s and value = %(old)s
returning 1

-- name: server
-- What is behind the store, for people.
select
    current_setting('server_version'), current_database(), current_user,
    current_setting('fsync'), current_setting('synchronous_commit'),
    (select max(number) from flowkit.migration)

-- name: has_icu
-- Whether the server has ICU's lower case, which knows all letters in any database.
select exists (select 1 from pg_collation where collname = 'und-x-icu')

-- name: waits
-- The head of the statement that lists waits.
select
    run.id, wait.flow, wait.name, wait.key, wait.place, wait.kind, wait.token,
    wait.data, wait.since
from flowkit.wait
inner join flowkit.run on run.n = wait.run
