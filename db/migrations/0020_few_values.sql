-- compatible: 15
-- SPDX-License-Identifier: MIT
-- An index that begins with a word of which there are two or three finds half of
-- the table; and SQLite, which does not know that, took such ones: each job that
-- was shown read all videos there are, each upload all pictures.

DROP INDEX objects_by_size;
CREATE INDEX objects_by_size ON objects (size_bytes);

-- All that showing a job asks of its files.
DROP INDEX objects_by_job;
CREATE INDEX objects_by_job ON objects (job_id, bucket, state, name)
  WHERE job_id IS NOT NULL;

DROP INDEX purchases_by_original;
CREATE INDEX purchases_by_original
  ON purchases (original_transaction_id, environment);
