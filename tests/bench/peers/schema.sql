-- SPDX-License-Identifier: MIT
--
-- What the peers on SQLite keep: the rows that one of our orders writes, with
-- the indexes that its reads need, and no checks beyond what they rely on.

CREATE TABLE users (
  id TEXT PRIMARY KEY,
  status TEXT NOT NULL DEFAULT 'active',
  credits_remaining INTEGER NOT NULL CHECK (credits_remaining >= 0),
  ledger_number INTEGER NOT NULL DEFAULT 0,
  ledger_hash BLOB NOT NULL DEFAULT x''
) STRICT;
CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id)
) STRICT;
CREATE TABLE models (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  credits_per_second INTEGER NOT NULL,
  is_active INTEGER NOT NULL
) STRICT;
CREATE TABLE credit_lots (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id),
  remaining_credits INTEGER NOT NULL CHECK (remaining_credits >= 0)
) STRICT;
CREATE INDEX credit_lots_by_user ON credit_lots (user_id)
  WHERE remaining_credits > 0;
CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id),
  model_id TEXT NOT NULL REFERENCES models (id),
  model_name TEXT NOT NULL,
  prompt TEXT NOT NULL,
  cost_credits INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'queued',
  due_at_ms INTEGER,
  created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_by_user ON jobs (user_id, created_at_ms, id);
CREATE INDEX jobs_by_due ON jobs (due_at_ms) WHERE due_at_ms IS NOT NULL;
CREATE TABLE attempts (
  id TEXT PRIMARY KEY,
  job_id TEXT NOT NULL REFERENCES jobs (id),
  number INTEGER NOT NULL,
  state TEXT NOT NULL,
  UNIQUE (job_id, number)
) STRICT;
CREATE TABLE hold_lots (
  job_id TEXT NOT NULL,
  lot_id TEXT NOT NULL REFERENCES credit_lots (id),
  credits INTEGER NOT NULL,
  PRIMARY KEY (job_id, lot_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE ledger_entries (
  user_id TEXT NOT NULL REFERENCES users (id),
  number INTEGER NOT NULL,
  kind TEXT NOT NULL,
  amount_credits INTEGER NOT NULL,
  balance_after INTEGER NOT NULL CHECK (balance_after >= 0),
  job_id TEXT NOT NULL,
  hash BLOB NOT NULL,
  created_at_ms INTEGER NOT NULL,
  PRIMARY KEY (user_id, number)
) STRICT;
CREATE UNIQUE INDEX ledger_entries_by_job ON ledger_entries (job_id, kind);
CREATE TABLE idempotency_records (
  user_id TEXT NOT NULL REFERENCES users (id),
  key TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  job_id TEXT NOT NULL REFERENCES jobs (id),
  credits_used INTEGER NOT NULL,
  credits_remaining INTEGER NOT NULL,
  PRIMARY KEY (user_id, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id TEXT NOT NULL REFERENCES users (id),
  job_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL
) STRICT;
