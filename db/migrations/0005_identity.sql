-- Sign in with Apple, and accounts that became part of another.

ALTER TABLE users ADD COLUMN user_metadata TEXT NOT NULL DEFAULT '{}'
  CHECK (length(user_metadata) BETWEEN 2 AND 16384);
-- The account that has what this one had; never one that was merged itself.
ALTER TABLE users ADD COLUMN merged_into_id BLOB REFERENCES users (id)
  CHECK (merged_into_id IS NULL OR status = 'deleted');
CREATE INDEX users_by_merged_into ON users (merged_into_id)
  WHERE merged_into_id IS NOT NULL;

-- Apple's consent, to be revoked with the account.  Sealed by a key outside of
-- the database.
CREATE TABLE apple_tokens (
  user_id BLOB PRIMARY KEY NOT NULL REFERENCES users (id),
  client_id TEXT NOT NULL CHECK (client_id <> ''),
  sealed BLOB NOT NULL,
  created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What must not be shown to us twice, until it has expired by itself.
CREATE TABLE used_identity_tokens (
  hash BLOB PRIMARY KEY NOT NULL CHECK (length(hash) = 32),
  expires_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX used_identity_tokens_by_expiry
  ON used_identity_tokens (expires_at_ms);

-- For moving everything a user has.
CREATE INDEX jobs_hidden_by_user ON jobs (user_id) WHERE is_hidden = 1;
CREATE INDEX objects_by_user ON objects (user_id);
-- Which lot was the gift of a device, whoever has it now.
CREATE INDEX ledger_grants_by_lot ON ledger_entries (lot_id)
  WHERE kind = 'grant';
