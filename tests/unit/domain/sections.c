/* SPDX-License-Identifier: MIT */
#include "purchases.h"

#include "domain/admin_views.h"
#include "domain/events.h"
#include "domain/exports.h"

/* Hears a document and keeps its shape. */
struct hearing {
	int sections;
	int rows; /* of all */
	int values;
	bool is_in_section;
	bool is_in_row;
	char name[64]; /* of the last section */
};

static void
begin_section(void *arg, const char *name)
{
	struct hearing *h = arg;

	h->sections++;
	h->is_in_section = true;
	(void)str_copy(str_from(name), h->name, sizeof(h->name));
}

static void
begin_row(void *arg)
{
	struct hearing *h = arg;

	assert_true(h->is_in_section);
	h->rows++;
	h->is_in_row = true;
}

static void
hear(void *arg, const struct section_value *value)
{
	struct hearing *h = arg;

	assert_true(h->is_in_row);
	assert_string_not_equal(value->name, "");
	if (value->type != SECTION_TEXT)
		assert_null(value->text.ptr);
	if (value->type == SECTION_FLAG)
		assert_in_range(value->number, 0, 1);
	h->values++;
}

static void
end_row(void *arg)
{
	struct hearing *h = arg;

	h->is_in_row = false;
}

static void
end_section(void *arg)
{
	struct hearing *h = arg;

	h->is_in_section = false;
}

static struct section_reader
reader_of(struct hearing *h)
{
	*h = (struct hearing){ 0 };
	return (struct section_reader){ .arg = h,
		.begin_section = begin_section,
		.begin_row = begin_row,
		.value = hear,
		.end_row = end_row,
		.end_section = end_section };
}

/* A life with something of most kinds. */
static void
live(const struct fixture *f)
{
	const struct purchase_fact fact = fact_of("1", STARTER);

	(void)open_session(f, &f->ada, NOW);
	(void)posted(f, &f->ada, &fact);
	(void)submit(f, "key");
}

struct export
{
	const struct uuid *user_id;
	struct hearing hearing;
};

static enum err export(struct db *db, void *arg) {
	struct export *e = arg;
	const struct section_reader reader = reader_of(&e->hearing);

	return exports_read(db, e->user_id, &reader);
}

static enum err
read_export(const struct fixture *f, struct export *e)
{
	return db_snapshot(f->db, export, e);
}

static void
an_export_tells_everything_section_by_section(void **state)
{
	const struct fixture *f = *state;
	struct export ada = { &f->ada, { 0 } },
		      nobody = { &f->model.id, { 0 } };
	int64_t events;

	live(f);
	events = number_of(f, "SELECT COUNT(*) FROM events WHERE user_id = ?1",
	    &f->ada);
	assert_int_equal(read_export(f, &ada), OK);
	assert_true(ada.hearing.sections > 10);
	/* The last is the events: each of its rows was heard. */
	assert_string_equal(ada.hearing.name, "events");
	assert_true(ada.hearing.rows > events);
	assert_false(ada.hearing.is_in_section);
	assert_int_equal(read_export(f, &nobody), ERR_USER_NOT_FOUND);
	assert_int_equal(nobody.hearing.rows, 0);
}

static enum err
view(const struct fixture *f, const struct admin_view_call *calls, size_t count,
    struct hearing *hearing)
{
	const struct section_reader reader = reader_of(hearing);

	return admin_views_read(f->db, calls, count, &reader);
}

#define NUMBER(n) \
	{ \
		.type = SECTION_NUMBER, .number = (n) \
	}
#define ID(pointer) \
	{ \
		.type = SECTION_ID, .id = (pointer) \
	}
#define WORD(word) \
	{ \
		.type = SECTION_TEXT, .text = STR(word) \
	}

static void
every_view_of_an_admin_can_be_read(void **state)
{
	const struct fixture *f = *state;
	static const size_t params_count[ADMIN_VIEW_MAX] = {
		[ADMIN_VIEW_USERS_BY_ID] = 1,
		[ADMIN_VIEW_USERS_BY_TRANSACTION] = 1,
		[ADMIN_VIEW_USERS_BY_EMAIL] = 3,
		[ADMIN_VIEW_USER] = 1,
		[ADMIN_VIEW_USER_PURCHASES] = 1,
		[ADMIN_VIEW_USER_TIMELINE] = 3,
		[ADMIN_VIEW_USER_LEDGER] = 3,
		[ADMIN_VIEW_JOBS_OPEN] = 1,
		[ADMIN_VIEW_JOBS_ENDED] = 2,
		[ADMIN_VIEW_JOB] = 1,
		[ADMIN_VIEW_JOB_ATTEMPTS] = 1,
		[ADMIN_VIEW_JOB_REPORTS] = 1,
		[ADMIN_VIEW_JOB_LEDGER] = 1,
		[ADMIN_VIEW_LOG] = 2,
		[ADMIN_VIEW_DAYS_USERS] = 1,
		[ADMIN_VIEW_DAYS_JOBS] = 1,
		[ADMIN_VIEW_DAYS_REVENUE] = 1,
		[ADMIN_VIEW_DAYS_CREDITS] = 2,
		[ADMIN_VIEW_MODEL_MARGINS] = 2,
		[ADMIN_VIEW_LIABILITY] = 1,
	};
	struct hearing hearing;

	live(f);
	for (int i = 0; i < ADMIN_VIEW_MAX; i++) {
		const struct admin_view_call call = {
			(enum admin_view)i,
			{ NUMBER(1), NUMBER(1), NUMBER(1) },
			params_count[i],
			false,
		};

		assert_int_equal(view(f, &call, 1, &hearing), OK);
		assert_int_equal(hearing.sections, 1);
		assert_false(hearing.is_in_section);
	}
}

static void
a_user_is_found_by_what_an_operator_may_know(void **state)
{
	const struct fixture *f = *state;
	const struct uuid token = token_of(f, &f->ada);
	const struct admin_view_call calls[] = {
		{ ADMIN_VIEW_USERS_BY_ID, { ID(&token) }, 1, true },
		{ ADMIN_VIEW_USERS_BY_ID, { ID(&f->ada) }, 1, true },
		{ ADMIN_VIEW_USERS_BY_TRANSACTION, { WORD("1") }, 1, true },
		{ ADMIN_VIEW_USER_LEDGER,
		    { ID(&f->ada), NUMBER(10), NUMBER(0) }, 3, true },
	};
	struct hearing hearing;

	live(f);
	assert_int_equal(view(f, calls, COUNT_OF(calls), &hearing), OK);
	assert_int_equal(hearing.sections, COUNT_OF(calls));
	/* One each, and the purchase and the hold. */
	assert_int_equal(hearing.rows, 3 + 2);
	assert_int_equal(hearing.values, 3 * 8 + 2 * 8);
}

static void
without_what_a_view_is_about_the_rest_is_not_read(void **state)
{
	const struct fixture *f = *state;
	const struct admin_view_call calls[] = {
		{ ADMIN_VIEW_USER, { ID(&f->model.id) }, 1, true },
		{ ADMIN_VIEW_MODELS, { NUMBER(0) }, 0, false },
	};
	struct hearing hearing;

	assert_int_equal(view(f, calls, 2, &hearing), ERR_NOT_FOUND);
	assert_int_equal(hearing.sections, 1);
	assert_int_equal(view(f, calls + 1, 1, &hearing), OK);
	assert_true(hearing.rows > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_export_tells_everything_section_by_section),
		TEST(every_view_of_an_admin_can_be_read),
		TEST(a_user_is_found_by_what_an_operator_may_know),
		TEST(without_what_a_view_is_about_the_rest_is_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
