-- compatible: 15
-- SPDX-License-Identifier: MIT
-- Push: which phones may be told that a video is ready, and what is to be told.

-- A phone of a session; whoever the session belongs to is told. It goes with
-- its session, and with the next one that registers the same token.
CREATE TABLE push_tokens (
  environment TEXT NOT NULL CHECK (environment IN ('production', 'sandbox')),
  token TEXT NOT NULL CHECK (length(token) BETWEEN 64 AND 200),
  session_id BLOB NOT NULL CHECK (length(session_id) = 16),
  registered_at_ms INTEGER NOT NULL,
  PRIMARY KEY (environment, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX push_tokens_by_session ON push_tokens (session_id);

-- One message to one phone about the end of one job; gone once it was sent.
CREATE TABLE pushes (
  environment TEXT NOT NULL,
  token TEXT NOT NULL,
  job_id BLOB NOT NULL CHECK (length(job_id) = 16),
  tries_count INTEGER NOT NULL DEFAULT 0 CHECK (tries_count >= 0),
  -- A lease is this time moved into the future.
  next_try_at_ms INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL,
  PRIMARY KEY (environment, token, job_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX pushes_to_send ON pushes (next_try_at_ms);
