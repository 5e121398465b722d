/* SPDX-License-Identifier: MIT */
#include "domain/credits.h"
#include "domain/events.h"

#include <assert.h>
#include <sodium.h>

/*
 * More lots than a hold can touch: a user collects a lot a purchase, and the
 * oldest are used up first.
 */
#define CREDITS_LOTS_MAX 256

#define HASH_BYTES crypto_hash_sha256_BYTES

/* Later than any date: lots that do not expire burn after those that do. */
#define BURN_RANK_FREE INT64_C(9000000000000000)
#define BURN_RANK_BOUGHT INT64_C(9100000000000000)

/* The head of a user's ledger. */
struct head {
	int64_t balance;
	int64_t number;
	uint8_t hash[HASH_BYTES];
	size_t hash_len;	/* 0 before the first entry */
};

struct entry {
	const char *kind;
	int64_t amount;
	int64_t change;
	const struct uuid *job_id;
	const struct uuid *lot_id;
	const char *reason;
	int64_t now_ms;
};

struct taking {
	struct uuid lot_id;
	int64_t credits;
};

enum err
credits_balance(struct db *db, const struct uuid *user_id, int64_t *ret_balance)
{
	static const char sql[] =
	    "SELECT credits_remaining FROM users WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, user_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_USER_NOT_FOUND;

	*ret_balance = db_column_int64(stmt, 0);
	return OK;
}

static enum err
read_head(struct db *db, const struct uuid *user_id, struct head *head)
{
	static const char sql[] =
	    "SELECT credits_remaining, ledger_number, ledger_hash"
	    " FROM users WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct str hash;
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, user_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_USER_NOT_FOUND;
	head->balance = db_column_int64(stmt, 0);
	head->number = db_column_int64(stmt, 1);
	hash = db_column_blob(stmt, 2);
	assert(hash.len <= HASH_BYTES);
	head->hash_len = hash.len;
	if (hash.len > 0)
		memcpy(head->hash, hash.ptr, hash.len);
	return OK;
}

static void
hash_field(crypto_hash_sha256_state *state, const void *bytes, size_t n)
{
	uint8_t length[8];

	/* A length in front of each field: no two entries hash the same. */
	for (size_t i = 0; i < sizeof(length); i++)
		length[i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
	(void)crypto_hash_sha256_update(state, length, sizeof(length));
	if (n > 0)
		(void)crypto_hash_sha256_update(state, bytes, n);
}

static void
hash_number(crypto_hash_sha256_state *state, int64_t value)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)((uint64_t)value >> (56 - 8 * i));
	hash_field(state, bytes, sizeof(bytes));
}

static void
hash_entry(const struct uuid *user_id, const struct head *before,
    const struct entry *entry, uint8_t hash[HASH_BYTES])
{
	crypto_hash_sha256_state state;

	(void)crypto_hash_sha256_init(&state);
	hash_field(&state, before->hash, before->hash_len);
	hash_field(&state, user_id->bytes, UUID_BYTES);
	hash_number(&state, before->number + 1);
	hash_field(&state, entry->kind, strlen(entry->kind));
	hash_number(&state, entry->amount);
	hash_number(&state, entry->change);
	hash_number(&state, before->balance + entry->change);
	hash_field(&state, entry->job_id, entry->job_id ? UUID_BYTES : 0);
	hash_field(&state, entry->lot_id, entry->lot_id ? UUID_BYTES : 0);
	hash_field(&state, entry->reason, strlen(entry->reason));
	hash_number(&state, entry->now_ms);
	(void)crypto_hash_sha256_final(&state, hash);
}

static enum err
insert_entry(struct db *db, const struct uuid *user_id,
    const struct head *before, const struct entry *entry,
    const uint8_t hash[HASH_BYTES])
{
	static const char sql[] =
	    "INSERT INTO ledger_entries (user_id, number, kind,"
	    " amount_credits, change, balance_after, job_id, lot_id, reason,"
	    " previous_hash, hash, created_at_ms)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, user_id);
	db_bind_int64(stmt, 2, before->number + 1);
	db_bind_text(stmt, 3, entry->kind);
	db_bind_int64(stmt, 4, entry->amount);
	db_bind_int64(stmt, 5, entry->change);
	db_bind_int64(stmt, 6, before->balance + entry->change);
	db_bind_uuid(stmt, 7, entry->job_id);
	db_bind_uuid(stmt, 8, entry->lot_id);
	db_bind_text(stmt, 9, entry->reason);
	db_bind_blob(stmt, 10, before->hash, before->hash_len);
	db_bind_blob(stmt, 11, hash, HASH_BYTES);
	db_bind_int64(stmt, 12, entry->now_ms);
	return db_run(stmt);
}

/* Appends the entry and moves the user's caches along; *head is updated. */
static enum err
append(struct db *db, const struct uuid *user_id, struct head *head,
    const struct entry *entry)
{
	static const char sql[] =
	    "UPDATE users SET credits_remaining = ?2, ledger_number = ?3,"
	    " ledger_hash = ?4, credits_total = credits_total + ?5,"
	    " updated_at_ms = ?6 WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const bool is_income = strcmp(entry->kind, "grant") == 0 ||
	    strcmp(entry->kind, "purchase") == 0 ||
	    (strcmp(entry->kind, "adjustment") == 0 && entry->change > 0);
	uint8_t hash[HASH_BYTES];
	enum err err;

	assert(db_in_transaction(db));
	assert(entry->amount > 0);
	assert(head->balance + entry->change >= 0);
	if (head->balance + entry->change > CREDITS_BALANCE_MAX)
		return ERR_CONFLICT;
	hash_entry(user_id, head, entry, hash);
	err = insert_entry(db, user_id, head, entry, hash);
	if (err != OK)
		return err;
	head->balance += entry->change;
	head->number++;
	head->hash_len = HASH_BYTES;
	memcpy(head->hash, hash, HASH_BYTES);

	db_bind_uuid(stmt, 1, user_id);
	db_bind_int64(stmt, 2, head->balance);
	db_bind_int64(stmt, 3, head->number);
	db_bind_blob(stmt, 4, head->hash, HASH_BYTES);
	db_bind_int64(stmt, 5, is_income ? entry->change : 0);
	db_bind_int64(stmt, 6, entry->now_ms);
	return db_run(stmt);
}

static enum err
add_lot(struct db *db, const struct uuid *user_id, const char *source,
    int64_t amount, int64_t now_ms, struct uuid *ret_lot_id)
{
	static const char sql[] =
	    "INSERT INTO credit_lots (id, user_id, source, credits,"
	    " remaining_credits, burn_rank, created_at_ms)"
	    " VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct uuid id = uuid_sortable(now_ms);
	enum err err;

	db_bind_uuid(stmt, 1, &id);
	db_bind_uuid(stmt, 2, user_id);
	db_bind_text(stmt, 3, source);
	db_bind_int64(stmt, 4, amount);
	db_bind_int64(stmt, 5,
	    strcmp(source, "free") == 0 ? BURN_RANK_FREE : BURN_RANK_BOUGHT);
	db_bind_int64(stmt, 6, now_ms);
	err = db_run(stmt);
	if (err == OK)
		*ret_lot_id = id;
	return err;
}

/* Chooses in burn order what to take where; false if there is not enough. */
static enum err
choose_lots(struct db *db, const struct uuid *user_id, int64_t amount,
    int64_t now_ms, struct taking taking[CREDITS_LOTS_MAX], size_t *ret_count,
    bool *ret_enough)
{
	static const char sql[] =
	    "SELECT id, remaining_credits FROM credit_lots"
	    " WHERE user_id = ?1 AND remaining_credits > 0 AND burn_rank > ?2"
	    " ORDER BY burn_rank, id";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	size_t count = 0;
	bool found;
	enum err err;

	/* The rank of a lot that expires is that time: the past is skipped. */
	db_bind_uuid(stmt, 1, user_id);
	db_bind_int64(stmt, 2, now_ms);
	while (amount > 0 && count < CREDITS_LOTS_MAX) {
		int64_t part;

		err = db_step(stmt, &found);
		if (err != OK)
			return err;
		if (!found)
			break;
		part = db_column_int64(stmt, 1);
		if (part > amount)
			part = amount;
		taking[count].lot_id = db_column_uuid(stmt, 0);
		taking[count].credits = part;
		count++;
		amount -= part;
	}
	*ret_count = count;
	*ret_enough = amount == 0;
	return OK;
}

/* Adds `credits` (which may be negative) to what remains in a lot. */
static enum err
move_lot(struct db *db, const struct uuid *lot_id, int64_t credits)
{
	static const char sql[] =
	    "UPDATE credit_lots SET remaining_credits = remaining_credits + ?2"
	    " WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, lot_id);
	db_bind_int64(stmt, 2, credits);
	return db_run(stmt);
}

static enum err
note_hold(struct db *db, const struct uuid *job_id, const struct taking *taking)
{
	static const char sql[] =
	    "INSERT INTO hold_lots (job_id, lot_id, credits)"
	    " VALUES (?1, ?2, ?3)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, job_id);
	db_bind_uuid(stmt, 2, &taking->lot_id);
	db_bind_int64(stmt, 3, taking->credits);
	return db_run(stmt);
}

enum err
credits_grant(struct db *db, const struct uuid *user_id, int64_t amount_credits,
    int64_t now_ms)
{
	static const char sql[] =
	    "SELECT 1 FROM ledger_entries"
	    " WHERE user_id = ?1 AND kind = 'grant'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct head head;
	struct uuid lot_id;
	bool found;
	enum err err;

	assert(amount_credits > 0);
	assert(amount_credits <= CREDITS_AMOUNT_MAX);
	db_bind_uuid(stmt, 1, user_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (found)
		return ERR_CONFLICT;
	err = read_head(db, user_id, &head);
	if (err != OK)
		return err;
	err = add_lot(db, user_id, "free", amount_credits, now_ms, &lot_id);
	if (err != OK)
		return err;
	err = append(db, user_id, &head,
	    &(struct entry){ .kind = "grant",
		.amount = amount_credits,
		.change = amount_credits,
		.lot_id = &lot_id,
		.reason = "new_device",
		.now_ms = now_ms });
	if (err != OK)
		return err;
	return events_append(db, EVENT_BALANCE, user_id, NULL, now_ms);
}

static enum err
take(struct db *db, const struct uuid *user_id, int64_t amount, int64_t now_ms,
    const struct uuid *job_id)
{
	struct taking taking[CREDITS_LOTS_MAX];
	size_t count;
	bool is_enough;
	enum err err;

	err = choose_lots(db, user_id, amount, now_ms, taking, &count,
	    &is_enough);
	if (err != OK)
		return err;
	if (!is_enough)
		return ERR_INSUFFICIENT_CREDITS;
	for (size_t i = 0; i < count; i++) {
		err = move_lot(db, &taking[i].lot_id, -taking[i].credits);
		if (err == OK && job_id != NULL)
			err = note_hold(db, job_id, &taking[i]);
		if (err != OK)
			return err;
	}
	return OK;
}

enum err
credits_adjust(struct db *db, const struct uuid *user_id,
    int64_t amount_credits, const char *reason, int64_t now_ms,
    int64_t *ret_balance)
{
	struct head head;
	struct uuid lot_id;
	enum err err;

	assert(amount_credits != 0);
	assert(amount_credits <= CREDITS_AMOUNT_MAX);
	assert(amount_credits >= -CREDITS_AMOUNT_MAX);
	err = read_head(db, user_id, &head);
	if (err != OK)
		return err;
	if (head.balance + amount_credits < 0)
		return ERR_INSUFFICIENT_CREDITS;
	if (amount_credits > 0)
		err = add_lot(db, user_id, "free", amount_credits, now_ms,
		    &lot_id);
	else
		err = take(db, user_id, -amount_credits, now_ms, NULL);
	if (err != OK)
		return err;
	err = append(db, user_id, &head,
	    &(struct entry){ .kind = "adjustment",
		.amount = amount_credits < 0 ? -amount_credits :
					       amount_credits,
		.change = amount_credits,
		.lot_id = amount_credits > 0 ? &lot_id : NULL,
		.reason = reason,
		.now_ms = now_ms });
	if (err == OK)
		err = events_append(db, EVENT_BALANCE, user_id, NULL, now_ms);
	if (err == OK)
		*ret_balance = head.balance;
	return err;
}

enum err
credits_hold(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, int64_t amount_credits, int64_t now_ms,
    int64_t *ret_balance)
{
	struct head head;
	enum err err;

	assert(amount_credits > 0);
	assert(amount_credits <= CREDITS_AMOUNT_MAX);
	err = read_head(db, user_id, &head);
	if (err != OK)
		return err;
	*ret_balance = head.balance;
	if (head.balance < amount_credits)
		return ERR_INSUFFICIENT_CREDITS;
	err = take(db, user_id, amount_credits, now_ms, job_id);
	if (err != OK)
		return err;
	err = append(db, user_id, &head,
	    &(struct entry){ .kind = "hold",
		.amount = amount_credits,
		.change = -amount_credits,
		.job_id = job_id,
		.reason = "generation",
		.now_ms = now_ms });
	if (err == OK)
		*ret_balance = head.balance;
	return err;
}

/* The amount a job holds; it has not been settled (the index says so). */
static enum err
held_amount(struct db *db, const struct uuid *job_id, int64_t *ret_amount)
{
	static const char sql[] =
	    "SELECT amount_credits FROM ledger_entries"
	    " WHERE job_id = ?1 AND kind = 'hold'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, job_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_INTERNAL;

	*ret_amount = db_column_int64(stmt, 0);
	return OK;
}

enum err
credits_capture(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, int64_t now_ms)
{
	struct head head;
	int64_t amount;
	enum err err;

	err = held_amount(db, job_id, &amount);
	if (err != OK)
		return err;
	err = read_head(db, user_id, &head);
	if (err != OK)
		return err;
	return append(db, user_id, &head,
	    &(struct entry){ .kind = "capture",
		.amount = amount,
		.change = 0,
		.job_id = job_id,
		.reason = "delivered",
		.now_ms = now_ms });
}

static enum err
give_back(struct db *db, const struct uuid *job_id)
{
	static const char sql[] =
	    "UPDATE credit_lots SET remaining_credits = remaining_credits +"
	    " (SELECT h.credits FROM hold_lots h"
	    "  WHERE h.job_id = ?1 AND h.lot_id = credit_lots.id)"
	    " WHERE id IN (SELECT lot_id FROM hold_lots WHERE job_id = ?1)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, job_id);
	return db_run(stmt);
}

enum err
credits_release(struct db *db, const struct uuid *user_id,
    const struct uuid *job_id, const char *reason, int64_t now_ms)
{
	struct head head;
	int64_t amount;
	enum err err;

	err = held_amount(db, job_id, &amount);
	if (err != OK)
		return err;
	err = read_head(db, user_id, &head);
	if (err != OK)
		return err;
	err = give_back(db, job_id);
	if (err != OK)
		return err;
	return append(db, user_id, &head,
	    &(struct entry){ .kind = "release",
		.amount = amount,
		.change = amount,
		.job_id = job_id,
		.reason = reason,
		.now_ms = now_ms });
}

struct expiry {
	int64_t now_ms;
	bool is_done;
};

static enum err
expire_one(struct db *db, void *arg)
{
	static const char sql[] =
	    "SELECT id, user_id, remaining_credits FROM credit_lots"
	    " WHERE expires_at_ms <= ?1 AND remaining_credits > 0"
	    " ORDER BY expires_at_ms LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct expiry *expiry = arg;
	struct uuid lot_id, user_id;
	struct head head;
	int64_t left;
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, expiry->now_ms);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	expiry->is_done = !found;
	if (!found)
		return OK;
	lot_id = db_column_uuid(stmt, 0);
	user_id = db_column_uuid(stmt, 1);
	left = db_column_int64(stmt, 2);
	err = read_head(db, &user_id, &head);
	if (err == OK)
		err = move_lot(db, &lot_id, -left);
	if (err == OK)
		err = append(db, &user_id, &head,
		    &(struct entry){ .kind = "adjustment",
			.amount = left,
			.change = -left,
			.lot_id = &lot_id,
			.reason = "expired",
			.now_ms = expiry->now_ms });
	if (err == OK)
		err = events_append(db, EVENT_BALANCE, &user_id, NULL,
		    expiry->now_ms);
	return err;
}

enum err
credits_expire(struct db *db, int64_t now_ms, int64_t limit)
{
	struct expiry expiry = { .now_ms = now_ms };
	enum err err = OK;

	while (err == OK && !expiry.is_done && limit-- > 0)
		err = db_transaction(db, expire_one, &expiry);
	return err;
}

/* RFC 9562 version 8: the user's first bytes, then the entry's number. */
static struct uuid
entry_id(const struct uuid *user_id, int64_t number)
{
	struct uuid id = *user_id;

	id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x80);
	id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < 6; i++)
		id.bytes[10 + i] = (uint8_t)((uint64_t)number >> (40 - 8 * i));
	return id;
}

static bool
entry_number(const struct uuid *user_id, const struct uuid *id,
    int64_t *ret_number)
{
	int64_t number = 0;
	struct uuid again;

	for (size_t i = 0; i < 6; i++)
		number = number << 8 | id->bytes[10 + i];
	again = entry_id(user_id, number);
	if (!uuid_equal(&again, id))
		return false;
	*ret_number = number;
	return true;
}

enum err
credits_history(struct db *db, const struct uuid *user_id,
    const struct uuid *before, int64_t limit,
    struct ledger_entry entries[CREDITS_HISTORY_MAX], size_t *ret_count)
{
	static const char sql[] =
	    "SELECT number, kind, change, balance_after, job_id, created_at_ms"
	    " FROM ledger_entries WHERE user_id = ?1 AND number < ?2"
	    " AND change <> 0 ORDER BY number DESC LIMIT ?3";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t number = INT64_MAX;
	size_t count = 0;
	bool found;
	enum err err;

	assert(limit <= CREDITS_HISTORY_MAX);
	if (before != NULL && !entry_number(user_id, before, &number))
		return ERR_INVALID_REQUEST;
	db_bind_uuid(stmt, 1, user_id);
	db_bind_int64(stmt, 2, number);
	db_bind_int64(stmt, 3, limit);
	for (;; count++) {
		struct ledger_entry *entry = &entries[count];

		err = db_step(stmt, &found);
		if (err != OK)
			return err;
		if (!found)
			break;
		entry->id = entry_id(user_id, db_column_int64(stmt, 0));
		(void)str_copy(db_column_str(stmt, 1), entry->kind,
		    sizeof(entry->kind));
		entry->change_credits = db_column_int64(stmt, 2);
		entry->balance_after_credits = db_column_int64(stmt, 3);
		entry->has_job = !db_column_is_null(stmt, 4);
		entry->job_id = db_column_uuid(stmt, 4);
		entry->created_at_ms = db_column_int64(stmt, 5);
	}
	*ret_count = count;
	return OK;
}

static enum err
lots_sum(struct db *db, const struct uuid *user_id, int64_t *ret_sum)
{
	static const char sql[] =
	    "SELECT COALESCE(SUM(remaining_credits), 0) FROM credit_lots"
	    " WHERE user_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, user_id);
	err = db_step(stmt, &found);
	if (err == OK)
		*ret_sum = db_column_int64(stmt, 0);
	return err;
}

static const char *
check_entry(struct db_stmt *stmt, const struct uuid *user_id, struct head *walk)
{
	const struct uuid job_id = db_column_uuid(stmt, 5);
	const struct uuid lot_id = db_column_uuid(stmt, 6);
	char kind[20], reason[256];
	uint8_t hash[HASH_BYTES];
	struct entry entry = {
		.amount = db_column_int64(stmt, 2),
		.change = db_column_int64(stmt, 3),
		.job_id = db_column_is_null(stmt, 5) ? NULL : &job_id,
		.lot_id = db_column_is_null(stmt, 6) ? NULL : &lot_id,
		.kind = kind,
		.reason = reason,
		.now_ms = db_column_int64(stmt, 10),
	};

	if (!str_copy(db_column_str(stmt, 1), kind, sizeof(kind)) ||
	    !str_copy(db_column_str(stmt, 7), reason, sizeof(reason)))
		return "an entry's text was changed";
	if (db_column_int64(stmt, 0) != walk->number + 1)
		return "an entry is missing";
	if (!str_equal(db_column_blob(stmt, 8),
		(struct str){ (const char *)walk->hash, walk->hash_len }))
		return "the hash chain is broken";
	hash_entry(user_id, walk, &entry, hash);
	if (!str_equal(db_column_blob(stmt, 9),
		(struct str){ (const char *)hash, HASH_BYTES }))
		return "an entry was changed";
	walk->balance += entry.change;
	walk->number++;
	walk->hash_len = HASH_BYTES;
	memcpy(walk->hash, hash, HASH_BYTES);
	if (db_column_int64(stmt, 4) != walk->balance)
		return "a balance_after is not the sum so far";
	return NULL;
}

enum err
credits_verify(struct db *db, const struct uuid *user_id, bool *ret_ok,
    const char **ret_problem)
{
	static const char sql[] =
	    "SELECT number, kind, amount_credits, change, balance_after,"
	    " job_id, lot_id, reason, previous_hash, hash, created_at_ms"
	    " FROM ledger_entries WHERE user_id = ?1 ORDER BY number";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct head head, walk = { 0 };
	const char *problem = NULL;
	int64_t lots = 0;
	bool found;
	enum err err;

	err = read_head(db, user_id, &head);
	if (err != OK)
		return err;
	db_bind_uuid(stmt, 1, user_id);
	for (;;) {
		err = db_step(stmt, &found);
		if (err != OK)
			return err;
		if (!found || problem != NULL)
			break;
		problem = check_entry(stmt, user_id, &walk);
	}
	err = lots_sum(db, user_id, &lots);
	if (err != OK)
		return err;
	if (problem == NULL && walk.balance != head.balance)
		problem = "the balance is not the sum of the ledger";
	if (problem == NULL && walk.balance != lots)
		problem = "the balance is not the sum of the lots";
	if (problem == NULL &&
	    (walk.number != head.number || walk.hash_len != head.hash_len ||
		memcmp(walk.hash, head.hash, walk.hash_len) != 0))
		problem = "the end of the ledger is missing";

	*ret_problem = problem;
	*ret_ok = problem == NULL;
	return OK;
}
