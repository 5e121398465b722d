CREATE TABLE users (
  id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
  status TEXT NOT NULL DEFAULT 'active'
    CHECK (status IN ('active', 'banned', 'deleted')),
  tier TEXT NOT NULL DEFAULT 'free' CHECK (tier IN ('free', 'premium')),
  is_guest INTEGER NOT NULL DEFAULT 1 CHECK (is_guest IN (0, 1)),
  apple_sub TEXT,
  email TEXT,
  language TEXT NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'tr', 'es')),
  theme_preference TEXT NOT NULL DEFAULT 'system'
    CHECK (theme_preference IN ('system', 'light', 'dark')),
  -- What the app names in a purchase; random, so that it tells nothing.
  app_account_token BLOB NOT NULL UNIQUE CHECK (length(app_account_token) = 16),
  -- Caches of the ledger's last entry; the audit recomputes them.
  credits_remaining INTEGER NOT NULL DEFAULT 0
    CHECK (credits_remaining BETWEEN 0 AND 1000000000),
  credits_total INTEGER NOT NULL DEFAULT 0
    CHECK (credits_total BETWEEN 0 AND 1000000000000),
  debt_credits INTEGER NOT NULL DEFAULT 0
    CHECK (debt_credits BETWEEN 0 AND 1000000000),
  ledger_number INTEGER NOT NULL DEFAULT 0 CHECK (ledger_number >= 0),
  ledger_hash BLOB NOT NULL DEFAULT x'' CHECK (length(ledger_hash) IN (0, 32)),
  grant_state TEXT NOT NULL DEFAULT 'pending'
    CHECK (grant_state IN ('pending', 'granted', 'already_claimed', 'withheld')),
  created_at_ms INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL
, user_metadata TEXT NOT NULL DEFAULT '{}'
  CHECK (length(user_metadata) BETWEEN 2 AND 16384), merged_into_id BLOB REFERENCES users (id)
  CHECK (merged_into_id IS NULL OR status = 'deleted')) STRICT;
CREATE UNIQUE INDEX users_by_apple_sub ON users (apple_sub)
  WHERE apple_sub IS NOT NULL;
CREATE TABLE sessions (
  id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
  user_id BLOB NOT NULL REFERENCES users (id),
  -- Together with a key outside of the database this makes the key that
  -- authenticates the session's refresh tokens.
  refresh_salt BLOB NOT NULL CHECK (length(refresh_salt) = 16),
  refresh_counter INTEGER NOT NULL DEFAULT 0 CHECK (refresh_counter >= 0),
  method TEXT NOT NULL CHECK (method IN ('anonymous', 'oauth', 'operator')),
  created_at_ms INTEGER NOT NULL,
  refreshed_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_id, refreshed_at_ms);
CREATE INDEX sessions_by_age ON sessions (refreshed_at_ms);
CREATE TABLE devices (
  id_hash BLOB PRIMARY KEY NOT NULL CHECK (length(id_hash) = 32),
  user_id BLOB REFERENCES users (id),
  granted_user_id BLOB REFERENCES users (id),
  -- Apple's bit was about to be set for this row's account: if it is set and
  -- the gift was not given, it may have been us.
  is_marking INTEGER NOT NULL DEFAULT 0 CHECK (is_marking IN (0, 1)),
  accounts_count INTEGER NOT NULL DEFAULT 1 CHECK (accounts_count >= 1),
  created_at_ms INTEGER NOT NULL,
  seen_at_ms INTEGER NOT NULL
, grant_bit INTEGER CHECK (grant_bit IN (0, 1)), bit_changes_count INTEGER NOT NULL DEFAULT 0
  CHECK (bit_changes_count >= 0), rejections_count INTEGER NOT NULL DEFAULT 0
  CHECK (rejections_count >= 0)) STRICT;
CREATE INDEX devices_by_user ON devices (user_id);
CREATE UNIQUE INDEX devices_by_granted_user ON devices (granted_user_id)
  WHERE granted_user_id IS NOT NULL;
CREATE TABLE models (
  id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
  company TEXT NOT NULL,
  endpoint TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  category TEXT NOT NULL,
  description TEXT,
  thumbnail_url TEXT CHECK (thumbnail_url <> ''),
  state TEXT NOT NULL CHECK (state IN ('available', 'disabled', 'retired')),
  is_active INTEGER NOT NULL DEFAULT 0 CHECK (is_active IN (0, 1)),
  is_featured INTEGER NOT NULL DEFAULT 0 CHECK (is_featured IN (0, 1)),
  requires_image INTEGER NOT NULL DEFAULT 0 CHECK (requires_image IN (0, 1)),
  -- The model to use instead when no picture was given.
  text_sibling_id BLOB REFERENCES models (id) DEFERRABLE INITIALLY DEFERRED,
  -- What the app shows, and the price where model_prices has no row.
  cost_per_generation INTEGER NOT NULL
    CHECK (cost_per_generation BETWEEN 1 AND 10000),
  has_audio INTEGER NOT NULL DEFAULT 0 CHECK (has_audio IN (0, 1)),
  -- How the provider spells things: "%ds", "%d" or "" for a plain number.
  duration_format TEXT NOT NULL DEFAULT '%d'
    CHECK (duration_format IN ('%ds', '%d', '')),
  image_field TEXT NOT NULL DEFAULT 'image_url',
  position INTEGER NOT NULL DEFAULT 0, omits TEXT CHECK (omits <> ''), fallback_id BLOB REFERENCES models (id), spend_cap_micro_usd_per_day INTEGER
  CHECK (spend_cap_micro_usd_per_day >= 0),
  CHECK (is_active = 0 OR state = 'available')
) STRICT;
CREATE UNIQUE INDEX models_one_active ON models (is_active) WHERE is_active = 1;
CREATE TABLE model_options (
  model_id BLOB NOT NULL REFERENCES models (id),
  setting TEXT NOT NULL
    CHECK (setting IN ('duration', 'resolution', 'aspect_ratio')),
  position INTEGER NOT NULL,
  value TEXT NOT NULL CHECK (value <> ''),
  is_default INTEGER NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1)),
  PRIMARY KEY (model_id, setting, position),
  UNIQUE (model_id, setting, value)
) STRICT;
CREATE UNIQUE INDEX model_options_one_default ON model_options (model_id, setting)
  WHERE is_default = 1;
CREATE TABLE model_prices (
  model_id BLOB NOT NULL REFERENCES models (id),
  resolution TEXT NOT NULL,
  has_audio INTEGER NOT NULL CHECK (has_audio IN (0, 1)),
  millicredits_per_second INTEGER NOT NULL
    CHECK (millicredits_per_second BETWEEN 1 AND 1000000),
  provider_micro_usd_per_second INTEGER
    CHECK (provider_micro_usd_per_second >= 0),
  PRIMARY KEY (model_id, resolution, has_audio)
) STRICT;
CREATE TABLE themes (
  id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
  name TEXT NOT NULL,
  description TEXT,
  thumbnail_url TEXT CHECK (thumbnail_url <> ''),
  prompt TEXT NOT NULL CHECK (prompt <> ''),
  is_featured INTEGER NOT NULL DEFAULT 0 CHECK (is_featured IN (0, 1)),
  is_available INTEGER NOT NULL DEFAULT 1 CHECK (is_available IN (0, 1)),
  default_duration_s INTEGER CHECK (default_duration_s BETWEEN 1 AND 60),
  default_resolution TEXT,
  default_aspect_ratio TEXT,
  created_at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE products (
  id TEXT PRIMARY KEY NOT NULL CHECK (id <> ''),
  credits INTEGER NOT NULL CHECK (credits BETWEEN 1 AND 10000),
  is_available INTEGER NOT NULL DEFAULT 1 CHECK (is_available IN (0, 1))
) STRICT;
CREATE INDEX models_in_order ON models (position);
CREATE INDEX themes_in_order ON themes (is_featured DESC, name);
CREATE TABLE credit_lots (
  id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
  user_id BLOB NOT NULL REFERENCES users (id),
  source TEXT NOT NULL CHECK (source IN ('free', 'bought')),
  credits INTEGER NOT NULL CHECK (credits BETWEEN 1 AND 1000000),
  remaining_credits INTEGER NOT NULL
    CHECK (remaining_credits BETWEEN 0 AND credits),
  expires_at_ms INTEGER,
  -- Burn order: what expires first, then what was free, then what was bought.
  burn_rank INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL
, purchase_id BLOB REFERENCES purchases (id), refunded_credits INTEGER NOT NULL DEFAULT 0
  CHECK (refunded_credits BETWEEN 0 AND credits), paid_credits INTEGER NOT NULL DEFAULT 0
  CHECK (paid_credits BETWEEN 0 AND credits), owed_credits INTEGER NOT NULL DEFAULT 0
  CHECK (owed_credits BETWEEN 0 AND refunded_credits AND
    (owed_credits = 0 OR remaining_credits + paid_credits = 0)), is_debt_forgiven INTEGER NOT NULL DEFAULT 0
  CHECK (is_debt_forgiven IN (0, 1)), expired_credits INTEGER NOT NULL DEFAULT 0
  CHECK (expired_credits BETWEEN 0 AND credits)) STRICT;
CREATE INDEX credit_lots_to_burn ON credit_lots
  (user_id, burn_rank, id, remaining_credits) WHERE remaining_credits > 0;
CREATE INDEX credit_lots_by_user ON credit_lots (user_id);
CREATE INDEX credit_lots_to_expire ON credit_lots (expires_at_ms)
  WHERE expires_at_ms IS NOT NULL AND remaining_credits > 0;
CREATE TABLE hold_lots (
  job_id BLOB NOT NULL CHECK (length(job_id) = 16),
  lot_id BLOB NOT NULL REFERENCES credit_lots (id),
  credits INTEGER NOT NULL CHECK (credits > 0),
  PRIMARY KEY (job_id, lot_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE ledger_entries (
  user_id BLOB NOT NULL REFERENCES users (id),
  number INTEGER NOT NULL CHECK (number >= 1),
  kind TEXT NOT NULL CHECK (kind IN ('grant', 'purchase', 'hold', 'capture',
    'release', 'refund', 'refund_reversed', 'adjustment')),
  amount_credits INTEGER NOT NULL CHECK (amount_credits BETWEEN 1 AND 1000000),
  change INTEGER NOT NULL,
  balance_after INTEGER NOT NULL CHECK (balance_after >= 0),
  job_id BLOB CHECK (length(job_id) = 16),
  lot_id BLOB REFERENCES credit_lots (id),
  reason TEXT NOT NULL,
  previous_hash BLOB NOT NULL CHECK (length(previous_hash) IN (0, 32)),
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  created_at_ms INTEGER NOT NULL,
  PRIMARY KEY (user_id, number),
  CHECK (CASE kind
    WHEN 'hold' THEN change = -amount_credits AND job_id IS NOT NULL
    WHEN 'capture' THEN change = 0 AND job_id IS NOT NULL
    WHEN 'release' THEN change = amount_credits AND job_id IS NOT NULL
    WHEN 'adjustment' THEN abs(change) = amount_credits
    WHEN 'refund' THEN change BETWEEN -amount_credits AND 0
    ELSE change BETWEEN 0 AND amount_credits END)
) STRICT;
CREATE UNIQUE INDEX ledger_one_hold ON ledger_entries (job_id)
  WHERE kind = 'hold';
CREATE UNIQUE INDEX ledger_one_settlement ON ledger_entries (job_id)
  WHERE kind IN ('capture', 'release');
CREATE UNIQUE INDEX ledger_one_grant ON ledger_entries (user_id)
  WHERE kind = 'grant';
CREATE TRIGGER ledger_entries_are_final BEFORE UPDATE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'ledger entries are never edited'); END;
CREATE TRIGGER ledger_entries_stay BEFORE DELETE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'ledger entries are never deleted'); END;
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
  completed_at_ms INTEGER, turn_at_ms INTEGER NOT NULL DEFAULT 0, is_charge_kept INTEGER NOT NULL DEFAULT 0
  CHECK (is_charge_kept IN (0, 1) AND (is_charge_kept = 0 OR state = 'failed')), wish TEXT NOT NULL DEFAULT 'wanted'
  CHECK (wish IN ('wanted', 'given_up', 'told')), is_free INTEGER NOT NULL DEFAULT 0
  CHECK (is_free IN (0, 1)),
  CHECK ((state IN ('completed', 'failed', 'cancelled', 'lost')) =
    (due_at_ms IS NULL)),
  CHECK ((due_at_ms IS NULL) = (completed_at_ms IS NOT NULL))
) STRICT;
CREATE INDEX jobs_open_by_user ON jobs (user_id) WHERE due_at_ms IS NOT NULL;
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
  error_code TEXT, model_id BLOB REFERENCES models (id), cost_micro_usd INTEGER NOT NULL DEFAULT 0
  CHECK (cost_micro_usd >= 0), is_ended INTEGER NOT NULL DEFAULT 0
  CHECK (is_ended IN (0, 1)), video_bytes INTEGER NOT NULL DEFAULT 0
  CHECK (video_bytes >= 0),
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
CREATE INDEX objects_to_delete ON objects (created_at_ms)
  WHERE state = 'deleting';
CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id BLOB NOT NULL REFERENCES users (id),
  job_id BLOB,
  kind TEXT NOT NULL CHECK (kind IN ('job', 'balance', 'session')),
  created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX events_by_user ON events (user_id, id);
CREATE INDEX events_by_age ON events (created_at_ms);
CREATE INDEX users_by_merged_into ON users (merged_into_id)
  WHERE merged_into_id IS NOT NULL;
CREATE TABLE apple_tokens (
  user_id BLOB PRIMARY KEY NOT NULL REFERENCES users (id),
  client_id TEXT NOT NULL CHECK (client_id <> ''),
  sealed BLOB NOT NULL,
  created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE used_identity_tokens (
  hash BLOB PRIMARY KEY NOT NULL CHECK (length(hash) = 32),
  expires_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX used_identity_tokens_by_expiry
  ON used_identity_tokens (expires_at_ms);
CREATE INDEX ledger_grants_by_lot ON ledger_entries (lot_id)
  WHERE kind = 'grant';
CREATE INDEX users_with_pending_gift ON users (grant_state)
  WHERE grant_state = 'pending' AND status = 'active';
CREATE TABLE limit_windows (
  kind TEXT NOT NULL CHECK (kind IN ('device', 'address')),
  subject BLOB NOT NULL CHECK (length(subject) = 32),
  began_at_ms INTEGER NOT NULL,
  count INTEGER NOT NULL CHECK (count >= 1),
  PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX limit_windows_by_age ON limit_windows (began_at_ms);
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
CREATE INDEX jobs_by_user ON jobs (user_id, id);
CREATE INDEX objects_by_user ON objects (user_id, id);
CREATE TABLE subscription_products (
  id TEXT PRIMARY KEY NOT NULL CHECK (id <> ''),
  credits_per_period INTEGER NOT NULL DEFAULT 0
    CHECK (credits_per_period BETWEEN 0 AND 10000)
) STRICT;
CREATE TABLE purchases (
  id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
  environment TEXT NOT NULL CHECK (environment IN ('Production', 'Sandbox')),
  transaction_id TEXT NOT NULL CHECK (length(transaction_id) BETWEEN 1 AND 32),
  original_transaction_id TEXT NOT NULL
    CHECK (length(original_transaction_id) BETWEEN 1 AND 32),
  kind TEXT NOT NULL CHECK (kind IN ('consumable', 'subscription')),
  product_id TEXT NOT NULL CHECK (product_id <> ''),
  quantity INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 10),
  -- Whom the buyer's device said that it is for.
  account_token BLOB CHECK (length(account_token) = 16),
  -- Thousandths of the currency's unit, for all pieces together.
  price_milli INTEGER CHECK (price_milli >= 0),
  currency TEXT,
  purchased_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER,
  -- The newest fact: when Apple signed the transaction and the notification
  -- that it came with, 0 for none.
  signed_at_ms INTEGER NOT NULL,
  notified_at_ms INTEGER NOT NULL,
  -- Thousandths of a percent that were paid back; 0 for none.
  refund_millipercent INTEGER NOT NULL DEFAULT 0
    CHECK (refund_millipercent BETWEEN 0 AND 100000),
  is_upgraded INTEGER NOT NULL DEFAULT 0 CHECK (is_upgraded IN (0, 1)),
  user_id BLOB REFERENCES users (id),
  -- For want of what it has not been credited: an owner, the account that its
  -- token names, its product, room under the cap of sandbox purchases.
  waits_for TEXT CHECK (waits_for IN ('owner', 'account', 'product', 'cap')),
  next_try_at_ms INTEGER,
  credits INTEGER NOT NULL DEFAULT 0 CHECK (credits BETWEEN 0 AND 100000),
  -- What it brought at the time: credits less what had been refunded by then.
  added_credits INTEGER NOT NULL DEFAULT 0
    CHECK (added_credits BETWEEN 0 AND credits),
  credited_at_ms INTEGER,
  created_at_ms INTEGER NOT NULL,
  UNIQUE (environment, transaction_id),
  CHECK ((waits_for IS NULL) = (credited_at_ms IS NOT NULL)),
  CHECK (waits_for IS NOT NULL OR user_id IS NOT NULL),
  CHECK (waits_for IS NOT NULL OR next_try_at_ms IS NULL),
  CHECK (credits = 0 OR waits_for IS NULL)
) STRICT;
CREATE INDEX purchases_by_user ON purchases (user_id, id);
CREATE INDEX purchases_by_transaction ON purchases (transaction_id);
CREATE INDEX purchases_to_try ON purchases (next_try_at_ms)
  WHERE next_try_at_ms IS NOT NULL;
CREATE UNIQUE INDEX credit_lots_by_purchase ON credit_lots (purchase_id)
  WHERE purchase_id IS NOT NULL;
CREATE INDEX credit_lots_with_debt ON credit_lots (user_id)
  WHERE owed_credits > 0 OR paid_credits > 0;
CREATE UNIQUE INDEX ledger_one_purchase ON ledger_entries (lot_id)
  WHERE kind = 'purchase';
CREATE INDEX ledger_refunds_by_lot ON ledger_entries (lot_id)
  WHERE kind IN ('refund', 'refund_reversed');
CREATE TABLE subscriptions (
  environment TEXT NOT NULL CHECK (environment IN ('Production', 'Sandbox')),
  original_transaction_id TEXT NOT NULL
    CHECK (length(original_transaction_id) BETWEEN 1 AND 32),
  user_id BLOB REFERENCES users (id),
  product_id TEXT NOT NULL,
  active_until_ms INTEGER NOT NULL DEFAULT 0,
  is_active INTEGER NOT NULL DEFAULT 0 CHECK (is_active IN (0, 1)),
  -- What the newest renewal info says.
  renewal_signed_at_ms INTEGER NOT NULL DEFAULT 0,
  grace_until_ms INTEGER NOT NULL DEFAULT 0,
  renews INTEGER NOT NULL DEFAULT 1 CHECK (renews IN (0, 1)),
  created_at_ms INTEGER NOT NULL,
  PRIMARY KEY (environment, original_transaction_id)
) STRICT;
CREATE INDEX subscriptions_by_user ON subscriptions (user_id, is_active);
CREATE INDEX subscriptions_to_end ON subscriptions (active_until_ms)
  WHERE is_active = 1;
CREATE TABLE apple_notifications (
  id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
  type TEXT NOT NULL,
  subtype TEXT NOT NULL,
  environment TEXT,
  transaction_id TEXT,
  signed_at_ms INTEGER NOT NULL,
  received_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX apple_notifications_by_age ON apple_notifications (received_at_ms);
CREATE TABLE purchase_lookups (
  user_id BLOB NOT NULL REFERENCES users (id),
  transaction_id TEXT NOT NULL CHECK (length(transaction_id) BETWEEN 1 AND 32),
  state TEXT NOT NULL DEFAULT 'open'
    CHECK (state IN ('open', 'found', 'unknown')),
  tries_count INTEGER NOT NULL DEFAULT 0 CHECK (tries_count >= 0),
  next_try_at_ms INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL,
  PRIMARY KEY (user_id, transaction_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX purchase_lookups_to_try ON purchase_lookups (next_try_at_ms)
  WHERE state = 'open';
CREATE INDEX purchase_lookups_over ON purchase_lookups (created_at_ms)
  WHERE state <> 'open';
CREATE INDEX purchase_lookups_by_age
  ON purchase_lookups (user_id, created_at_ms);
CREATE TABLE consents (
  user_id BLOB NOT NULL REFERENCES users (id),
  number INTEGER NOT NULL CHECK (number >= 1),
  is_given INTEGER NOT NULL CHECK (is_given IN (0, 1)),
  text_version TEXT NOT NULL CHECK (length(text_version) BETWEEN 1 AND 64),
  created_at_ms INTEGER NOT NULL,
  PRIMARY KEY (user_id, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE consumption_requests (
  purchase_id BLOB PRIMARY KEY NOT NULL REFERENCES purchases (id),
  state TEXT NOT NULL CHECK (state IN ('open', 'answered', 'withheld',
    'refused', 'late', 'closed')),
  reason TEXT NOT NULL,
  asked_at_ms INTEGER NOT NULL,
  deadline_at_ms INTEGER NOT NULL,
  next_try_at_ms INTEGER NOT NULL,
  tries_count INTEGER NOT NULL DEFAULT 0 CHECK (tries_count >= 0),
  -- What was told, and what Apple said to that.
  consumed_millipercent INTEGER
    CHECK (consumed_millipercent BETWEEN 0 AND 100000),
  answered_at_ms INTEGER,
  http_status INTEGER,
  error_code INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX consumption_requests_to_answer
  ON consumption_requests (next_try_at_ms) WHERE state = 'open';
CREATE TABLE repairs (
  name TEXT PRIMARY KEY NOT NULL CHECK (name <> ''),
  cursor TEXT NOT NULL DEFAULT '',
  from_ms INTEGER NOT NULL,
  until_ms INTEGER NOT NULL,
  next_run_at_ms INTEGER NOT NULL,
  seen_count INTEGER NOT NULL DEFAULT 0,
  new_count INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE payers (
  environment TEXT NOT NULL CHECK (environment IN ('Production', 'Sandbox')),
  payer_id TEXT NOT NULL CHECK (payer_id <> ''),
  transaction_id TEXT NOT NULL,
  revision TEXT NOT NULL DEFAULT '',
  last_purchase_at_ms INTEGER NOT NULL,
  next_check_at_ms INTEGER NOT NULL,
  PRIMARY KEY (environment, payer_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX payers_to_check ON payers (next_check_at_ms);
CREATE INDEX payers_by_age ON payers (last_purchase_at_ms);
CREATE INDEX jobs_to_submit ON jobs (company, turn_at_ms)
  WHERE state = 'queued';
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
  handled_at_ms INTEGER, video_bytes INTEGER NOT NULL DEFAULT 0
  CHECK (video_bytes >= 0),
  UNIQUE (provider, request_id, body_sha256)
) STRICT;
CREATE INDEX provider_reports_to_handle ON provider_reports (received_at_ms)
  WHERE handled_at_ms IS NULL;
CREATE INDEX provider_reports_by_age ON provider_reports (handled_at_ms)
  WHERE handled_at_ms IS NOT NULL;
CREATE INDEX provider_reports_by_attempt ON provider_reports (attempt_id);
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
CREATE TABLE provider_spend (
  day INTEGER NOT NULL,
  model_id BLOB NOT NULL REFERENCES models (id),
  micro_usd INTEGER NOT NULL CHECK (micro_usd >= 0),
  PRIMARY KEY (day, model_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_open_by_image ON jobs (image_object_id)
  WHERE image_object_id IS NOT NULL AND due_at_ms IS NOT NULL;
CREATE INDEX objects_stored_by_age ON objects (bucket, created_at_ms)
  WHERE state = 'stored';
CREATE INDEX objects_uploading ON objects (created_at_ms)
  WHERE state = 'storing' AND job_id IS NULL;
CREATE TABLE storage_level (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  level TEXT NOT NULL CHECK (level IN ('ok', 'warning', 'alarm', 'full')),
  used_bytes INTEGER NOT NULL CHECK (used_bytes >= 0),
  limit_bytes INTEGER NOT NULL CHECK (limit_bytes >= 0),
  measured_at_ms INTEGER NOT NULL,
  changed_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_free ON jobs (completed_at_ms)
  WHERE is_free = 1 AND state = 'completed';
CREATE INDEX attempts_lost ON attempts (ended_at_ms) WHERE state = 'lost';
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
CREATE TABLE switches (
  name TEXT PRIMARY KEY NOT NULL CHECK (name IN ('maintenance')),
  is_on INTEGER NOT NULL DEFAULT 0 CHECK (is_on IN (0, 1)),
  changed_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE alarms (
  name TEXT NOT NULL CHECK (name <> ''),
  subject TEXT NOT NULL,
  episode INTEGER NOT NULL CHECK (episode >= 1),
  is_raised INTEGER NOT NULL CHECK (is_raised IN (0, 1)),
  -- The notice of its beginning was written; one of its end is owed.
  is_told INTEGER NOT NULL CHECK (is_told IN (0, 1)),
  detail TEXT NOT NULL,
  raised_at_ms INTEGER NOT NULL,
  -- Raised, but since then nothing was wrong.
  well_since_ms INTEGER,
  cleared_at_ms INTEGER,
  PRIMARY KEY (name, subject),
  CHECK ((is_raised = 0) = (cleared_at_ms IS NOT NULL)),
  CHECK (is_raised = 1 OR well_since_ms IS NULL)
) STRICT, WITHOUT ROWID;
CREATE INDEX alarms_raised ON alarms (raised_at_ms) WHERE is_raised = 1;
CREATE INDEX alarms_cleared ON alarms (cleared_at_ms) WHERE is_raised = 0;
CREATE TABLE notices (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  dedupe_key TEXT NOT NULL UNIQUE CHECK (dedupe_key <> ''),
  text TEXT NOT NULL CHECK (length(text) BETWEEN 1 AND 500),
  -- It was being sent when all trace of it was lost: it may have arrived.
  is_doubtful INTEGER NOT NULL DEFAULT 0 CHECK (is_doubtful IN (0, 1)),
  created_at_ms INTEGER NOT NULL,
  sent_at_ms INTEGER
) STRICT;
CREATE INDEX notices_to_send ON notices (id) WHERE sent_at_ms IS NULL;
CREATE INDEX notices_by_age ON notices (created_at_ms);
CREATE TABLE notice_channel (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  next_send_at_ms INTEGER NOT NULL,
  failures_count INTEGER NOT NULL CHECK (failures_count >= 0)
) STRICT;
CREATE TABLE upstreams (
  kind TEXT NOT NULL CHECK (kind IN ('provider', 'apple')),
  name TEXT NOT NULL CHECK (name <> ''),
  failures_count INTEGER NOT NULL CHECK (failures_count >= 1),
  reason TEXT NOT NULL,
  first_at_ms INTEGER NOT NULL,
  last_at_ms INTEGER NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE watches (
  name TEXT PRIMARY KEY NOT NULL CHECK (name <> ''),
  at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE backup_state (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  good_at_ms INTEGER NOT NULL,
  failed_at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE audit_state (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  made_at_ms INTEGER NOT NULL,
  violations_count INTEGER NOT NULL CHECK (violations_count >= 0),
  -- The numbers of the invariants, for people.
  violated TEXT NOT NULL
) STRICT;
CREATE INDEX users_by_age ON users (created_at_ms);
CREATE INDEX purchases_by_credit ON purchases (credited_at_ms)
  WHERE credited_at_ms IS NOT NULL;
CREATE INDEX jobs_by_end ON jobs (completed_at_ms, state)
  WHERE completed_at_ms IS NOT NULL;
CREATE TABLE rate_limits (
  kind TEXT NOT NULL CHECK (kind <> ''),
  subject BLOB NOT NULL CHECK (length(subject) IN (16, 32)),
  hour_full_at_ms INTEGER NOT NULL,
  minute_full_at_ms INTEGER NOT NULL,
  PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX rate_limits_by_age ON rate_limits (hour_full_at_ms);
CREATE TABLE limit_violations (
  hour_at_ms INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind <> ''),
  subject BLOB NOT NULL CHECK (length(subject) IN (16, 32)),
  count INTEGER NOT NULL CHECK (count >= 1),
  last_at_ms INTEGER NOT NULL,
  PRIMARY KEY (hour_at_ms, kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX limit_violations_by_subject ON limit_violations (subject);
CREATE TABLE schema_state (
	id INTEGER PRIMARY KEY CHECK (id = 1), -- one row
	compatible_from INTEGER NOT NULL CHECK (compatible_from >= 1)
) STRICT;
CREATE TABLE error_minutes (
  minute INTEGER PRIMARY KEY,
  count INTEGER NOT NULL CHECK (count >= 1)
) STRICT;
CREATE TABLE push_tokens (
  environment TEXT NOT NULL CHECK (environment IN ('production', 'sandbox')),
  token TEXT NOT NULL CHECK (length(token) BETWEEN 64 AND 200),
  session_id BLOB NOT NULL CHECK (length(session_id) = 16),
  registered_at_ms INTEGER NOT NULL,
  PRIMARY KEY (environment, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX push_tokens_by_session ON push_tokens (session_id);
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
CREATE INDEX users_by_email ON users (lower(email)) WHERE email IS NOT NULL;
CREATE INDEX purchases_by_age ON purchases (purchased_at_ms);
CREATE UNIQUE INDEX ledger_one_job_refund ON ledger_entries (job_id)
  WHERE kind = 'adjustment' AND job_id IS NOT NULL;
CREATE INDEX objects_by_size ON objects (size_bytes);
CREATE INDEX objects_by_job ON objects (job_id, bucket, state, name)
  WHERE job_id IS NOT NULL;
CREATE INDEX purchases_by_original
  ON purchases (original_transaction_id, environment);
