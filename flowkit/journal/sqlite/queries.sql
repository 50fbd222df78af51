-- Every statement of the SQLite store, by name. ``?1`` and the like are given in
-- the order of the caller's tuple, ``:name`` by name.

-- name: append
-- One record, if the fence is right and its number follows: the hot path. A wrong
-- one makes the run NULL, which is ignored, as is a number that is taken. Measured:
-- 3.5 us in a transaction, against 7 us for an INSERT from a SELECT, which copies by
-- way of a temporary table.
INSERT OR IGNORE INTO record (run, seq, at, kind, firing, step, data)
VALUES (
    CASE
        WHEN ?2 = (SELECT fence FROM run WHERE n = ?1)
        AND (?3 = 1 OR EXISTS (SELECT 1 FROM record WHERE run = ?1 AND seq = ?3 - 1))
        THEN ?1
    END,
    ?3, ?4, ?5, ?6, ?7, ?8
);

-- name: held
-- What a move is checked against; whether a record of number ?2 follows.
SELECT
    fence, id, flow,
    (?2 = 1 OR EXISTS (SELECT 1 FROM record WHERE run = ?1 AND seq = ?2 - 1))
    AND NOT EXISTS (SELECT 1 FROM record WHERE run = ?1 AND seq = ?2)
FROM run WHERE n = ?1;

-- name: latest
-- Why an append was refused.
SELECT
    fence, id, coalesce((SELECT max(seq) FROM record WHERE record.run = run.n), 0)
FROM run WHERE n = ?1;

-- name: record
-- One record; its move has been checked.
INSERT INTO record (run, seq, at, kind, firing, step, data)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- name: flow
-- The number of a flow.
SELECT n FROM flow WHERE name = ?1;

-- name: new_flow
-- A flow that is seen for the first time.
INSERT INTO flow (name) VALUES (?1);

-- name: new_run
-- A run, its columns in the order of RunRow.
INSERT INTO run (
    id, flow, state_id, status, key, inputs, graph, version, parent, created_by, tags,
    created, updated, due, fence, owner, error, result, state
) VALUES (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
    ?19
);

-- name: change
-- Columns of a run; their names are filled in, so that an index whose columns are
-- not named is left alone.
UPDATE run SET {columns} WHERE n = ?;

-- name: new_graph
-- A definition, once for its hash.
INSERT INTO graph (digest, definition) VALUES (?1, ?2) ON CONFLICT DO NOTHING;

-- name: graph
-- The definition of a hash.
SELECT definition FROM graph WHERE digest = ?1;

-- name: run
-- One run by its id.
SELECT * FROM run_row WHERE id = ?1;

-- name: by_state
-- The newest run of a state, of one flow or of any.
SELECT * FROM run_row
WHERE state_id = ?1 AND (?2 IS NULL OR flow = ?2) ORDER BY n DESC LIMIT 1;

-- name: live
-- The newest run of a state and a flow that is not over.
SELECT * FROM run_row
WHERE state_id = ?1 AND flow = ?2 AND status IN ('running', 'waiting')
ORDER BY n DESC LIMIT 1;

-- name: entries
-- A run's records after a number; a negative limit is none.
SELECT seq, at, kind, firing, step, data FROM record
WHERE run = (SELECT n FROM run WHERE id = ?1) AND seq > ?2 ORDER BY seq LIMIT ?3;

-- name: ids
-- Ids that begin with a prefix: between it and it with the last character there is.
SELECT id FROM run WHERE id >= ?1 AND id < ?1 || char(0x10FFFF) ORDER BY id LIMIT ?2;

-- name: runs
-- Runs, newest first; the conditions are filled in.
SELECT * FROM run_row {conditions} ORDER BY n DESC LIMIT :limit;

-- name: figures
-- Counts and durations by flow and status; percentiles by nearest rank. The
-- conditions are filled in.
WITH
picked AS (
    SELECT flow, status, created, updated - created AS lasted FROM run_row {conditions}
),
ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY flow, status ORDER BY lasted) AS place,
        count(*) OVER (PARTITION BY flow, status) AS runs
    FROM picked
)
SELECT
    flow, status, max(runs), min(created), avg(lasted), avg(lasted * lasted),
    max(CASE WHEN place = (runs + 1) / 2 THEN lasted END),
    max(CASE WHEN place = (runs * 95 + 99) / 100 THEN lasted END),
    max(lasted), coalesce(sum(lasted > :target), 0)
FROM ranked GROUP BY flow, status ORDER BY flow, status;

-- name: failing
-- Errors that runs ended with, by flow; the conditions are filled in.
SELECT flow, substr(error, 1, 200) AS said, count(*) AS runs, id, max(n)
FROM run_row {conditions}
GROUP BY flow, said HAVING said <> '' ORDER BY runs DESC, max(n) DESC LIMIT :limit;

-- name: waits_of
-- What a run waits for, to find what is new.
SELECT name, key, place, kind, token, data, number FROM wait WHERE run = ?1;

-- name: new_wait
-- One wait; its flow is repeated for the index.
INSERT INTO wait (run, flow, name, key, place, kind, token, data, since)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9);

-- name: token
-- The run that has a token.
SELECT run FROM wait WHERE token = ?1 AND token <> '';

-- name: drop_wait
-- A run waits for this no more.
DELETE FROM wait WHERE number = ?1;

-- name: drop_waits
-- A run waits for nothing more.
DELETE FROM wait WHERE run = ?1;

-- name: waits
-- What runs wait for; the conditions are filled in.
SELECT * FROM wait_row {conditions} ORDER BY number LIMIT :limit;

-- name: subscribers
-- Flows with a wait for events of a name: one look into the index for each flow.
SELECT name FROM flow
WHERE EXISTS (
    SELECT 1 FROM wait
    WHERE wait.flow = flow.n AND wait.name = ?1 AND wait.kind = 'event'
) ORDER BY name;

-- name: taker
-- The oldest run that waits for an event of this flow, name and key. A transient wait
-- has room as long as more such waits of its run than letters came after it.
SELECT w.run, r.id FROM wait AS w INDEXED BY wait_event
CROSS JOIN run AS r ON r.n = w.run
WHERE w.flow = (SELECT n FROM flow WHERE name = ?1)
AND w.name = ?2 AND w.key IS ?3 AND w.kind = 'event'
AND (w.data <> '"transient"' OR (
    SELECT count(*) FROM letter AS l
    WHERE l.run = w.run AND l.name = ?2 AND l.key IS ?3 AND l.at >= w.since
) < (
    SELECT count(*) FROM wait AS o
    WHERE o.run = w.run AND o.name = ?2 AND o.key IS ?3 AND o.kind = 'event'
    AND o.since >= w.since
))
ORDER BY w.run LIMIT 1;

-- name: awaited
-- Whether any run waits for an event of this flow, name and key, with room or without.
SELECT 1 FROM wait AS w INDEXED BY wait_event
WHERE w.flow = (SELECT n FROM flow WHERE name = ?1)
AND w.name = ?2 AND w.key IS ?3 AND w.kind = 'event' LIMIT 1;

-- name: take
-- Kept letters of a flow, name and key go into the inbox of a run that waits now.
UPDATE letter SET run = ?1
WHERE run IS NULL AND handler = 0
AND subscriber = (SELECT name FROM flow WHERE n = ?2) AND name = ?3 AND key IS ?4
RETURNING number, subscriber, name, key, event, payload, at, NULL, traceparent;

-- name: new_letter
-- A delivery, for a run, for nobody yet (NULL) or for a handler.
INSERT INTO letter (
    subscriber, name, key, event, payload, at, run, handler, traceparent
)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9);

-- name: consume
-- A letter of this run's inbox is used up.
DELETE FROM letter WHERE number = ?1 AND run = ?2;

-- name: left
-- What an ended run left in its inbox.
SELECT number, subscriber, name, key, event, payload, at, NULL, traceparent
FROM letter
WHERE run = ?1 ORDER BY number;

-- name: pass_on
-- A letter of an ended run is handed on, or kept (NULL).
UPDATE letter SET run = ?2 WHERE number = ?1;

-- name: letters
-- A run's inbox.
SELECT number, subscriber, name, key, event, payload, at, ?1, traceparent
FROM letter
WHERE run = (SELECT n FROM run WHERE id = ?1) ORDER BY number;

-- name: kept
-- Kept letters and those of handlers.
SELECT number, subscriber, name, key, event, payload, at, NULL, traceparent
FROM letter
WHERE run IS NULL AND (?1 IS NULL OR subscriber = ?1) ORDER BY number;

-- name: done
-- A handler has done its letter.
DELETE FROM letter WHERE number = ?1 AND handler = 1;

-- name: new_event
-- An event's id, to be refused next time.
INSERT INTO event (id, at) VALUES (?1, ?2);

-- name: seen
-- Whether an event's id was accepted.
SELECT 1 FROM event WHERE id = ?1;

-- name: forget_events
-- Old ids may come again.
DELETE FROM event WHERE at < ?1;

-- name: forget_kept
-- Kept letters that are old, or the oldest of too many.
DELETE FROM letter
WHERE run IS NULL AND handler = 0 AND (
    at < ?1
    OR number <= (
        SELECT number FROM letter WHERE run IS NULL AND handler = 0
        ORDER BY number DESC LIMIT 1 OFFSET ?2
    )
)
RETURNING number, subscriber, name, key, event, payload, at, NULL, traceparent;

-- name: beat
-- A process says that it is alive.
INSERT INTO owner (id, until, host, pid) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (id) DO UPDATE
SET until = excluded.until, host = excluded.host, pid = excluded.pid;

-- name: retire
-- A process ends.
DELETE FROM owner WHERE id = ?1;

-- name: owners
-- Who said so.
SELECT id, until, host, pid FROM owner ORDER BY id;

-- name: claim
-- Take a run over, unless a living owner other than the claimer has it.
UPDATE run SET owner = :owner, fence = fence + 1
WHERE id = :run AND (
    owner = :owner
    OR NOT EXISTS (
        SELECT 1 FROM owner AS o WHERE o.id = run.owner AND o.until > :at
        AND o.id NOT IN (SELECT value FROM json_each(:dead))
    )
);

-- name: claimable
-- Runs to go on with: running, due, or with a letter that fits one of their waits;
-- without a living owner. Each branch reads its own index and stops at the limit.
WITH
wanted AS (
    SELECT n FROM flow WHERE name IN (SELECT value FROM json_each(:flows))
),
alive AS (
    SELECT id FROM owner
    WHERE until > :at AND id NOT IN (SELECT value FROM json_each(:dead))
),
picked AS (
    SELECT * FROM (
        SELECT r.n FROM wanted
        CROSS JOIN run AS r INDEXED BY run_running ON r.flow = wanted.n
        WHERE r.status = 'running'
        AND (r.owner IS NULL OR r.owner NOT IN alive)
        ORDER BY r.n LIMIT :limit
    )
    UNION
    SELECT * FROM (
        SELECT r.n FROM wanted
        CROSS JOIN run AS r INDEXED BY run_due ON r.flow = wanted.n
        WHERE r.status = 'waiting' AND r.due <= :at
        AND (r.owner IS NULL OR r.owner NOT IN alive)
        ORDER BY r.due LIMIT :limit
    )
    UNION
    SELECT * FROM (
        SELECT DISTINCT r.n FROM letter AS l INDEXED BY letter_run
        CROSS JOIN run AS r ON r.n = l.run
        WHERE l.run IS NOT NULL AND r.status = 'waiting' AND r.flow IN wanted
        AND (r.owner IS NULL OR r.owner NOT IN alive)
        AND EXISTS (
            SELECT 1 FROM wait AS w INDEXED BY wait_event
            WHERE w.flow = r.flow AND w.name = l.name AND w.key IS l.key
            AND w.run = l.run AND w.kind = 'event'
        )
        ORDER BY l.run LIMIT :limit
    )
)
SELECT r.id FROM picked CROSS JOIN run AS r ON r.n = picked.n
ORDER BY r.n LIMIT :limit;

-- name: next_due
-- The earliest time at which a waiting run of these flows must be looked at: one
-- look into the index for each flow.
SELECT min(due) FROM (
    SELECT (
        SELECT min(r.due) FROM run AS r INDEXED BY run_due
        WHERE r.flow = flow.n AND r.status = 'waiting' AND r.due IS NOT NULL
    ) AS due
    FROM flow WHERE name IN (SELECT value FROM json_each(?1))
);

-- name: over
-- The numbers of those of these runs that are over.
SELECT n FROM run
WHERE id IN (SELECT value FROM json_each(?1)) AND status NOT IN ('running', 'waiting');

-- name: purge_records
-- All records of a run.
DELETE FROM record WHERE run = ?1;

-- name: purge_run
-- The run itself; it is over, so that it has neither waits nor letters.
DELETE FROM run WHERE n = ?1;

-- name: bury
-- A dead letter.
INSERT INTO dead (name, key, id, at, payload, reason, kind, subscriber)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);

-- name: dead
-- Dead letters, oldest first.
SELECT * FROM dead WHERE ?1 IS NULL OR name = ?1 ORDER BY number LIMIT ?2;

-- name: undead
-- Take a dead letter out.
DELETE FROM dead WHERE number = ?1 RETURNING *;

-- name: save_state
-- The latest state of an id.
INSERT INTO state (id, method, state, at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (id) DO UPDATE
SET method = excluded.method, state = excluded.state, at = excluded.at;

-- name: load_state
-- What was saved last.
SELECT state FROM state WHERE id = ?1;

-- name: save_pending
-- A pause of an id.
INSERT INTO pending (id, context, state, at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (id) DO UPDATE
SET context = excluded.context, state = excluded.state, at = excluded.at;

-- name: load_pending
-- State and context of a pause.
SELECT state, context FROM pending WHERE id = ?1;

-- name: clear_pending
-- The pause is over.
DELETE FROM pending WHERE id = ?1;

-- name: cell
-- A named value.
SELECT value FROM cell WHERE name = ?1;

-- name: new_cell
-- A named value, if there is none.
INSERT INTO cell (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING;

-- name: swap
-- A named value, if it still is the old one.
UPDATE cell SET value = ?3 WHERE name = ?1 AND value = ?2;
