/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include "domain/breakers.h"
#include "domain/costs.h"
#include "domain/dispatch.h"
#include "domain/spend.h"

#define USD INT64_C(1000000)

struct reservation {
	const struct fixture *f;
	struct uuid attempt_id;
	int64_t cost_micro_usd;
	int64_t cap_micro_usd;
	bool fits;
};

static enum err
reserve(struct db *db, void *arg)
{
	struct reservation *r = arg;

	return spend_reserve(db, &r->attempt_id, &r->f->model.id,
	    r->cost_micro_usd, r->cap_micro_usd, NOW, &r->fits);
}

static enum err
give_back(struct db *db, void *arg)
{
	const struct reservation *r = arg;

	return spend_give_back(db, &r->attempt_id);
}

static bool
reserved(struct reservation *r, int64_t cost_micro_usd, int64_t cap_micro_usd)
{
	r->cost_micro_usd = cost_micro_usd;
	r->cap_micro_usd = cap_micro_usd;
	assert_int_equal(db_transaction(r->f->db, reserve, r), OK);
	return r->fits;
}

static int64_t
spent(const struct fixture *f)
{
	return number_of(f,
	    "SELECT COALESCE(SUM(micro_usd), 0) FROM provider_spend", NULL);
}

/* An attempt of Ada's that was sent just now. */
static struct reservation
sent(const struct fixture *f)
{
	struct reservation r = { .f = f };
	struct uuid job_id;

	assert_int_equal(grant(f, &f->ada, 40), OK);
	r.attempt_id = accepted_attempt(f, &job_id);
	assert_int_equal(db_transaction(f->db, give_back, &r), OK);
	assert_int_equal(spent(f), 0);
	return r;
}

static void
what_is_reserved_fits_under_all_caps(void **state)
{
	const struct fixture *f = *state;
	struct reservation r = sent(f);

	assert_true(reserved(&r, 0, USD));
	assert_int_equal(spent(f), 0);
	assert_false(reserved(&r, USD + 1, USD));
	assert_int_equal(spent(f), 0);
	assert_true(reserved(&r, USD, USD));
	assert_false(reserved(&r, 1, USD));
	/* No cap of all models, and one of this model. */
	assert_true(reserved(&r, USD, 0));
	damage(f, "UPDATE models SET spend_cap_micro_usd_per_day = %lld",
	    (long long)(3 * USD));
	assert_true(reserved(&r, USD, 0));
	assert_false(reserved(&r, 1, 0));
	assert_int_equal(spent(f), 3 * USD);
}

static void
what_is_not_billed_is_given_back_once(void **state)
{
	const struct fixture *f = *state;
	struct reservation r = sent(f);

	assert_true(reserved(&r, USD, 0));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(db_transaction(f->db, give_back, &r), OK);
		assert_int_equal(spent(f), 0);
	}
}

static void
yesterdays_spending_is_no_part_of_today(void **state)
{
	const struct fixture *f = *state;
	struct reservation r = sent(f);
	bool fits = false;

	assert_true(reserved(&r, USD, USD));
	assert_int_equal(spend_fits(f->db, &f->model.id, 1, USD, NOW, &fits),
	    OK);
	assert_false(fits);
	assert_int_equal(spend_fits(f->db, &f->model.id, USD, USD,
			     NOW + SPEND_DAY_MS, &fits),
	    OK);
	assert_true(fits);
}

struct listing {
	const struct fixture *f;
	int count;
	int64_t cap_micro_usd;
};

static void
list_day(void *arg, int64_t day_ms, const char *endpoint, int64_t micro_usd,
    int64_t cap_micro_usd)
{
	struct listing *listing = arg;

	assert_int_equal(day_ms, NOW - NOW % SPEND_DAY_MS);
	assert_string_equal(endpoint, listing->f->model.endpoint);
	assert_int_equal(micro_usd, USD);
	listing->count++;
	listing->cap_micro_usd = cap_micro_usd;
}

static enum err
list(struct listing *listing, int64_t first_day_ms)
{
	listing->count = 0;
	return spend_list(listing->f->db, first_day_ms, list_day, listing);
}

static void
days_are_listed_with_the_caps_of_their_models(void **state)
{
	const struct fixture *f = *state;
	struct reservation r = sent(f);
	struct listing listing = { f, 0, 0 };

	assert_true(reserved(&r, USD, 0));
	assert_int_equal(list(&listing, NOW), OK);
	assert_int_equal(listing.count, 1);
	assert_int_equal(listing.cap_micro_usd, -1);
	damage(f, "UPDATE models SET spend_cap_micro_usd_per_day = 5");
	assert_int_equal(list(&listing, NOW), OK);
	assert_int_equal(listing.cap_micro_usd, 5);
	assert_int_equal(list(&listing, NOW + SPEND_DAY_MS), OK);
	assert_int_equal(listing.count, 0);
}

static void
what_was_given_up_and_what_came_after_all_is_counted(void **state)
{
	const struct fixture *f = *state;
	const struct reservation r = sent(f);
	int64_t lost = -1, late = -1;

	assert_int_equal(spend_count_lost(f->db, 0, &lost, &late), OK);
	assert_int_equal(lost, 0);
	assert_int_equal(late, 0);
	damage(f,
	    "UPDATE attempts SET state = 'lost', ended_at_ms = %lld"
	    " WHERE id = %s;"
	    "UPDATE jobs SET state = 'completed', is_free = 1,"
	    " completed_at_ms = %lld",
	    (long long)NOW, literal_of(&r.attempt_id).text,
	    (long long)(NOW + 1));
	assert_int_equal(spend_count_lost(f->db, NOW, &lost, &late), OK);
	assert_int_equal(lost, 1);
	assert_int_equal(late, 1);
	assert_int_equal(spend_count_lost(f->db, NOW + 1, &lost, &late), OK);
	assert_int_equal(lost, 0);
	assert_int_equal(late, 1);
}

/* --- may it be ordered? --------------------------------------------------- */

static bool
is_any(const void *arg, const char *company)
{
	(void)arg, (void)company;
	return true;
}

static enum err
check(const struct fixture *f, int64_t cap_micro_usd)
{
	const struct settings settings = order_of(f, &f->ada, "key").settings;

	return dispatch_check(f->db, &f->model, &settings, is_any, NULL,
	    cap_micro_usd, NOW);
}

static void
a_job_is_taken_on_while_its_cost_fits(void **state)
{
	const struct fixture *f = *state;
	struct model unknown = f->model;
	const struct settings settings = order_of(f, &f->ada, "key").settings;

	/* Four seconds for fifteen cents each. */
	assert_int_equal(check(f, 0), OK);
	assert_int_equal(check(f, 600000), OK);
	assert_int_equal(check(f, 599999), ERR_PROVIDER_UNAVAILABLE);
	unknown.id = f->ada;
	assert_int_equal(dispatch_check(f->db, &unknown, &settings, is_any,
			     NULL, 0, NOW),
	    ERR_MODEL_NOT_FOUND);
}

static void
a_blocked_company_is_no_way_unless_another_takes_over(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(breakers_stop(f->db, "fal", f->model.endpoint, NOW),
	    OK);
	assert_int_equal(check(f, 0), ERR_PROVIDER_UNAVAILABLE);
	damage(f,
	    "UPDATE models SET fallback_id ="
	    " (SELECT id FROM models WHERE name = 'Veo 3.1 Text')"
	    " WHERE id = %s",
	    literal_of(&f->model.id).text);
	assert_int_equal(check(f, 0), OK);
	assert_int_equal(breakers_stop(f->db, "fal", "fal-ai/veo3.1", NOW), OK);
	assert_int_equal(check(f, 0), ERR_PROVIDER_UNAVAILABLE);
	assert_int_equal(breakers_close(f->db, "fal", f->model.endpoint), OK);
	assert_int_equal(check(f, 0), OK);
	assert_int_equal(breakers_close(f->db, "fal", f->model.endpoint),
	    ERR_NOT_FOUND);
}

static void
what_the_catalogue_cannot_name_is_not_ordered(void **state)
{
	const struct fixture *f = *state;
	char name[CATALOG_TEXT_BYTES + 1];

	memset(name, 'a', CATALOG_TEXT_BYTES);
	name[CATALOG_TEXT_BYTES] = '\0';
	damage(f,
	    "UPDATE models SET fallback_id ="
	    " (SELECT id FROM models WHERE name = 'Veo 3.1 Text')"
	    " WHERE id = %s",
	    literal_of(&f->model.id).text);
	damage(f,
	    "UPDATE models SET endpoint = '%s'"
	    " WHERE name = 'Veo 3.1 Text'",
	    name);
	assert_int_equal(check(f, 0), ERR_MODEL_NOT_FOUND);
	damage(f,
	    "UPDATE models SET company = '%s'"
	    " WHERE name = 'Veo 3.1 Text'",
	    name);
	assert_int_equal(check(f, 0), ERR_MODEL_NOT_FOUND);
}

/* --- what models cost ------------------------------------------------------ */

static enum err
set(const struct fixture *f, const char *field, const char *value)
{
	return costs_set(f->db, &f->model.id, str_from(field), str_from(value));
}

static void
a_cost_is_set_where_there_is_a_price(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(set(f, "cost.720p.audio", "200000"), OK);
	assert_int_equal(check(f, 4 * 200000 - 1), ERR_PROVIDER_UNAVAILABLE);
	assert_int_equal(check(f, 4 * 200000), OK);
	assert_int_equal(set(f, "cost.720p.silent", "1000000000"), OK);
	assert_int_equal(set(f, "cost.720p.silent", "1000000001"),
	    ERR_INVALID_REQUEST);
	assert_int_equal(set(f, "cost.720p.audio", "-1"), ERR_INVALID_REQUEST);
	assert_int_equal(set(f, "cost.720p.loud", "1"), ERR_INVALID_REQUEST);
	assert_int_equal(set(f, "cost.8k.audio", "1"), ERR_INVALID_REQUEST);
}

struct losses {
	int count;
	int64_t price_micro_usd;
	int64_t cost_micro_usd;
};

static void
lose(void *arg, const char *endpoint, const char *resolution, bool has_audio,
    int64_t price_micro_usd, int64_t cost_micro_usd)
{
	struct losses *losses = arg;

	assert_string_equal(endpoint, "fal-ai/veo3.1/fast");
	assert_string_equal(resolution, "720p");
	assert_true(has_audio);
	losses->count++;
	losses->price_micro_usd = price_micro_usd;
	losses->cost_micro_usd = cost_micro_usd;
}

static enum err
read_losses(const struct fixture *f, struct losses *losses)
{
	losses->count = 0;
	return costs_losses(f->db, 150000, lose, losses);
}

static void
a_price_below_its_cost_is_a_loss(void **state)
{
	const struct fixture *f = *state;
	struct losses losses;

	/* Seven tenths of a credit bring 105,000. */
	assert_int_equal(read_losses(f, &losses), OK);
	assert_int_equal(losses.count, 0);
	assert_int_equal(set(f, "cost.720p.audio", "150001"), OK);
	assert_int_equal(read_losses(f, &losses), OK);
	assert_int_equal(losses.count, 1);
	assert_int_equal(losses.price_micro_usd, 150000);
	assert_int_equal(losses.cost_micro_usd, 150001);
	damage(f, "UPDATE models SET state = 'retired' WHERE id = %s",
	    literal_of(&f->model.id).text);
	assert_int_equal(read_losses(f, &losses), OK);
	assert_int_equal(losses.count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_reserved_fits_under_all_caps),
		TEST(what_is_not_billed_is_given_back_once),
		TEST(yesterdays_spending_is_no_part_of_today),
		TEST(days_are_listed_with_the_caps_of_their_models),
		TEST(what_was_given_up_and_what_came_after_all_is_counted),
		TEST(a_job_is_taken_on_while_its_cost_fits),
		TEST(a_blocked_company_is_no_way_unless_another_takes_over),
		TEST(what_the_catalogue_cannot_name_is_not_ordered),
		TEST(a_cost_is_set_where_there_is_a_price),
		TEST(a_price_below_its_cost_is_a_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
