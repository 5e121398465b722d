-- SPDX-License-Identifier: MIT
-- Companies that are paid for generations: what they tell us, when they are
-- left alone, and what they may cost.

-- Members of the usual request that this model does not take ("seed").
ALTER TABLE models ADD COLUMN omits TEXT CHECK (omits <> '');
UPDATE models SET omits = 'resolution,seed'
  WHERE endpoint = 'fal-ai/kling-video/v2.6/pro/text-to-video';
UPDATE models SET omits = 'resolution,aspect_ratio,seed'
  WHERE endpoint = 'fal-ai/kling-video/v2.6/pro/image-to-video';
-- The same at another company, for when this one cannot.
ALTER TABLE models ADD COLUMN fallback_id BLOB REFERENCES models (id);
ALTER TABLE models ADD COLUMN spend_cap_micro_usd_per_day INTEGER
  CHECK (spend_cap_micro_usd_per_day >= 0);

-- Whose turn it is: the time of the order, moved by who orders and how much.
ALTER TABLE jobs ADD COLUMN turn_at_ms INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET turn_at_ms = created_at_ms;
-- It failed, but its credits are spent all the same.
ALTER TABLE jobs ADD COLUMN is_charge_kept INTEGER NOT NULL DEFAULT 0
  CHECK (is_charge_kept IN (0, 1) AND (is_charge_kept = 0 OR state = 'failed'));
DROP INDEX jobs_to_submit;
CREATE INDEX jobs_to_submit ON jobs (company, turn_at_ms)
  WHERE state = 'queued';

-- The model that is asked; another than the job's after a failover.
ALTER TABLE attempts ADD COLUMN model_id BLOB REFERENCES models (id);
UPDATE attempts SET model_id =
  (SELECT model_id FROM jobs j WHERE j.id = attempts.job_id);
-- The most that it can cost; 0 once it is certain that nothing is billed.
ALTER TABLE attempts ADD COLUMN cost_micro_usd INTEGER NOT NULL DEFAULT 0
  CHECK (cost_micro_usd >= 0);
-- The provider is done with it, but its result was not understood yet.
ALTER TABLE attempts ADD COLUMN is_ended INTEGER NOT NULL DEFAULT 0
  CHECK (is_ended IN (0, 1));

-- What providers told without being asked, as it was understood. Written down
-- before they are thanked, taken in by the worker.
CREATE TABLE provider_reports (
  id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
  provider TEXT NOT NULL,
  request_id TEXT NOT NULL CHECK (request_id <> ''),
  attempt_id BLOB NOT NULL REFERENCES attempts (id),
  body_sha256 BLOB NOT NULL CHECK (length(body_sha256) = 32),
  --  done    made, at video_url
  --  failed  for error_code
  --  look    over, but the result must be asked for
  outcome TEXT NOT NULL CHECK (outcome IN ('done', 'failed', 'look')),
  video_url TEXT,
  error_code TEXT,
  may_try_again INTEGER NOT NULL DEFAULT 0 CHECK (may_try_again IN (0, 1)),
  is_unbilled INTEGER NOT NULL DEFAULT 0 CHECK (is_unbilled IN (0, 1)),
  received_at_ms INTEGER NOT NULL,
  handled_at_ms INTEGER,
  UNIQUE (provider, request_id, body_sha256)
) STRICT;
CREATE INDEX provider_reports_to_handle ON provider_reports (received_at_ms)
  WHERE handled_at_ms IS NULL;
CREATE INDEX provider_reports_by_age ON provider_reports (handled_at_ms)
  WHERE handled_at_ms IS NOT NULL;
CREATE INDEX provider_reports_by_attempt ON provider_reports (attempt_id);

-- Whom nothing is sent to. company '' means all, endpoint '' all of its
-- models. At probe_at_ms one attempt may try again; NULL waits for a person.
CREATE TABLE breakers (
  company TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  reason TEXT NOT NULL,
  failures_count INTEGER NOT NULL CHECK (failures_count >= 1),
  opened_at_ms INTEGER NOT NULL,
  probe_at_ms INTEGER,
  PRIMARY KEY (company, endpoint),
  CHECK (company <> '' OR endpoint = '')
) STRICT, WITHOUT ROWID;

-- The most that a day's attempts can cost; the day counts from 1970 in UTC.
CREATE TABLE provider_spend (
  day INTEGER NOT NULL,
  model_id BLOB NOT NULL REFERENCES models (id),
  micro_usd INTEGER NOT NULL CHECK (micro_usd >= 0),
  PRIMARY KEY (day, model_id)
) STRICT, WITHOUT ROWID;
