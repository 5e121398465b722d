-- Jobs, the attempts to have them made, and what came of them.

CREATE TABLE jobs (
  id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
  user_id BLOB NOT NULL REFERENCES users (id),
  model_id BLOB NOT NULL REFERENCES models (id),
  model_name TEXT NOT NULL,
  theme_id BLOB REFERENCES themes (id),
  company TEXT NOT NULL,
  prompt TEXT NOT NULL,
  image_object_id BLOB,
  duration_s INTEGER NOT NULL CHECK (duration_s BETWEEN 1 AND 60),
  resolution TEXT NOT NULL,
  aspect_ratio TEXT NOT NULL,
  has_audio INTEGER NOT NULL CHECK (has_audio IN (0, 1)),
  cost_credits INTEGER NOT NULL CHECK (cost_credits BETWEEN 1 AND 10000),
  --  queued      committed and charged, to be submitted
  --  submitting  a submission is on its way or its fate is unknown
  --  waiting     accepted, in the provider's queue
  --  running     the provider works on it
  --  storing     made; the result is being fetched
  state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'submitting',
    'waiting', 'running', 'storing', 'completed', 'failed', 'cancelled',
    'lost')),
  error_code TEXT,
  queue_position INTEGER,
  -- When somebody must look at it again, whoever holds it now: a lease is this
  -- time moved into the future.
  due_at_ms INTEGER,
  deadline_at_ms INTEGER NOT NULL,
  is_hidden INTEGER NOT NULL DEFAULT 0 CHECK (is_hidden IN (0, 1)),
  created_at_ms INTEGER NOT NULL,
  completed_at_ms INTEGER,
  CHECK ((state IN ('completed', 'failed', 'cancelled', 'lost')) =
    (due_at_ms IS NULL)),
  CHECK ((due_at_ms IS NULL) = (completed_at_ms IS NOT NULL))
) STRICT;
CREATE INDEX jobs_by_user ON jobs (user_id, id) WHERE is_hidden = 0;
CREATE INDEX jobs_open_by_user ON jobs (user_id) WHERE due_at_ms IS NOT NULL;
CREATE INDEX jobs_to_submit ON jobs (company, due_at_ms) WHERE state = 'queued';
CREATE INDEX jobs_waiting_too_long ON jobs (deadline_at_ms)
  WHERE state = 'queued';
CREATE INDEX jobs_to_follow ON jobs (due_at_ms)
  WHERE state IN ('submitting', 'waiting', 'running', 'storing');

CREATE TABLE attempts (
  id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
  job_id BLOB NOT NULL REFERENCES jobs (id),
  number INTEGER NOT NULL CHECK (number >= 1),
  state TEXT NOT NULL CHECK (state IN ('new', 'sending', 'unknown', 'accepted',
    'succeeded', 'failed', 'lost', 'cancelled')),
  provider TEXT,
  seed INTEGER NOT NULL CHECK (seed BETWEEN 0 AND 2147483647),
  request_id TEXT,
  status_url TEXT,
  result_url TEXT,
  cancel_url TEXT,
  video_url TEXT,
  calls_count INTEGER NOT NULL DEFAULT 0 CHECK (calls_count >= 0),
  sent_at_ms INTEGER,
  ended_at_ms INTEGER,
  error_code TEXT,
  UNIQUE (job_id, number),
  CHECK ((state = 'new') = (sent_at_ms IS NULL) OR
    state IN ('failed', 'cancelled'))
) STRICT;
CREATE UNIQUE INDEX attempts_one_open ON attempts (job_id)
  WHERE state IN ('new', 'sending', 'unknown', 'accepted');
CREATE INDEX attempts_in_flight ON attempts (provider)
  WHERE state IN ('sending', 'unknown', 'accepted');
CREATE UNIQUE INDEX attempts_by_request ON attempts (provider, request_id)
  WHERE request_id IS NOT NULL;

-- What a key was answered with; a replay repeats it.
CREATE TABLE idempotency_records (
  user_id BLOB NOT NULL REFERENCES users (id),
  key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
  fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
  job_id BLOB NOT NULL REFERENCES jobs (id) DEFERRABLE INITIALLY DEFERRED,
  credits_used INTEGER NOT NULL,
  credits_remaining INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL,
  PRIMARY KEY (user_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_records_by_age ON idempotency_records (created_at_ms);

-- Files on our disk. A row exists before its file and after it:
--  storing   may be there in part
--  stored    is there, whole
--  deleting  is to be removed, then the row
CREATE TABLE objects (
  id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
  bucket TEXT NOT NULL CHECK (bucket IN ('videos', 'thumbnails')),
  name TEXT NOT NULL,
  user_id BLOB NOT NULL REFERENCES users (id),
  job_id BLOB REFERENCES jobs (id),
  state TEXT NOT NULL CHECK (state IN ('storing', 'stored', 'deleting')),
  content_type TEXT NOT NULL,
  size_bytes INTEGER CHECK (size_bytes >= 0),
  sha256 BLOB CHECK (length(sha256) = 32),
  created_at_ms INTEGER NOT NULL,
  CHECK (state <> 'stored' OR (size_bytes IS NOT NULL AND sha256 IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX objects_by_name ON objects (bucket, name)
  WHERE state <> 'deleting';
CREATE INDEX objects_by_job ON objects (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX objects_to_delete ON objects (created_at_ms)
  WHERE state = 'deleting';

-- What happened, in order. Written in the transaction of the change, so an
-- event is never missing and never early; telling it may be repeated.
CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id BLOB NOT NULL REFERENCES users (id),
  job_id BLOB,
  kind TEXT NOT NULL CHECK (kind IN ('job', 'balance', 'session')),
  created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX events_by_user ON events (user_id, id);
CREATE INDEX events_by_age ON events (created_at_ms);
