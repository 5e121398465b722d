-- Users, their sessions and the devices they came with.
-- Ids are 16 bytes, times are milliseconds since 1970, flags are 0 or 1.

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
) STRICT;
CREATE UNIQUE INDEX users_by_apple_sub ON users (apple_sub)
  WHERE apple_sub IS NOT NULL;

-- One row a session, however often it is refreshed.
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

-- A device id is kept only as a keyed hash. The row outlives its user: it
-- remembers that the free credits were given.
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
) STRICT;
CREATE INDEX devices_by_user ON devices (user_id);
CREATE UNIQUE INDEX devices_by_granted_user ON devices (granted_user_id)
  WHERE granted_user_id IS NOT NULL;
