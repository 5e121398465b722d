-- compatible: 15
-- SPDX-License-Identifier: MIT
-- What admins look for: people, days, and what was given back of a job.

-- Addresses are looked for by how they begin.
CREATE INDEX users_by_email ON users (lower(email)) WHERE email IS NOT NULL;
CREATE INDEX purchases_by_age ON purchases (purchased_at_ms);

-- A job that was paid is given back by hand once.
CREATE UNIQUE INDEX ledger_one_job_refund ON ledger_entries (job_id)
  WHERE kind = 'adjustment' AND job_id IS NOT NULL;
