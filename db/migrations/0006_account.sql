-- SPDX-License-Identifier: MIT
-- Accounts from their first gift to their end.

-- What was strange about a device.
ALTER TABLE devices ADD COLUMN grant_bit INTEGER CHECK (grant_bit IN (0, 1));
ALTER TABLE devices ADD COLUMN bit_changes_count INTEGER NOT NULL DEFAULT 0
  CHECK (bit_changes_count >= 0);
ALTER TABLE devices ADD COLUMN rejections_count INTEGER NOT NULL DEFAULT 0
  CHECK (rejections_count >= 0);
CREATE INDEX users_with_pending_gift ON users (grant_state)
  WHERE grant_state = 'pending' AND status = 'active';

-- How often somebody did something in a window that began then. The subject
-- is a keyed hash.
CREATE TABLE limit_windows (
  kind TEXT NOT NULL CHECK (kind IN ('device', 'address')),
  subject BLOB NOT NULL CHECK (length(subject) = 32),
  began_at_ms INTEGER NOT NULL,
  count INTEGER NOT NULL CHECK (count >= 1),
  PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX limit_windows_by_age ON limit_windows (began_at_ms);

-- What is left to do for a deleted account; a step that is done stays.
CREATE TABLE deletion_steps (
  user_id BLOB NOT NULL REFERENCES users (id),
  step TEXT NOT NULL CHECK (step <> ''),
  state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done')),
  tries_count INTEGER NOT NULL DEFAULT 0 CHECK (tries_count >= 0),
  -- When it is tried, or for what is done: was.
  next_try_at_ms INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL,
  PRIMARY KEY (user_id, step)
) STRICT, WITHOUT ROWID;
CREATE INDEX deletion_steps_to_take ON deletion_steps (next_try_at_ms)
  WHERE state = 'open';

-- Everything of a user is found: hidden jobs too, and files.
DROP INDEX jobs_hidden_by_user;
DROP INDEX jobs_by_user;
CREATE INDEX jobs_by_user ON jobs (user_id, id);
DROP INDEX objects_by_user;
CREATE INDEX objects_by_user ON objects (user_id, id);
