-- SPDX-License-Identifier: MIT
-- Purchases: what Apple sold, and what became of it.

-- Products that are paid for again and again. They make their user premium;
-- each period may bring credits, which end with it.
CREATE TABLE subscription_products (
  id TEXT PRIMARY KEY NOT NULL CHECK (id <> ''),
  credits_per_period INTEGER NOT NULL DEFAULT 0
    CHECK (credits_per_period BETWEEN 0 AND 10000)
) STRICT;

-- A row a transaction, for ever: it outlives the account that it was for. It
-- says what the newest signed fact says; what that means in credits is in the
-- lot that names it.
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
CREATE INDEX purchases_by_original
  ON purchases (environment, original_transaction_id);
CREATE INDEX purchases_by_transaction ON purchases (transaction_id);
CREATE INDEX purchases_to_try ON purchases (next_try_at_ms)
  WHERE next_try_at_ms IS NOT NULL;

-- A lot that was bought knows its purchase. Of what was refunded, the part
-- that had been spent is owed; lots that pay for another's debt remember how
-- much, to have it back when Apple reverses the refund.
ALTER TABLE credit_lots ADD COLUMN purchase_id BLOB REFERENCES purchases (id);
ALTER TABLE credit_lots ADD COLUMN refunded_credits INTEGER NOT NULL DEFAULT 0
  CHECK (refunded_credits BETWEEN 0 AND credits);
ALTER TABLE credit_lots ADD COLUMN paid_credits INTEGER NOT NULL DEFAULT 0
  CHECK (paid_credits BETWEEN 0 AND credits);
ALTER TABLE credit_lots ADD COLUMN owed_credits INTEGER NOT NULL DEFAULT 0
  CHECK (owed_credits BETWEEN 0 AND refunded_credits AND
    (owed_credits = 0 OR remaining_credits + paid_credits = 0));
ALTER TABLE credit_lots ADD COLUMN is_debt_forgiven INTEGER NOT NULL DEFAULT 0
  CHECK (is_debt_forgiven IN (0, 1));
CREATE UNIQUE INDEX credit_lots_by_purchase ON credit_lots (purchase_id)
  WHERE purchase_id IS NOT NULL;
CREATE INDEX credit_lots_with_debt ON credit_lots (user_id)
  WHERE owed_credits > 0 OR paid_credits > 0;
CREATE UNIQUE INDEX ledger_one_purchase ON ledger_entries (lot_id)
  WHERE kind = 'purchase';
CREATE INDEX ledger_refunds_by_lot ON ledger_entries (lot_id)
  WHERE kind IN ('refund', 'refund_reversed');

-- A subscription is all transactions of one original; premium while active.
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

-- Notifications that were received, so that each takes effect once.
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

-- Bare transaction ids that Apple is asked about until it answers.
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

-- Whether a user lets Apple know how much of a purchase was used, when it was
-- said, and to which words. The newest counts.
CREATE TABLE consents (
  user_id BLOB NOT NULL REFERENCES users (id),
  number INTEGER NOT NULL CHECK (number >= 1),
  is_given INTEGER NOT NULL CHECK (is_given IN (0, 1)),
  text_version TEXT NOT NULL CHECK (length(text_version) BETWEEN 1 AND 64),
  created_at_ms INTEGER NOT NULL,
  PRIMARY KEY (user_id, number)
) STRICT, WITHOUT ROWID;

-- Apple asks how much of a purchase was used; it waits for twelve hours.
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

-- How far a repair has come, so that it goes on after a stop.
CREATE TABLE repairs (
  name TEXT PRIMARY KEY NOT NULL CHECK (name <> ''),
  cursor TEXT NOT NULL DEFAULT '',
  from_ms INTEGER NOT NULL,
  until_ms INTEGER NOT NULL,
  next_run_at_ms INTEGER NOT NULL,
  seen_count INTEGER NOT NULL DEFAULT 0,
  new_count INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Whose refunds Apple is asked for: one Apple account's in this app, by any
-- of its transactions, from the last revision on.
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
