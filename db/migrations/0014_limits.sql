-- SPDX-License-Identifier: MIT
-- How often somebody may do something, and who tried more often.

-- A bucket of uses, as the time at which it is full again: one for an hour's
-- uses and one for a minute's. The subject is a user's id, or a keyed hash.
-- (limit_windows stays for programs of the version before this one.)
CREATE TABLE rate_limits (
  kind TEXT NOT NULL CHECK (kind <> ''),
  subject BLOB NOT NULL CHECK (length(subject) IN (16, 32)),
  hour_full_at_ms INTEGER NOT NULL,
  minute_full_at_ms INTEGER NOT NULL,
  PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX rate_limits_by_age ON rate_limits (hour_full_at_ms);

-- What was refused, by the hour in which it was.
CREATE TABLE limit_violations (
  hour_at_ms INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind <> ''),
  subject BLOB NOT NULL CHECK (length(subject) IN (16, 32)),
  count INTEGER NOT NULL CHECK (count >= 1),
  last_at_ms INTEGER NOT NULL,
  PRIMARY KEY (hour_at_ms, kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX limit_violations_by_subject ON limit_violations (subject);
