-- SPDX-License-Identifier: MIT
-- Pictures of users, cancelling at the provider, and how full the disk is.

-- Whether its user still wants it:
--  wanted
--  given_up  no, and the provider is to be told
--  told      no, and the provider has heard of it
ALTER TABLE jobs ADD COLUMN wish TEXT NOT NULL DEFAULT 'wanted'
  CHECK (wish IN ('wanted', 'given_up', 'told'));
-- A picture stays while a job may still show it to its provider.
CREATE INDEX jobs_open_by_image ON jobs (image_object_id)
  WHERE image_object_id IS NOT NULL AND due_at_ms IS NOT NULL;

CREATE INDEX objects_stored_by_age ON objects (bucket, created_at_ms)
  WHERE state = 'stored';
CREATE INDEX objects_uploading ON objects (created_at_ms)
  WHERE state = 'storing' AND job_id IS NULL;
CREATE INDEX objects_by_size ON objects (bucket, size_bytes);

-- One row, which the worker measures and everybody reads:
--  ok       below four fifths of what may be used
--  warning  above that
--  alarm    above nine tenths
--  full     nothing new is taken on
CREATE TABLE storage_level (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  level TEXT NOT NULL CHECK (level IN ('ok', 'warning', 'alarm', 'full')),
  used_bytes INTEGER NOT NULL CHECK (used_bytes >= 0),
  limit_bytes INTEGER NOT NULL CHECK (limit_bytes >= 0),
  measured_at_ms INTEGER NOT NULL,
  changed_at_ms INTEGER NOT NULL
) STRICT;
INSERT INTO storage_level VALUES (1, 'ok', 0, 0, 0, 0);
