-- Runs, their records, their waits, and the inbox of events.
--
-- Runs and flows have numbers, so that their names are stored once. Numbers of runs,
-- letters and dead letters are never given twice (AUTOINCREMENT): a late owner of a
-- deleted run must not write to another one.

CREATE TABLE flow (
    n INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE graph (
    n INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    definition TEXT NOT NULL
);

CREATE TABLE run (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    flow INTEGER NOT NULL,
    state_id TEXT NOT NULL,
    status TEXT NOT NULL,
    key TEXT,
    inputs TEXT NOT NULL,
    graph TEXT NOT NULL,
    version TEXT NOT NULL,
    parent TEXT,
    created_by TEXT NOT NULL,
    tags TEXT NOT NULL,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    due REAL,
    fence INTEGER NOT NULL,
    owner TEXT,
    error TEXT NOT NULL,
    result TEXT NOT NULL,
    state TEXT NOT NULL
);

CREATE INDEX run_state ON run (state_id);
CREATE INDEX run_key ON run (key) WHERE key IS NOT NULL;
CREATE INDEX run_parent ON run (parent) WHERE parent IS NOT NULL;
-- What a worker looks for: small, however many runs wait for an event or are over.
CREATE INDEX run_running ON run (flow) WHERE status = 'running';
CREATE INDEX run_due ON run (flow, due) WHERE status = 'waiting' AND due IS NOT NULL;

-- The journal. Without rowid, a run's records lie side by side, in order.
CREATE TABLE record (
    run INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    firing INTEGER,
    step TEXT,
    data TEXT NOT NULL,
    PRIMARY KEY (run, seq)
) WITHOUT ROWID;

CREATE TABLE wait (
    number INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    flow INTEGER NOT NULL,
    name TEXT NOT NULL,
    key TEXT,
    place TEXT NOT NULL,
    kind TEXT NOT NULL,
    token TEXT NOT NULL,
    data TEXT NOT NULL,
    since REAL NOT NULL
);

CREATE INDEX wait_run ON wait (run);
CREATE INDEX wait_event ON wait (kind, flow, name, key, run);
CREATE INDEX wait_token ON wait (token) WHERE token <> '';

-- Deliveries: in a run's inbox, or kept (run is NULL), or for a handler.
CREATE TABLE letter (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber TEXT NOT NULL,
    name TEXT NOT NULL,
    key TEXT,
    event TEXT,
    payload TEXT NOT NULL,
    at REAL NOT NULL,
    run INTEGER,
    handler INTEGER NOT NULL
);

CREATE INDEX letter_run ON letter (run) WHERE run IS NOT NULL;
CREATE INDEX letter_kept ON letter (subscriber, name, key) WHERE run IS NULL;

CREATE TABLE event (
    id TEXT PRIMARY KEY,
    at REAL NOT NULL
) WITHOUT ROWID;

CREATE INDEX event_at ON event (at);

CREATE TABLE dead (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    key TEXT,
    id TEXT,
    at REAL NOT NULL,
    payload TEXT NOT NULL,
    reason TEXT NOT NULL,
    kind TEXT NOT NULL,
    subscriber TEXT NOT NULL
);

CREATE TABLE owner (
    id TEXT PRIMARY KEY,
    until REAL NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE state (
    id TEXT PRIMARY KEY,
    method TEXT NOT NULL,
    state TEXT NOT NULL,
    at REAL NOT NULL
);

CREATE TABLE pending (
    id TEXT PRIMARY KEY,
    context TEXT NOT NULL,
    state TEXT NOT NULL,
    at REAL NOT NULL
);

CREATE TABLE cell (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- Rows as the port names them, column for column.
CREATE VIEW run_row AS
SELECT
    r.id, f.name AS flow, r.state_id, r.status, r.key, r.inputs, r.graph, r.version,
    r.parent, r.created_by, r.tags, r.created, r.updated, r.due, r.fence, r.owner,
    r.error, r.result, r.state,
    coalesce((SELECT max(seq) FROM record WHERE record.run = r.n), 0) AS seq,
    r.n
FROM run AS r CROSS JOIN flow AS f ON f.n = r.flow;

CREATE VIEW letter_row AS
SELECT
    l.number, l.subscriber, l.name, l.key, l.event, l.payload, l.at,
    (SELECT run.id FROM run WHERE run.n = l.run) AS run
FROM letter AS l;

CREATE VIEW wait_row AS
SELECT
    r.id AS run, f.name AS flow, w.name, w.key, w.place, w.kind, w.token, w.data,
    w.since, w.number
FROM wait AS w
CROSS JOIN run AS r ON r.n = w.run
CROSS JOIN flow AS f ON f.n = w.flow;
