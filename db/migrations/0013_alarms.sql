-- SPDX-License-Identifier: MIT
-- Alarms: what the operator must know, and the notices that tell it.

-- A condition is a name and what of it: a company, a model, '' when there is
-- only one. Its episodes are numbered, so that each is told of once.
CREATE TABLE alarms (
  name TEXT NOT NULL CHECK (name <> ''),
  subject TEXT NOT NULL,
  episode INTEGER NOT NULL CHECK (episode >= 1),
  is_raised INTEGER NOT NULL CHECK (is_raised IN (0, 1)),
  -- The notice of its beginning was written; one of its end is owed.
  is_told INTEGER NOT NULL CHECK (is_told IN (0, 1)),
  detail TEXT NOT NULL,
  raised_at_ms INTEGER NOT NULL,
  -- Raised, but since then nothing was wrong.
  well_since_ms INTEGER,
  cleared_at_ms INTEGER,
  PRIMARY KEY (name, subject),
  CHECK ((is_raised = 0) = (cleared_at_ms IS NOT NULL)),
  CHECK (is_raised = 1 OR well_since_ms IS NULL)
) STRICT, WITHOUT ROWID;
CREATE INDEX alarms_raised ON alarms (raised_at_ms) WHERE is_raised = 1;
CREATE INDEX alarms_cleared ON alarms (cleared_at_ms) WHERE is_raised = 0;

-- What is to be told to the operator, each once by its key, in order.
CREATE TABLE notices (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  dedupe_key TEXT NOT NULL UNIQUE CHECK (dedupe_key <> ''),
  text TEXT NOT NULL CHECK (length(text) BETWEEN 1 AND 500),
  -- It was being sent when all trace of it was lost: it may have arrived.
  is_doubtful INTEGER NOT NULL DEFAULT 0 CHECK (is_doubtful IN (0, 1)),
  created_at_ms INTEGER NOT NULL,
  sent_at_ms INTEGER
) STRICT;
CREATE INDEX notices_to_send ON notices (id) WHERE sent_at_ms IS NULL;
CREATE INDEX notices_by_age ON notices (created_at_ms);

-- One row: when the next message may go out. The lease of the one that is
-- under way, the pause that the service asked for and our own rate in one.
CREATE TABLE notice_channel (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  next_send_at_ms INTEGER NOT NULL,
  failures_count INTEGER NOT NULL CHECK (failures_count >= 0)
) STRICT;
INSERT INTO notice_channel VALUES (1, 0, 0);

-- Companies that failed to answer since they last did; no row for others.
CREATE TABLE upstreams (
  kind TEXT NOT NULL CHECK (kind IN ('provider', 'apple')),
  name TEXT NOT NULL CHECK (name <> ''),
  failures_count INTEGER NOT NULL CHECK (failures_count >= 1),
  reason TEXT NOT NULL,
  first_at_ms INTEGER NOT NULL,
  last_at_ms INTEGER NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- Up to where something was looked through, or when it is next due.
CREATE TABLE watches (
  name TEXT PRIMARY KEY NOT NULL CHECK (name <> ''),
  at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: how the last backups went. 0 = never.
CREATE TABLE backup_state (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  good_at_ms INTEGER NOT NULL,
  failed_at_ms INTEGER NOT NULL
) STRICT;
INSERT INTO backup_state VALUES (1, 0, 0);

-- One row: what the last audit found. 0 = none was made.
CREATE TABLE audit_state (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  made_at_ms INTEGER NOT NULL,
  violations_count INTEGER NOT NULL CHECK (violations_count >= 0),
  -- The numbers of the invariants, for people.
  violated TEXT NOT NULL
) STRICT;
INSERT INTO audit_state VALUES (1, 0, 0, '');

-- For what is told of: who came, what was sold, what ended.
CREATE INDEX users_by_age ON users (created_at_ms);
CREATE INDEX purchases_by_credit ON purchases (credited_at_ms)
  WHERE credited_at_ms IS NOT NULL;
CREATE INDEX jobs_by_end ON jobs (completed_at_ms, state)
  WHERE completed_at_ms IS NOT NULL;
