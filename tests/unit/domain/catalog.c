/* SPDX-License-Identifier: MIT */
#include "fixture.h"

static const struct uuid nobody = { { 0xff } };

static struct model
active_model(const struct fixture *f)
{
	struct model model;

	assert_int_equal(catalog_active_model(f->db, &model), OK);
	return model;
}

static enum err
keep_last_model(void *arg, const struct model *model)
{
	*(struct model *)arg = *model;
	return OK;
}

static enum err
count_model(void *arg, const struct model *model)
{
	assert_true(model->name[0] != '\0');
	assert_true(model->setting[SETTING_DURATION].count > 0);
	++*(int *)arg;
	return OK;
}

static enum err
count_models(const struct fixture *f, int *count)
{
	*count = 0;
	return catalog_models(f->db, count_model, count);
}

struct themes {
	int count;
	int featured;
	struct theme first;
};

static enum err
see_theme(void *arg, const struct theme *theme)
{
	struct themes *themes = arg;

	if (themes->count++ == 0)
		themes->first = *theme;
	/* Featured ones stand in front. */
	if (theme->is_featured)
		assert_int_equal(++themes->featured, themes->count);
	return OK;
}

static enum err
see_themes(const struct fixture *f, struct themes *themes)
{
	*themes = (struct themes){ 0 };
	return catalog_themes(f->db, see_theme, themes);
}

static struct theme
some_theme(const struct fixture *f)
{
	struct themes themes;

	assert_int_equal(see_themes(f, &themes), OK);
	return themes.first;
}

static enum err
stop(void *arg, const struct model *model)
{
	(void)model;
	++*(int *)arg;
	return ERR_CONFLICT;
}

static void
the_seed_has_what_the_contract_promises(void **state)
{
	const struct fixture *f = *state;
	const struct model model = active_model(f);
	struct themes themes;
	int models;

	assert_string_equal(model.endpoint,
	    "fal-ai/veo3.1/fast/image-to-video");
	assert_true(model.is_available);
	assert_true(model.requires_image);
	assert_true(model.has_text_sibling);
	assert_false(f->model.requires_image);
	assert_int_equal(count_models(f, &models), OK);
	assert_int_equal(models, 8);
	assert_int_equal(see_themes(f, &themes), OK);
	assert_true(themes.count >= 6);
	assert_true(themes.featured > 0);
	assert_int_equal(number_of(f, "SELECT SUM(credits) FROM products",
			     NULL),
	    25 + 60 + 150);
}

static void
a_callback_that_fails_ends_the_walk(void **state)
{
	const struct fixture *f = *state;
	int calls = 0;

	assert_int_equal(catalog_models(f->db, stop, &calls), ERR_CONFLICT);
	assert_int_equal(calls, 1);
}

static void
what_is_not_there_or_not_available_is_not_found(void **state)
{
	const struct fixture *f = *state;
	struct model model, retired;
	struct theme theme = some_theme(f), again;

	assert_int_equal(catalog_model(f->db, &nobody, &model),
	    ERR_MODEL_NOT_FOUND);
	assert_int_equal(catalog_theme(f->db, &nobody, &theme),
	    ERR_THEME_NOT_FOUND);
	/* Sora is the last one, and retired. */
	assert_int_equal(catalog_models(f->db, keep_last_model, &retired), OK);
	assert_string_equal(retired.state, "retired");
	assert_int_equal(catalog_model(f->db, &retired.id, &model),
	    ERR_MODEL_NOT_FOUND);
	assert_int_equal(catalog_theme(f->db, &theme.id, &again), OK);
	assert_string_equal(again.prompt, theme.prompt);
	assert_int_equal(catalog_set_theme(f->db, &theme.id,
			     STR("is_available"), STR("0")),
	    OK);
	assert_int_equal(catalog_theme(f->db, &theme.id, &again),
	    ERR_THEME_NOT_FOUND);
}

static void
without_an_active_model_there_is_none(void **state)
{
	const struct fixture *f = *state;
	struct model model = active_model(f);

	assert_int_equal(catalog_set_model(f->db, &model.id, STR("state"),
			     STR("disabled")),
	    OK);
	assert_int_equal(catalog_active_model(f->db, &model),
	    ERR_MODEL_NOT_FOUND);
}

static struct settings
settled(const struct fixture *f, const struct model *model,
    const struct theme *theme, const struct settings_wish *wish)
{
	struct settings settings = { 0 };

	assert_int_equal(catalog_settle(f->db, model, theme, wish, &settings),
	    OK);
	return settings;
}

static void
without_a_wish_the_models_defaults_hold(void **state)
{
	const struct fixture *f = *state;
	const struct settings s =
	    settled(f, &f->model, NULL, &(struct settings_wish){ 0 });

	assert_int_equal(s.duration_s, 4);
	assert_string_equal(s.resolution, "720p");
	assert_string_equal(s.aspect_ratio, "9:16");
	assert_true(s.has_audio);
	assert_int_equal(s.cost_credits, 4);
}

static void
a_duration_is_rounded_up_to_an_option_and_down_to_the_longest(void **state)
{
	const struct fixture *f = *state;
	/* The model offers 4, 6 and 8 seconds, a credit each. */
	static const int64_t cases[][2] = { { 1, 4 }, { 3, 4 }, { 4, 4 },
		{ 5, 6 }, { 6, 6 }, { 7, 8 }, { 8, 8 }, { 9, 8 }, { 60, 8 } };

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct settings_wish wish = { .duration_s = cases[i][0] };
		const struct settings s = settled(f, &f->model, NULL, &wish);

		assert_int_equal(s.duration_s, cases[i][1]);
		assert_int_equal(s.cost_credits, cases[i][1]);
	}
}

static void
a_wish_outside_of_the_options_is_refused(void **state)
{
	const struct fixture *f = *state;
	static const struct settings_wish wishes[] = {
		{ .resolution = "8k" },
		{ .resolution = "720P" },
		{ .resolution = "720p " },
		{ .aspect_ratio = "4:3" },
		/* The picture's model offers it, the text's does not. */
		{ .aspect_ratio = "auto" },
	};
	struct settings settings = { .cost_credits = 77 };

	for (size_t i = 0; i < COUNT_OF(wishes); i++)
		assert_int_equal(catalog_settle(f->db, &f->model, NULL,
				     &wishes[i], &settings),
		    ERR_INVALID_SETTINGS);
	assert_int_equal(settings.cost_credits, 77);
}

static void
the_theme_fills_what_is_absent_and_yields_to_a_wish(void **state)
{
	const struct fixture *f = *state;
	const struct theme theme = { .default_duration_s = 7,
		.default_resolution = "1080p",
		.default_aspect_ratio = "16:9" };
	struct settings s =
	    settled(f, &f->model, &theme, &(struct settings_wish){ 0 });

	assert_int_equal(s.duration_s, 8);
	assert_string_equal(s.resolution, "1080p");
	assert_string_equal(s.aspect_ratio, "16:9");
	s = settled(f, &f->model, &theme,
	    &(struct settings_wish){ .duration_s = 4,
		.resolution = "4k",
		.aspect_ratio = "9:16" });
	assert_int_equal(s.duration_s, 4);
	assert_string_equal(s.resolution, "4k");
	assert_string_equal(s.aspect_ratio, "9:16");
}

static void
a_themes_default_that_the_model_lacks_gives_way_to_the_models(void **state)
{
	const struct fixture *f = *state;
	const struct theme theme = { .default_resolution = "8k",
		.default_aspect_ratio = "auto" };
	const struct settings s =
	    settled(f, &f->model, &theme, &(struct settings_wish){ 0 });

	assert_string_equal(s.resolution, "720p");
	assert_string_equal(s.aspect_ratio, "9:16");
	assert_int_equal(s.duration_s, 4);
}

static void
a_price_is_rounded_up_to_whole_credits(void **state)
{
	const struct fixture *f = *state;
	const struct settings_wish wish = { .resolution = "4k" };
	/* Thousandths a second, and credits for four seconds. */
	static const int64_t prices[][2] = { { 1, 1 }, { 249, 1 }, { 250, 1 },
		{ 251, 2 }, { 2400, 10 }, { 2500, 10 }, { 2501, 11 } };

	for (size_t i = 0; i < COUNT_OF(prices); i++) {
		damage(f,
		    "UPDATE model_prices SET millicredits_per_second ="
		    " %lld WHERE resolution = '4k'",
		    (long long)prices[i][0]);
		assert_int_equal(settled(f, &f->model, NULL, &wish)
				     .cost_credits,
		    prices[i][1]);
	}
}

static void
sound_has_a_price_of_its_own(void **state)
{
	const struct fixture *f = *state;
	struct model silent = f->model;

	silent.has_audio = false;
	/* 4 s of 700 thousandths. */
	assert_int_equal(settled(f, &silent, NULL, &(struct settings_wish){ 0 })
			     .cost_credits,
	    3);
}

static void
where_no_price_is_listed_the_models_price_holds(void **state)
{
	const struct fixture *f = *state;
	struct model model = f->model;

	damage(f, "DELETE FROM model_prices");
	model.cost_per_generation_credits = 9;
	assert_int_equal(settled(f, &model, NULL,
			     &(struct settings_wish){ .duration_s = 8 })
			     .cost_credits,
	    9);
}

static void
activating_a_model_retires_the_one_before(void **state)
{
	const struct fixture *f = *state;
	const struct model before = active_model(f);
	struct model after;

	assert_int_equal(catalog_set_model(f->db, &f->model.id,
			     STR("is_active"), STR("1")),
	    OK);
	after = active_model(f);
	assert_true(uuid_equal(&after.id, &f->model.id));
	assert_int_equal(catalog_model(f->db, &before.id, &after), OK);
	assert_false(after.is_active);
}

static void
what_cannot_be_activated_leaves_the_present_one_active(void **state)
{
	const struct fixture *f = *state;
	const struct model before = active_model(f);
	struct model retired, after;

	assert_int_equal(catalog_models(f->db, keep_last_model, &retired), OK);
	assert_int_equal(catalog_set_model(f->db, &retired.id, STR("is_active"),
			     STR("1")),
	    ERR_INVALID_REQUEST);
	assert_int_equal(catalog_set_model(f->db, &nobody, STR("is_active"),
			     STR("1")),
	    ERR_MODEL_NOT_FOUND);
	after = active_model(f);
	assert_true(uuid_equal(&after.id, &before.id));
}

static void
a_field_takes_what_its_column_can_have(void **state)
{
	const struct fixture *f = *state;
	static const struct {
		const char *field;
		const char *value;
		enum err model;
		enum err theme;
	} cases[] = {
		{ "name", "New", OK, OK },
		{ "name", "", ERR_INVALID_REQUEST, ERR_INVALID_REQUEST },
		{ "name", "\xff", ERR_INVALID_REQUEST, ERR_INVALID_REQUEST },
		{ "description", "", OK, OK },
		{ "thumbnail_url", "https://x.test/a.jpg", OK, OK },
		{ "is_featured", "1", OK, OK },
		{ "is_featured", "2", ERR_INVALID_REQUEST,
		    ERR_INVALID_REQUEST },
		{ "is_featured", "true", ERR_INVALID_REQUEST,
		    ERR_INVALID_REQUEST },
		{ "cost_per_generation", "1", OK, ERR_INVALID_REQUEST },
		{ "cost_per_generation", "0", ERR_INVALID_REQUEST,
		    ERR_INVALID_REQUEST },
		{ "cost_per_generation", "10000", OK, ERR_INVALID_REQUEST },
		{ "cost_per_generation", "10001", ERR_INVALID_REQUEST,
		    ERR_INVALID_REQUEST },
		{ "state", "available", OK, ERR_INVALID_REQUEST },
		{ "state", "asleep", ERR_INVALID_REQUEST, ERR_INVALID_REQUEST },
		{ "default_duration_s", "60", ERR_INVALID_REQUEST, OK },
		{ "default_duration_s", "61", ERR_INVALID_REQUEST,
		    ERR_INVALID_REQUEST },
		{ "default_duration_s", "0", ERR_INVALID_REQUEST,
		    ERR_INVALID_REQUEST },
		{ "default_duration_s", "", ERR_INVALID_REQUEST, OK },
		{ "default_resolution", "1080p", ERR_INVALID_REQUEST, OK },
		{ "default_aspect_ratio", "", ERR_INVALID_REQUEST, OK },
		{ "prompt", "a prompt", ERR_INVALID_REQUEST, OK },
		{ "prompt", "", ERR_INVALID_REQUEST, ERR_INVALID_REQUEST },
		{ "id", "x", ERR_INVALID_REQUEST, ERR_INVALID_REQUEST },
		{ "name = 'x' --", "x", ERR_INVALID_REQUEST,
		    ERR_INVALID_REQUEST },
		{ "", "x", ERR_INVALID_REQUEST, ERR_INVALID_REQUEST },
	};
	const struct theme theme = some_theme(f);

	/* Where there are prices by the second, they decide. */
	assert_int_equal(catalog_set_model(f->db, &f->model.id,
			     STR("cost_per_generation"), STR("1")),
	    ERR_CONFLICT);
	assert_int_equal(catalog_set_model(f->db, &nobody,
			     STR("cost_per_generation"), STR("1")),
	    ERR_MODEL_NOT_FOUND);
	damage(f, "DELETE FROM model_prices WHERE model_id = %s",
	    literal_of(&f->model.id).text);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(catalog_set_model(f->db, &f->model.id,
				     str_from(cases[i].field),
				     str_from(cases[i].value)),
		    cases[i].model);
		assert_int_equal(catalog_set_theme(f->db, &theme.id,
				     str_from(cases[i].field),
				     str_from(cases[i].value)),
		    cases[i].theme);
	}
	assert_int_equal(catalog_set_theme(f->db, &nobody, STR("name"),
			     STR("x")),
	    ERR_THEME_NOT_FOUND);
}

static enum err
set_price_of_a_second(const struct fixture *f, int64_t millicredits)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%lld", (long long)millicredits);
	return catalog_set_model(f->db, &f->model.id, STR("price.720p.audio"),
	    str_from(text));
}

static void
no_price_is_above_what_one_order_may_charge(void **state)
{
	/* Of a minute, the longest that there is. */
	const int64_t most = CREDITS_AMOUNT_MAX * 1000 / 60;
	const struct fixture *f = *state;

	assert_int_equal(set_price_of_a_second(f, most), OK);
	assert_int_equal(set_price_of_a_second(f, most + 1),
	    ERR_INVALID_REQUEST);
	assert_int_equal(number_of(f,
			     "SELECT MAX(millicredits_per_second)"
			     " FROM model_prices WHERE model_id = ?1",
			     &f->model.id),
	    most);
}

static void
a_text_that_readers_have_no_room_for_is_refused(void **state)
{
	const struct fixture *f = *state;
	const struct theme theme = some_theme(f);
	char text[CATALOG_LONG_TEXT_BYTES + 1];
	const struct {
		const char *field;
		size_t size;
	} cases[] = {
		{ "name", CATALOG_TEXT_BYTES },
		{ "prompt", CATALOG_LONG_TEXT_BYTES },
		{ "default_resolution", CATALOG_VALUE_BYTES },
	};

	memset(text, 't', sizeof(text));
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(catalog_set_theme(f->db, &theme.id,
				     str_from(cases[i].field),
				     (struct str){ text, cases[i].size }),
		    ERR_INVALID_REQUEST);
		assert_int_equal(catalog_set_theme(f->db, &theme.id,
				     str_from(cases[i].field),
				     (struct str){ text, cases[i].size - 1 }),
		    OK);
	}
}

static void
a_change_is_seen_at_once_and_may_be_taken_back(void **state)
{
	const struct fixture *f = *state;
	struct theme theme = some_theme(f);

	assert_int_equal(catalog_set_theme(f->db, &theme.id,
			     STR("default_duration_s"), STR("6")),
	    OK);
	assert_int_equal(catalog_theme(f->db, &theme.id, &theme), OK);
	assert_int_equal(theme.default_duration_s, 6);
	assert_int_equal(catalog_set_theme(f->db, &theme.id,
			     STR("default_duration_s"), STR("")),
	    OK);
	assert_int_equal(catalog_theme(f->db, &theme.id, &theme), OK);
	assert_int_equal(theme.default_duration_s, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_seed_has_what_the_contract_promises),
		TEST(a_callback_that_fails_ends_the_walk),
		TEST(what_is_not_there_or_not_available_is_not_found),
		TEST(without_an_active_model_there_is_none),
		TEST(without_a_wish_the_models_defaults_hold),
		TEST(
		    a_duration_is_rounded_up_to_an_option_and_down_to_the_longest),
		TEST(a_wish_outside_of_the_options_is_refused),
		TEST(the_theme_fills_what_is_absent_and_yields_to_a_wish),
		TEST(
		    a_themes_default_that_the_model_lacks_gives_way_to_the_models),
		TEST(a_price_is_rounded_up_to_whole_credits),
		TEST(sound_has_a_price_of_its_own),
		TEST(where_no_price_is_listed_the_models_price_holds),
		TEST(activating_a_model_retires_the_one_before),
		TEST(what_cannot_be_activated_leaves_the_present_one_active),
		TEST(a_field_takes_what_its_column_can_have),
		TEST(no_price_is_above_what_one_order_may_charge),
		TEST(a_text_that_readers_have_no_room_for_is_refused),
		TEST(a_change_is_seen_at_once_and_may_be_taken_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
