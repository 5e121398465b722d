/* SPDX-License-Identifier: MIT */
#include "domain/audit_checks.h"

const struct audit_check audit_purchase_checks[] = {
	/* audit: walks the table */
	{ 1, "the debt is not what lots owe and have not been paid",
	    "SELECT id FROM users u WHERE debt_credits <>"
	    " (SELECT COALESCE(SUM(owed_credits * (1 - is_debt_forgiven)"
	    "  - paid_credits), 0) FROM credit_lots WHERE user_id = u.id)" },
	{ 1, "there are credits beside a debt",
	    "SELECT id FROM users WHERE debt_credits > 0"
	    " AND credits_remaining > 0" },

	{ 4, "the purchase was not credited exactly once",
	    "SELECT p.id FROM purchases p WHERE p.waits_for IS NULL"
	    " AND p.credits > 0 AND 1 <> (SELECT COUNT(*) FROM credit_lots c"
	    "  JOIN ledger_entries l ON l.lot_id = c.id"
	    "  AND l.kind = 'purchase' WHERE c.purchase_id = p.id"
	    "  AND c.credits = p.credits AND l.amount_credits = p.credits)" },
	{ 4, "the purchase waits but was credited",
	    "SELECT p.id FROM purchases p JOIN credit_lots c"
	    " ON c.purchase_id = p.id WHERE p.waits_for IS NOT NULL" },
	{ 4, "the purchase's credits are another's",
	    "SELECT p.id FROM purchases p JOIN credit_lots c"
	    " ON c.purchase_id = p.id WHERE p.user_id IS NOT c.user_id" },
	{ 4, "not as much was taken back as was refunded",
	    "SELECT p.id FROM purchases p JOIN credit_lots c"
	    " ON c.purchase_id = p.id WHERE c.refunded_credits <>"
	    " p.credits * p.refund_millipercent / 100000" },
	{ 4, "the refund is not in the ledger exactly once",
	    "SELECT c.purchase_id FROM credit_lots c"
	    " WHERE c.purchase_id IS NOT NULL AND (c.refunded_credits,"
	    "  CASE WHEN c.refunded_credits > 0 THEN 1 ELSE 0 END) <>"
	    " (SELECT COALESCE(SUM(CASE kind WHEN 'refund'"
	    "   THEN amount_credits ELSE -amount_credits END), 0),"
	    "  COALESCE(SUM(CASE kind WHEN 'refund' THEN 1 ELSE -1 END), 0)"
	    "  FROM ledger_entries l WHERE l.lot_id = c.id"
	    "  AND l.kind IN ('refund', 'refund_reversed'))" },
	{ 4, "the ledger tells of a purchase that is not there",
	    "SELECT l.lot_id FROM ledger_entries l WHERE kind = 'purchase'"
	    " AND NOT EXISTS (SELECT 1 FROM credit_lots c"
	    "  JOIN purchases p ON p.id = c.purchase_id"
	    "  WHERE c.id = l.lot_id)" },
	{ 4, "the user is premium without a subscription, or has one in vain",
	    "SELECT id FROM users u WHERE (tier = 'premium') <> EXISTS"
	    " (SELECT 1 FROM subscriptions s WHERE s.user_id = u.id"
	    "  AND s.is_active = 1)" },
	{ 4, "the subscription of an account is another's than its periods",
	    "SELECT p.id FROM purchases p JOIN subscriptions s"
	    " ON s.environment = p.environment AND"
	    " s.original_transaction_id = p.original_transaction_id"
	    " WHERE p.kind = 'subscription' AND p.user_id IS NOT NULL"
	    " AND p.user_id IS NOT s.user_id" },

	{ 10, "the account was merged but still owns purchases or owes",
	    "SELECT id FROM users u WHERE merged_into_id IS NOT NULL AND"
	    " (debt_credits <> 0 OR tier <> 'free'"
	    "  OR EXISTS (SELECT 1 FROM purchases WHERE user_id = u.id)"
	    "  OR EXISTS (SELECT 1 FROM consents WHERE user_id = u.id)"
	    "  OR EXISTS (SELECT 1 FROM purchase_lookups"
	    "   WHERE user_id = u.id))" },
	{ 11, "the deleted account still consents or asks",
	    "SELECT id FROM users u WHERE status = 'deleted' AND"
	    " (EXISTS (SELECT 1 FROM consents WHERE user_id = u.id)"
	    "  OR EXISTS (SELECT 1 FROM purchase_lookups"
	    "   WHERE user_id = u.id))" },
};

const size_t audit_purchase_checks_count =
    sizeof(audit_purchase_checks) / sizeof(audit_purchase_checks[0]);
