-- Credits: lots that say what is left of which gift or purchase, and a ledger
-- that says how it came to be.

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
) STRICT;
CREATE INDEX credit_lots_to_burn ON credit_lots
  (user_id, burn_rank, id, remaining_credits) WHERE remaining_credits > 0;
CREATE INDEX credit_lots_by_user ON credit_lots (user_id);
CREATE INDEX credit_lots_to_expire ON credit_lots (expires_at_ms)
  WHERE expires_at_ms IS NOT NULL AND remaining_credits > 0;

-- What a job took out of which lot, so that a release goes back there.
CREATE TABLE hold_lots (
  job_id BLOB NOT NULL CHECK (length(job_id) = 16),
  lot_id BLOB NOT NULL REFERENCES credit_lots (id),
  credits INTEGER NOT NULL CHECK (credits > 0),
  PRIMARY KEY (job_id, lot_id)
) STRICT, WITHOUT ROWID;

-- Append-only. `change` moves the balance; a capture changes nothing, because
-- its hold already did.
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
