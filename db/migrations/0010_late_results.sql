-- SPDX-License-Identifier: MIT
-- Videos that come after they were given up as lost.

-- It was lost, and its credits went back; what comes of it afterwards is its
-- user's all the same, and costs nothing.
ALTER TABLE jobs ADD COLUMN is_free INTEGER NOT NULL DEFAULT 0
  CHECK (is_free IN (0, 1));
CREATE INDEX jobs_free ON jobs (completed_at_ms)
  WHERE is_free = 1 AND state = 'completed';
CREATE INDEX attempts_lost ON attempts (ended_at_ms) WHERE state = 'lost';
