/* SPDX-License-Identifier: MIT */
#include "domain/audit_checks.h"

/* How much there is to check. */
const struct audit_count audit_counts[] = {
	/* audit: walks the table */
	{ 1, "SELECT COUNT(*) FROM users" },
	{ 2, "SELECT COUNT(*) FROM jobs" },
	{ 3, "SELECT COUNT(*) FROM jobs WHERE due_at_ms IS NOT NULL" },
	{ 4, "SELECT COUNT(*) FROM purchases" },
	{ 5, "SELECT COUNT(*) FROM devices" },
	{ 6, "SELECT COUNT(*) FROM idempotency_records" },
	{ 7, "SELECT COUNT(*) FROM attempts" },
	{ 8, "SELECT COUNT(*) FROM objects" },
	{ 9, "SELECT COUNT(*) FROM users" },
	{ 10, "SELECT COUNT(*) FROM users" },
	{ 11, "SELECT COUNT(*) FROM users" },
	{ 12, "SELECT COUNT(*) FROM attempts WHERE cost_micro_usd > 0" },
};

const size_t audit_counts_count =
    sizeof(audit_counts) / sizeof(audit_counts[0]);

/*
 * Each selects the id of what violates an invariant.  One statement sees one
 * moment, so these need no snapshot.
 */
const struct audit_check audit_checks[] = {
	/* audit: walks the table */
	{ 1, "the balance is not the sum of the ledger",
	    "SELECT id FROM users u WHERE credits_remaining <>"
	    " (SELECT COALESCE(SUM(change), 0) FROM ledger_entries"
	    "  WHERE user_id = u.id)" },
	{ 1, "the balance is not the sum of the lots",
	    "SELECT id FROM users u WHERE credits_remaining <>"
	    " (SELECT COALESCE(SUM(remaining_credits), 0) FROM credit_lots"
	    "  WHERE user_id = u.id)" },
	{ 1, "the total is not the sum of what was received",
	    "SELECT id FROM users u WHERE credits_total <>"
	    " (SELECT COALESCE(SUM(change), 0) FROM ledger_entries"
	    "  WHERE user_id = u.id AND change > 0"
	    "  AND kind IN ('grant', 'purchase', 'adjustment'))" },

	{ 2, "the job has no hold of its cost by its user",
	    "SELECT id FROM jobs j WHERE NOT EXISTS"
	    " (SELECT 1 FROM ledger_entries l JOIN users u ON u.id = l.user_id"
	    "  WHERE l.job_id = j.id AND l.kind = 'hold'"
	    "  AND j.user_id IN (u.id, u.merged_into_id)"
	    "  AND l.amount_credits = j.cost_credits)" },
	/* The settlements' index serves where its own condition stands. */
	{ 2, "the completed job has no capture of its cost",
	    "SELECT id FROM jobs j"
	    " WHERE (state = 'completed' AND is_free = 0"
	    "  OR is_charge_kept = 1) AND NOT EXISTS"
	    " (SELECT 1 FROM ledger_entries l JOIN users u ON u.id = l.user_id"
	    "  WHERE l.job_id = j.id"
	    "  AND l.kind IN ('capture', 'release') AND l.kind = 'capture'"
	    "  AND j.user_id IN (u.id, u.merged_into_id)"
	    "  AND l.amount_credits = j.cost_credits)" },
	{ 2, "the job that failed has no release of its cost",
	    "SELECT id FROM jobs j"
	    " WHERE (state IN ('failed', 'cancelled', 'lost')"
	    "  AND is_charge_kept = 0 OR is_free = 1) AND NOT EXISTS"
	    " (SELECT 1 FROM ledger_entries l JOIN users u ON u.id = l.user_id"
	    "  WHERE l.job_id = j.id"
	    "  AND l.kind IN ('capture', 'release') AND l.kind = 'release'"
	    "  AND j.user_id IN (u.id, u.merged_into_id)"
	    "  AND l.amount_credits = j.cost_credits)" },
	{ 2, "the job is settled though it is open",
	    "SELECT id FROM jobs j WHERE due_at_ms IS NOT NULL"
	    " AND is_free = 0 AND EXISTS"
	    " (SELECT 1 FROM ledger_entries l WHERE l.job_id = j.id"
	    "  AND l.kind IN ('capture', 'release'))" },
	{ 2, "the job holds twice",
	    "SELECT job_id FROM ledger_entries WHERE kind = 'hold'"
	    " GROUP BY job_id HAVING COUNT(*) > 1" },
	{ 2, "the job is settled twice",
	    "SELECT job_id FROM ledger_entries"
	    " WHERE kind IN ('capture', 'release')"
	    " GROUP BY job_id HAVING COUNT(*) > 1" },
	{ 2, "there is no such job, but it holds",
	    "SELECT job_id FROM ledger_entries l WHERE kind = 'hold'"
	    " AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = l.job_id)" },
	{ 2, "the job was settled without a hold",
	    "SELECT job_id FROM ledger_entries l"
	    " WHERE kind IN ('capture', 'release') AND NOT EXISTS"
	    " (SELECT 1 FROM ledger_entries h WHERE h.job_id = l.job_id"
	    "  AND h.kind = 'hold')" },
	{ 2, "the hold is not the sum of what it took out of lots",
	    "SELECT job_id FROM ledger_entries l WHERE kind = 'hold'"
	    " AND amount_credits <>"
	    " (SELECT COALESCE(SUM(h.credits), 0) FROM hold_lots h"
	    "  JOIN credit_lots c ON c.id = h.lot_id"
	    "  JOIN users u ON c.user_id IN (u.id, u.merged_into_id)"
	    "  WHERE h.job_id = l.job_id AND u.id = l.user_id)" },
	{ 2, "credits came out of a lot without a hold",
	    "SELECT job_id FROM hold_lots h WHERE NOT EXISTS"
	    " (SELECT 1 FROM ledger_entries l WHERE l.job_id = h.job_id"
	    "  AND l.kind = 'hold')" },
	/* What went back to another lot is too much there. */
	{ 2, "more is left in the lot than its holds allow",
	    "SELECT c.id FROM credit_lots c LEFT JOIN"
	    " (SELECT h.lot_id, SUM(h.credits) AS held FROM hold_lots h"
	    "  WHERE NOT EXISTS (SELECT 1 FROM ledger_entries l"
	    "   WHERE l.job_id = h.job_id"
	    "   AND l.kind IN ('capture', 'release') AND l.kind = 'release')"
	    "  GROUP BY h.lot_id) t ON t.lot_id = c.id"
	    " WHERE c.remaining_credits + c.paid_credits"
	    "  + COALESCE(t.held, 0)"
	    "  > c.credits - c.refunded_credits + c.owed_credits" },

	{ 3, "the open job has no attempt that fits its state",
	    "SELECT id FROM jobs j WHERE due_at_ms IS NOT NULL AND NOT EXISTS"
	    " (SELECT 1 FROM attempts a WHERE a.job_id = j.id AND a.number ="
	    "   (SELECT MAX(number) FROM attempts WHERE job_id = j.id)"
	    "  AND a.state IN (CASE j.state WHEN 'queued' THEN 'new'"
	    "   WHEN 'submitting' THEN 'sending' WHEN 'storing'"
	    "   THEN 'succeeded' ELSE 'accepted' END,"
	    "   CASE j.state WHEN 'submitting' THEN 'unknown' END))" },
	{ 3, "the result is being stored but was not announced",
	    "SELECT j.id FROM jobs j JOIN attempts a ON a.job_id = j.id"
	    " AND a.state = 'succeeded' WHERE j.state = 'storing'"
	    " AND NOT EXISTS (SELECT 1 FROM objects o WHERE o.id = a.id"
	    "  AND o.state = 'storing')" },

	{ 5, "the account was given the gift without a device",
	    "SELECT id FROM users u WHERE (grant_state = 'granted' OR EXISTS"
	    " (SELECT 1 FROM ledger_entries l WHERE l.user_id = u.id"
	    "  AND l.kind = 'grant')) AND NOT EXISTS"
	    " (SELECT 1 FROM devices d WHERE d.granted_user_id = u.id)" },
	{ 5, "the device gave its gift to an account that has not had it",
	    "SELECT u.id FROM devices d JOIN users u"
	    " ON u.id = d.granted_user_id WHERE u.grant_state <> 'granted'" },
	{ 5, "the account had two gifts",
	    "SELECT user_id FROM ledger_entries WHERE kind = 'grant'"
	    " GROUP BY user_id HAVING COUNT(*) > 1" },
	{ 5, "two devices gave their gift to the account",
	    "SELECT granted_user_id FROM devices"
	    " WHERE granted_user_id IS NOT NULL"
	    " GROUP BY granted_user_id HAVING COUNT(*) > 1" },

	{ 5, "the account was given the gift but does not know it",
	    "SELECT user_id FROM ledger_entries l WHERE kind = 'grant'"
	    " AND NOT EXISTS (SELECT 1 FROM users u WHERE u.id = l.user_id"
	    "  AND u.grant_state = 'granted')" },

	{ 6, "the key names a job of another user",
	    "SELECT r.job_id FROM idempotency_records r WHERE NOT EXISTS"
	    " (SELECT 1 FROM jobs j WHERE j.id = r.job_id"
	    "  AND j.user_id = r.user_id)" },
	{ 6, "the key was answered with another price than the job's",
	    "SELECT j.id FROM idempotency_records r"
	    " JOIN jobs j ON j.id = r.job_id"
	    " WHERE r.credits_used <> j.cost_credits" },

	{ 7, "the job has two open attempts",
	    "SELECT job_id FROM attempts"
	    " WHERE state IN ('new', 'sending', 'unknown', 'accepted')"
	    " GROUP BY job_id HAVING COUNT(*) > 1" },
	{ 7, "the job is over but an attempt is open",
	    "SELECT j.id FROM attempts a JOIN jobs j ON j.id = a.job_id"
	    " WHERE a.state IN ('new', 'sending', 'unknown', 'accepted')"
	    " AND j.due_at_ms IS NULL" },
	{ 7, "two attempts share one request at the provider",
	    "SELECT a.job_id FROM attempts a JOIN attempts b"
	    " ON b.provider = a.provider AND b.request_id = a.request_id"
	    " AND b.request_id IS NOT NULL AND b.id > a.id" },

	{ 8, "the completed job has no stored video",
	    "SELECT id FROM jobs j WHERE state = 'completed'"
	    " AND is_hidden = 0 AND NOT EXISTS"
	    " (SELECT 1 FROM objects o WHERE o.job_id = j.id"
	    "  AND o.bucket = 'videos' AND o.state = 'stored')" },
	{ 8, "the stored video belongs to no completed job of its user",
	    "SELECT id FROM objects o WHERE bucket = 'videos'"
	    " AND state = 'stored' AND NOT EXISTS"
	    " (SELECT 1 FROM jobs j WHERE j.id = o.job_id"
	    "  AND j.user_id = o.user_id AND j.state = 'completed'"
	    "  AND j.is_hidden = 0)" },

	{ 8, "the frame of a video belongs to no completed job of its user",
	    "SELECT id FROM objects o WHERE bucket = 'thumbnails'"
	    " AND state = 'stored' AND job_id IS NOT NULL AND NOT EXISTS"
	    " (SELECT 1 FROM jobs j WHERE j.id = o.job_id"
	    "  AND j.user_id = o.user_id AND j.state = 'completed'"
	    "  AND j.is_hidden = 0)" },

	{ 10, "somebody is signed in to an account that is deleted",
	    "SELECT u.id FROM sessions s JOIN users u ON u.id = s.user_id"
	    " WHERE u.status = 'deleted' GROUP BY u.id" },
	{ 10, "the guest has an Apple ID",
	    "SELECT id FROM users WHERE is_guest = 1"
	    " AND apple_sub IS NOT NULL" },
	{ 10, "the account is nobody's guest, but has no Apple ID",
	    "SELECT id FROM users WHERE is_guest = 0 AND apple_sub IS NULL"
	    " AND status <> 'deleted'" },
	{ 10, "a consent is kept of who has no Apple ID",
	    "SELECT u.id FROM apple_tokens t JOIN users u ON u.id = t.user_id"
	    " WHERE u.status <> 'deleted' AND u.apple_sub IS NULL" },
	{ 10, "the account was merged but still has something",
	    "SELECT id FROM users u WHERE merged_into_id IS NOT NULL AND"
	    " (credits_remaining <> 0 OR apple_sub IS NOT NULL"
	    "  OR email IS NOT NULL OR user_metadata <> '{}'"
	    "  OR grant_state = 'pending'"
	    "  OR EXISTS (SELECT 1 FROM devices WHERE user_id = u.id)"
	    "  OR EXISTS (SELECT 1 FROM idempotency_records"
	    "   WHERE user_id = u.id)"
	    "  OR EXISTS (SELECT 1 FROM jobs WHERE user_id = u.id)"
	    "  OR EXISTS (SELECT 1 FROM objects WHERE user_id = u.id)"
	    "  OR EXISTS (SELECT 1 FROM credit_lots WHERE user_id = u.id)"
	    "  OR EXISTS (SELECT 1 FROM apple_tokens WHERE user_id = u.id))" },
	{ 10, "the account was merged into one that was merged itself",
	    "SELECT u.id FROM users u JOIN users h ON h.id = u.merged_into_id"
	    " WHERE h.merged_into_id IS NOT NULL" },
	{ 10, "the account received the gifts of two devices",
	    "SELECT c.user_id FROM credit_lots c JOIN ledger_entries l"
	    " ON l.lot_id = c.id AND l.kind = 'grant'"
	    " WHERE c.expires_at_ms IS NULL"
	    " GROUP BY c.user_id HAVING COUNT(*) > 1" },
	{ 10, "the session was refreshed, but gave no other token out",
	    "SELECT id FROM sessions WHERE refresh_counter = 0"
	    " AND refreshed_at_ms <> created_at_ms" },
	{ 10, "the user has more sessions than are kept",
	    "SELECT user_id FROM sessions GROUP BY user_id"
	    " HAVING COUNT(*) > 10" },

	{ 11, "the deleted account has a name or a way back in",
	    "SELECT id FROM users WHERE status = 'deleted'"
	    " AND merged_into_id IS NULL"
	    " AND (email IS NOT NULL OR apple_sub IS NOT NULL"
	    "  OR user_metadata <> '{}' OR grant_state = 'pending' OR EXISTS"
	    "  (SELECT 1 FROM devices d WHERE d.user_id = users.id))" },
	{ 11, "the deleted account has a job that is seen or tells its prompt",
	    "SELECT j.id FROM jobs j JOIN users u ON u.id = j.user_id"
	    " WHERE u.status = 'deleted'"
	    " AND (j.is_hidden = 0 OR j.prompt <> '')" },
	{ 11, "the deleted account has a file that stays",
	    "SELECT o.id FROM objects o JOIN users u ON u.id = o.user_id"
	    " WHERE u.status = 'deleted' AND o.state = 'stored'" },
	{ 11, "the deleted account has keys of its requests",
	    "SELECT r.user_id FROM idempotency_records r"
	    " JOIN users u ON u.id = r.user_id WHERE u.status = 'deleted'" },
	{ 11, "nobody finishes the account's deletion",
	    "SELECT id FROM users u WHERE status = 'deleted'"
	    " AND merged_into_id IS NULL AND NOT EXISTS"
	    " (SELECT 1 FROM deletion_steps d WHERE d.user_id = u.id)" },
	{ 11, "nobody takes the deleted account's consent back at Apple",
	    "SELECT t.user_id FROM apple_tokens t JOIN users u"
	    " ON u.id = t.user_id AND u.status = 'deleted' WHERE NOT EXISTS"
	    " (SELECT 1 FROM deletion_steps d WHERE d.user_id = t.user_id"
	    "  AND d.step = 'apple' AND d.state = 'open')" },
	{ 12, "the day's spending is not the sum of its attempts' costs",
	    "SELECT model_id FROM provider_spend s WHERE micro_usd <>"
	    " (SELECT COALESCE(SUM(cost_micro_usd), 0) FROM attempts a"
	    "  WHERE a.model_id = s.model_id"
	    "  AND a.sent_at_ms / 86400000 = s.day)" },
	{ 12, "the attempt costs something on no day",
	    "SELECT id FROM attempts a WHERE cost_micro_usd > 0 AND NOT EXISTS"
	    " (SELECT 1 FROM provider_spend s WHERE s.model_id = a.model_id"
	    "  AND s.day = a.sent_at_ms / 86400000)" },
	{ 11, "the account is being deleted though it is there",
	    "SELECT u.id FROM deletion_steps d JOIN users u"
	    " ON u.id = d.user_id WHERE u.status <> 'deleted'" },
};

const size_t audit_checks_count =
    sizeof(audit_checks) / sizeof(audit_checks[0]);

/* The same for what depends on the time, ?1. */
const struct audit_check audit_overdue_checks[] = {
	/* audit: walks the table */
	{ 3, "nobody has looked at the open job in time",
	    "SELECT id FROM jobs WHERE due_at_ms < ?1"
	    " AND state IN ('submitting', 'waiting', 'running', 'storing')" },
	{ 3, "nobody has ended the job at its deadline",
	    "SELECT id FROM jobs WHERE due_at_ms IS NOT NULL"
	    " AND deadline_at_ms < ?1" },
	{ 11, "nobody has tried the step of the deletion in time",
	    "SELECT user_id FROM deletion_steps WHERE state = 'open'"
	    " AND next_try_at_ms < ?1" },
	/* Waiting behind others that are under way is no neglect. */
	{ 3, "nobody submits the job",
	    "SELECT id FROM jobs WHERE state = 'queued' AND due_at_ms < ?1"
	    " AND NOT EXISTS (SELECT 1 FROM attempts"
	    "  WHERE state IN ('sending', 'unknown', 'accepted'))" },
};

const size_t audit_overdue_checks_count =
    sizeof(audit_overdue_checks) / sizeof(audit_overdue_checks[0]);
