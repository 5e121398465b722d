// SPDX-License-Identifier: MIT
//
// The rules of money, broken on purpose: what `tools/mutants rules` does to the
// tree, for each rule a list of [file, text that is there once, what it becomes].
// Where the schema repeats a rule it is taken out of both.  The tests that are
// run first are those of the first file.

export const rules = [
	{
		rule: "a job may cost more than its user has",
		changes: [
			["lib/domain/credits.c",
			    "\tif (head.balance < amount_credits)\n",
			    "\tif (false)\n"],
			["lib/domain/credits.c", "\tif (!is_enough)\n",
			    "\tif (false)\n"],
		],
	},
	{
		rule: "a job that has ended may be released again",
		changes: [
			["lib/domain/jobs.c",
			    "\" WHERE id = ?1 AND due_at_ms IS NOT NULL\"\n" +
			    "\t    \" RETURNING user_id, is_free\"",
			    "\" WHERE id = ?1 RETURNING user_id, is_free\""],
			["db/migrations/0003_credits.sql",
			    "CREATE UNIQUE INDEX ledger_one_settlement",
			    "CREATE INDEX ledger_one_settlement"],
		],
	},
	{
		rule: "a job that failed keeps its credits",
		changes: [["lib/domain/jobs.c",
		    "\telse if (!is_free)\n\t\terr = credits_release(db, &user_id," +
		    " job_id, error_code, now_ms);\n", ""]],
	},
	{
		rule: "an order is charged that the worker never sees",
		changes: [["lib/domain/jobs.c",
		    "\" VALUES (?1, ?2, 1, 'new', ?3, ?4)\"",
		    "\" SELECT ?1, ?2, 1, 'new', ?3, ?4 WHERE 0\""]],
	},
	{
		rule: "a transaction is credited each time it is posted",
		changes: [
			["lib/domain/purchases.c", "\tif (!*ret_was_credited)\n",
			    "\tif (true)\n"],
			["lib/domain/purchases.c",
			    "\" credited_at_ms = ?5 WHERE id = ?1" +
			    " AND waits_for IS NOT NULL\"",
			    "\" credited_at_ms = ?5 WHERE id = ?1\""],
			["db/migrations/0007_purchases.sql",
			    "CREATE UNIQUE INDEX credit_lots_by_purchase",
			    "CREATE INDEX credit_lots_by_purchase"],
			["db/migrations/0007_purchases.sql",
			    "CREATE UNIQUE INDEX ledger_one_purchase",
			    "CREATE INDEX ledger_one_purchase"],
		],
	},
	{
		rule: "a phone is given credits each time it comes",
		changes: [
			["lib/domain/devices.c", "\tif (device->had_gift)\n",
			    "\tif (false)\n"],
			["lib/domain/devices.c",
			    "\tif (entry->had_gift && !device->is_marking)\n",
			    "\tif (false)\n"],
			["lib/domain/devices.c",
			    "\" WHERE id_hash = ?1 AND granted_user_id IS NULL\"",
			    "\" WHERE id_hash = ?1\""],
		],
	},
	{
		rule: "a hold has no idempotency record: repeated, it is another",
		changes: [["lib/domain/jobs.c",
		    "\" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)\"",
		    "\" SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE 0\""]],
	},
	{
		rule: "a submission that may have arrived is sent again",
		changes: [["lib/domain/leases.c",
		    "w->action = ATTEMPT_FIND;", "w->action = ATTEMPT_SUBMIT;"]],
	},
	{
		rule: "a job is completed without its file",
		changes: [["lib/domain/attempts.c",
		    "err = media_stored(db, n->id, n->video->size_bytes," +
		    " n->video->sha256);", "err = OK;"]],
	},
	{
		rule: "an entry does not carry the hash of the one before",
		changes: [["lib/domain/ledger.c",
		    "\tmemcpy(head->hash, hash, LEDGER_HASH_BYTES);\n",
		    "\tmemset(head->hash, 0, LEDGER_HASH_BYTES);\n"]],
	},
	{
		rule: "entries may be edited",
		changes: [["db/migrations/0003_credits.sql",
		    "BEGIN SELECT RAISE(ABORT, 'ledger entries are never edited');" +
		    " END;", "BEGIN SELECT 1; END;"]],
	},
];
