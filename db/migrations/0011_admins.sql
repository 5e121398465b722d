-- SPDX-License-Identifier: MIT
-- Who runs this: admins, their sessions, and all that they did.

CREATE TABLE admins (
  id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
  name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64),
  password_hash TEXT NOT NULL CHECK (password_hash <> ''),
  -- The secret of one-time codes, sealed by a key outside of the database.
  totp_sealed BLOB NOT NULL,
  -- The step of the last code that was taken: none counts twice.
  totp_step INTEGER NOT NULL DEFAULT 0,
  is_disabled INTEGER NOT NULL DEFAULT 0 CHECK (is_disabled IN (0, 1)),
  signed_in_at_ms INTEGER,
  created_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE admin_sessions (
  token_hash BLOB PRIMARY KEY NOT NULL CHECK (length(token_hash) = 32),
  admin_id BLOB NOT NULL REFERENCES admins (id),
  created_at_ms INTEGER NOT NULL,
  used_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX admin_sessions_by_admin ON admin_sessions (admin_id);
CREATE INDEX admin_sessions_by_age ON admin_sessions (created_at_ms);

-- Every act, in the transaction of the act.
CREATE TABLE admin_log (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  -- NULL: whoever may run `rendio` on the machine.
  admin_id BLOB REFERENCES admins (id),
  actor TEXT NOT NULL CHECK (actor <> ''),
  address TEXT NOT NULL,
  action TEXT NOT NULL CHECK (action <> ''),
  user_id BLOB REFERENCES users (id),
  -- The job, model, theme or admin it was done to, and which field of it.
  subject_id BLOB CHECK (length(subject_id) = 16),
  field TEXT NOT NULL,
  old_value TEXT,
  new_value TEXT,
  credits INTEGER NOT NULL DEFAULT 0,
  reason TEXT NOT NULL,
  undoes_number INTEGER REFERENCES admin_log (number),
  created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX admin_log_by_user ON admin_log (user_id, number)
  WHERE user_id IS NOT NULL;
CREATE INDEX admin_log_by_admin ON admin_log (admin_id, created_at_ms)
  WHERE admin_id IS NOT NULL;
CREATE UNIQUE INDEX admin_log_one_undo ON admin_log (undoes_number)
  WHERE undoes_number IS NOT NULL;
CREATE UNIQUE INDEX admin_log_one_job_refund ON admin_log (subject_id)
  WHERE action = 'job_refund';
CREATE TRIGGER admin_log_is_final BEFORE UPDATE ON admin_log
BEGIN SELECT RAISE(ABORT, 'the admin log is never edited'); END;
CREATE TRIGGER admin_log_stays BEFORE DELETE ON admin_log
BEGIN SELECT RAISE(ABORT, 'nothing in the admin log is deleted'); END;

-- What the operator turns on for a while.
--  maintenance  no orders and no uploads are taken
CREATE TABLE switches (
  name TEXT PRIMARY KEY NOT NULL CHECK (name IN ('maintenance')),
  is_on INTEGER NOT NULL DEFAULT 0 CHECK (is_on IN (0, 1)),
  changed_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
