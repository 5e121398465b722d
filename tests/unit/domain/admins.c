/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include "domain/admins.h"

static const uint8_t token[ADMIN_TOKEN_HASH_BYTES] = { 1 };
static const uint8_t other_token[ADMIN_TOKEN_HASH_BYTES] = { 2 };

static struct admin
named(const char *name)
{
	struct admin admin = { .password_hash = "$argon2id$1",
		.sealed = { 7 },
		.sealed_bytes = 48 };

	assert_true(str_copy(str_from(name), admin.name, sizeof(admin.name)));
	return admin;
}

/* Adds one, and finds it. */
static struct admin
added(const struct fixture *f)
{
	const struct admin admin = named("grace");
	struct admin found;

	assert_int_equal(admins_add(f->db, &admin_console, &admin, NOW), OK);
	assert_int_equal(admins_find(f->db, STR("grace"), &found), OK);
	return found;
}

static void
sign_in(const struct fixture *f, const struct admin *admin, int64_t step)
{
	assert_int_equal(admins_sign_in(f->db, admin, step, token, "192.0.2.1",
			     NOW),
	    OK);
}

static enum err
check(const struct fixture *f, int64_t now_ms)
{
	struct admin_actor actor;
	int64_t ends_at_ms;

	return admins_check_session(f->db, token, now_ms, &actor, &ends_at_ms);
}

static int64_t
acts_of(const struct fixture *f, const struct uuid *admin_id)
{
	return number_of(f,
	    "SELECT COUNT(*) FROM admin_log WHERE admin_id = ?1", admin_id);
}

static void
a_name_is_short_and_of_plain_letters(void **state)
{
	char name[ADMIN_NAME_BYTES + 1];

	(void)state;
	memset(name, 'a', sizeof(name));
	assert_true(admins_name_ok(STR("a.z_0-9@example")));
	assert_true(admins_name_ok((struct str){ name, ADMIN_NAME_BYTES - 1 }));
	assert_false(admins_name_ok((struct str){ name, ADMIN_NAME_BYTES }));
	assert_false(admins_name_ok(STR("")));
	assert_false(admins_name_ok(STR("Grace")));
	assert_false(admins_name_ok(STR("a b")));
	assert_false(admins_name_ok(STR("a{")));
	assert_false(admins_name_ok(STR("a:")));
	assert_false(admins_name_ok(STR("a/")));
}

static void
count_admin(void *arg, const struct admin *admin)
{
	int *count = arg;

	assert_string_equal(admin->name, *count == 0 ? "ada" : "grace");
	++*count;
}

static enum err
list(const struct fixture *f, int *count)
{
	*count = 0;
	return admins_list(f->db, count_admin, count);
}

static void
a_name_is_added_once_and_kept_with_what_proves_it(void **state)
{
	const struct fixture *f = *state;
	const struct admin admin = added(f), second = named("ada");
	struct admin found;
	int count;

	assert_string_equal(admin.password_hash, "$argon2id$1");
	assert_int_equal(admin.sealed_bytes, 48);
	assert_int_equal(admin.sealed[0], 7);
	assert_int_equal(admin.signed_in_at_ms, -1);
	assert_int_equal(admin.created_at_ms, NOW);
	assert_false(admin.is_disabled);
	assert_int_equal(admins_add(f->db, &admin_console, &admin, NOW),
	    ERR_CONFLICT);
	assert_int_equal(admins_find(f->db, STR("ada"), &found), ERR_NOT_FOUND);
	assert_int_equal(admins_add(f->db, &admin_console, &second, NOW), OK);
	assert_int_equal(list(f, &count), OK);
	assert_int_equal(count, 2);
	/* Both are in the log, the attempt is not. */
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM admin_log"
			     " WHERE action = 'admin_add' AND admin_id IS NULL"
			     " AND actor = 'console' AND field <> ''",
			     NULL),
	    2);
}

static void
a_secret_too_long_to_be_ours_is_none(void **state)
{
	const struct fixture *f = *state;
	struct admin admin = added(f);

	damage(f, "UPDATE admins SET totp_sealed = zeroblob(%d)",
	    ADMIN_SEALED_BYTES_MAX + 1);
	assert_int_equal(admins_find(f->db, STR("grace"), &admin), OK);
	assert_int_equal(admin.sealed_bytes, 0);
	damage(f, "UPDATE admins SET totp_sealed = x''");
	assert_int_equal(admins_find(f->db, STR("grace"), &admin), OK);
	assert_int_equal(admin.sealed_bytes, 0);
}

static void
a_code_opens_one_session_and_so_do_no_older_ones(void **state)
{
	const struct fixture *f = *state;
	const struct admin admin = added(f);
	struct admin_actor actor = { .is_console = true };
	struct admin found;
	int64_t ends_at_ms = 0;

	sign_in(f, &admin, 10);
	for (int64_t step = 9; step <= 10; step++)
		assert_int_equal(admins_sign_in(f->db, &admin, step,
				     other_token, "192.0.2.1", NOW),
		    ERR_UNAUTHORIZED);
	assert_int_equal(admins_sign_in(f->db, &admin, 11, other_token,
			     "192.0.2.1", NOW),
	    OK);
	assert_int_equal(admins_check_session(f->db, token, NOW, &actor,
			     &ends_at_ms),
	    OK);
	assert_false(actor.is_console);
	assert_string_equal(actor.name, "grace");
	assert_true(uuid_equal(&actor.id, &admin.id));
	assert_int_equal(ends_at_ms, NOW + ADMIN_SESSION_LIFE_MS);
	assert_int_equal(admins_find(f->db, STR("grace"), &found), OK);
	assert_int_equal(found.signed_in_at_ms, NOW);
	assert_int_equal(acts_of(f, &admin.id), 2);
}

static void
a_session_ends_when_it_is_idle_old_or_of_the_future(void **state)
{
	const struct fixture *f = *state;
	const struct admin admin = added(f);
	int64_t now_ms = NOW;

	assert_int_equal(check(f, NOW), ERR_UNAUTHORIZED);
	sign_in(f, &admin, 1);
	assert_int_equal(check(f, NOW - 1), ERR_UNAUTHORIZED);
	/* Idle: to the millisecond, and each use begins it anew. */
	assert_int_equal(check(f, NOW + ADMIN_SESSION_IDLE_MS),
	    ERR_UNAUTHORIZED);
	while (now_ms < NOW + ADMIN_SESSION_LIFE_MS) {
		assert_int_equal(check(f, now_ms), OK);
		now_ms += ADMIN_SESSION_IDLE_MS / 2;
	}
	/* However much it is used. */
	assert_int_equal(check(f, NOW + ADMIN_SESSION_LIFE_MS - 1), OK);
	assert_int_equal(check(f, NOW + ADMIN_SESSION_LIFE_MS),
	    ERR_UNAUTHORIZED);
}

static void
a_look_is_written_down_twice_a_minute_at_most(void **state)
{
	const struct fixture *f = *state;
	const struct admin admin = added(f);

	sign_in(f, &admin, 1);
	assert_int_equal(check(f, NOW + 30 * SECOND - 1), OK);
	assert_int_equal(number_of(f, "SELECT used_at_ms FROM admin_sessions",
			     NULL),
	    NOW);
	assert_int_equal(check(f, NOW + 30 * SECOND), OK);
	assert_int_equal(number_of(f, "SELECT used_at_ms FROM admin_sessions",
			     NULL),
	    NOW + 30 * SECOND);
}

static void
signing_out_ends_the_one_session(void **state)
{
	const struct fixture *f = *state;
	const struct admin admin = added(f);
	struct admin_actor actor;
	int64_t ends_at_ms;

	sign_in(f, &admin, 1);
	assert_int_equal(admins_sign_in(f->db, &admin, 2, other_token,
			     "192.0.2.1", NOW),
	    OK);
	assert_int_equal(admins_check_session(f->db, token, NOW, &actor,
			     &ends_at_ms),
	    OK);
	(void)str_copy(STR("192.0.2.2"), actor.address, sizeof(actor.address));
	assert_int_equal(admins_sign_out(f->db, &actor, token, NOW), OK);
	assert_int_equal(check(f, NOW), ERR_UNAUTHORIZED);
	assert_int_equal(admins_check_session(f->db, other_token, NOW, &actor,
			     &ends_at_ms),
	    OK);
	assert_int_equal(acts_of(f, &admin.id), 3);
}

static void
a_sign_in_sweeps_sessions_past_their_life(void **state)
{
	const struct fixture *f = *state;
	const struct admin admin = added(f);

	sign_in(f, &admin, 1);
	assert_int_equal(admins_sign_in(f->db, &admin, 2, other_token,
			     "192.0.2.1", NOW + ADMIN_SESSION_LIFE_MS + 1),
	    OK);
	assert_int_equal(number_of(f, "SELECT COUNT(*) FROM admin_sessions",
			     NULL),
	    1);
}

static void
who_is_disabled_is_out_until_reset(void **state)
{
	const struct fixture *f = *state;
	const struct admin admin = added(f);
	struct admin anew = named("grace"), found;

	sign_in(f, &admin, 1);
	assert_int_equal(admins_disable(f->db, &admin_console, STR("nobody"),
			     NOW),
	    ERR_NOT_FOUND);
	assert_int_equal(check(f, NOW), OK);
	assert_int_equal(admins_disable(f->db, &admin_console, STR("grace"),
			     NOW),
	    OK);
	assert_int_equal(check(f, NOW), ERR_UNAUTHORIZED);
	assert_int_equal(admins_sign_in(f->db, &admin, 2, token, "192.0.2.1",
			     NOW),
	    ERR_UNAUTHORIZED);
	(void)str_copy(STR("$argon2id$2"), anew.password_hash,
	    sizeof(anew.password_hash));
	anew.sealed[0] = 8;
	assert_int_equal(admins_reset(f->db, &admin_console, &anew, NOW), OK);
	/* As it was found before the reset it proves nothing. */
	assert_int_equal(admins_sign_in(f->db, &admin, 2, token, "192.0.2.1",
			     NOW),
	    ERR_UNAUTHORIZED);
	assert_int_equal(admins_find(f->db, STR("grace"), &found), OK);
	assert_false(found.is_disabled);
	/* The step that was taken stays taken. */
	assert_int_equal(admins_sign_in(f->db, &found, 1, token, "192.0.2.1",
			     NOW),
	    ERR_UNAUTHORIZED);
	sign_in(f, &found, 2);
	assert_int_equal(check(f, NOW), OK);
	anew = named("nobody");
	assert_int_equal(admins_reset(f->db, &admin_console, &anew, NOW),
	    ERR_NOT_FOUND);
}

struct entry {
	struct str value;
	int64_t number;
};

static enum err
append(struct db *db, void *arg)
{
	struct entry *entry = arg;

	return admin_log_append(db, &admin_console,
	    &(const struct admin_act){ .action = "test",
		.old_value = entry->value,
		.new_value = STR("short") },
	    NOW, &entry->number);
}

static int64_t
kept_bytes(const struct fixture *f, const char *value, size_t len)
{
	struct entry entry = { { value, len }, 0 };

	assert_int_equal(db_transaction(f->db, append, &entry), OK);
	assert_int_equal(number_of(f, "SELECT MAX(number) FROM admin_log",
			     NULL),
	    entry.number);
	return number_of(f,
	    "SELECT length(CAST(old_value AS BLOB)) FROM admin_log"
	    " ORDER BY number DESC",
	    NULL);
}

static void
a_long_value_is_cut_between_characters(void **state)
{
	const struct fixture *f = *state;
	char value[ADMIN_VALUE_BYTES_MAX + 2];

	memset(value, 'a', sizeof(value));
	assert_int_equal(kept_bytes(f, value, ADMIN_VALUE_BYTES_MAX),
	    ADMIN_VALUE_BYTES_MAX);
	assert_int_equal(kept_bytes(f, value, ADMIN_VALUE_BYTES_MAX + 1),
	    ADMIN_VALUE_BYTES_MAX);
	/* ü, half of which would be beyond */
	memcpy(value + ADMIN_VALUE_BYTES_MAX - 1, "\xc3\xbc", 2);
	assert_int_equal(kept_bytes(f, value, ADMIN_VALUE_BYTES_MAX + 1),
	    ADMIN_VALUE_BYTES_MAX - 1);
	/* What never was text is cut to nothing. */
	memset(value, 0x80, sizeof(value));
	assert_int_equal(kept_bytes(f, value, ADMIN_VALUE_BYTES_MAX + 1), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_short_and_of_plain_letters),
		TEST(a_name_is_added_once_and_kept_with_what_proves_it),
		TEST(a_secret_too_long_to_be_ours_is_none),
		TEST(a_code_opens_one_session_and_so_do_no_older_ones),
		TEST(a_session_ends_when_it_is_idle_old_or_of_the_future),
		TEST(a_look_is_written_down_twice_a_minute_at_most),
		TEST(signing_out_ends_the_one_session),
		TEST(a_sign_in_sweeps_sessions_past_their_life),
		TEST(who_is_disabled_is_out_until_reset),
		TEST(a_long_value_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
