-- compatible: 15
-- SPDX-License-Identifier: MIT
-- What of a lot expired unused was not spent: a refund does not make it a debt.

ALTER TABLE credit_lots ADD COLUMN expired_credits INTEGER NOT NULL DEFAULT 0
  CHECK (expired_credits BETWEEN 0 AND credits);

-- What a merge handed over, its two entries make up for; what it dropped has
-- the one that takes. Of what was given for nothing, nothing is ever refunded.
UPDATE credit_lots SET expired_credits = l.credits
  FROM (SELECT lot_id, -SUM(change) AS credits FROM ledger_entries
    WHERE kind = 'adjustment' AND reason IN ('expired', 'merged')
    GROUP BY lot_id) AS l
  WHERE l.lot_id = credit_lots.id AND credit_lots.purchase_id IS NOT NULL;
