/* SPDX-License-Identifier: MIT */
#include "domain/catalog.h"

#include <assert.h>

#define MODEL_COLUMNS \
	"SELECT id, company, endpoint, name, category, description," \
	" thumbnail_url, state, is_active, is_featured," \
	" requires_image, has_audio, text_sibling_id," \
	" cost_per_generation, duration_format, image_field FROM models"

#define THEME_COLUMNS \
	"SELECT id, name, description, thumbnail_url, prompt," \
	" is_featured, is_available, default_duration_s," \
	" default_resolution, default_aspect_ratio, created_at_ms FROM" \
	" themes"

static void
copy(struct db_stmt *stmt, int column, char *into, size_t size)
{
	if (!str_copy(db_column_str(stmt, column), into, size))
		into[0] = '\0';
}

static enum err
read_settings(struct db *db, struct model *model)
{
	static const char sql[] =
	    "SELECT setting, value, is_default FROM model_options"
	    " WHERE model_id = ?1 ORDER BY setting, position";
	static const char *const names[SETTING_MAX] = {
		[SETTING_DURATION] = "duration",
		[SETTING_RESOLUTION] = "resolution",
		[SETTING_ASPECT_RATIO] = "aspect_ratio",
	};
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, &model->id);
	for (;;) {
		struct model_setting *setting = NULL;

		err = db_step(stmt, &found);
		if (err != OK || !found)
			return err;
		for (int i = 0; i < SETTING_MAX; i++)
			if (str_equal(db_column_str(stmt, 0),
				str_from(names[i])))
				setting = &model->setting[i];
		if (setting == NULL || setting->count == CATALOG_VALUES_MAX)
			continue;
		if (db_column_bool(stmt, 2))
			setting->standard = setting->count;
		copy(stmt, 1, setting->value[setting->count],
		    CATALOG_VALUE_BYTES);
		setting->count++;
	}
}

static enum err
read_model(struct db *db, struct db_stmt *stmt, struct model *m)
{
	*m = (struct model){
		.id = db_column_uuid(stmt, 0),
		.is_available =
		    str_equal(db_column_str(stmt, 7), STR("available")),
		.is_active = db_column_bool(stmt, 8),
		.is_featured = db_column_bool(stmt, 9),
		.requires_image = db_column_bool(stmt, 10),
		.has_audio = db_column_bool(stmt, 11),
		.has_text_sibling = !db_column_is_null(stmt, 12),
		.text_sibling_id = db_column_uuid(stmt, 12),
		.cost_per_generation_credits = db_column_int64(stmt, 13),
	};
	copy(stmt, 1, m->company, sizeof(m->company));
	copy(stmt, 2, m->endpoint, sizeof(m->endpoint));
	copy(stmt, 3, m->name, sizeof(m->name));
	copy(stmt, 4, m->category, sizeof(m->category));
	copy(stmt, 5, m->description, sizeof(m->description));
	copy(stmt, 6, m->thumbnail_url, sizeof(m->thumbnail_url));
	copy(stmt, 7, m->state, sizeof(m->state));
	copy(stmt, 14, m->duration_format, sizeof(m->duration_format));
	copy(stmt, 15, m->image_field, sizeof(m->image_field));
	return read_settings(db, m);
}

static enum err
one_model(struct db *db, struct db_stmt *stmt, struct model *ret_model)
{
	bool found;
	enum err err;

	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_MODEL_NOT_FOUND;
	err = read_model(db, stmt, ret_model);
	if (err != OK)
		return err;
	return ret_model->is_available ? OK : ERR_MODEL_NOT_FOUND;
}

enum err
catalog_model(struct db *db, const struct uuid *id, struct model *ret_model)
{
	static const char sql[] = MODEL_COLUMNS " WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, id);
	return one_model(db, stmt, ret_model);
}

enum err
catalog_active_model(struct db *db, struct model *ret_model)
{
	static const char sql[] = MODEL_COLUMNS " WHERE is_active = 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	return one_model(db, stmt, ret_model);
}

enum err
catalog_models(struct db *db, catalog_each_model *each, void *arg)
{
	static const char sql[] = MODEL_COLUMNS " ORDER BY position LIMIT ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct model model;
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, CATALOG_ROWS_MAX);
	for (;;) {
		err = db_step(stmt, &found);
		if (err != OK || !found)
			return err;
		err = read_model(db, stmt, &model);
		if (err == OK)
			err = each(arg, &model);
		if (err != OK)
			return err;
	}
}

static void
read_theme(struct db_stmt *stmt, struct theme *t)
{
	*t = (struct theme){
		.id = db_column_uuid(stmt, 0),
		.is_featured = db_column_bool(stmt, 5),
		.is_available = db_column_bool(stmt, 6),
		.default_duration_s = db_column_int64(stmt, 7),
		.created_at_ms = db_column_int64(stmt, 10),
	};
	copy(stmt, 1, t->name, sizeof(t->name));
	copy(stmt, 2, t->description, sizeof(t->description));
	copy(stmt, 3, t->thumbnail_url, sizeof(t->thumbnail_url));
	copy(stmt, 4, t->prompt, sizeof(t->prompt));
	copy(stmt, 8, t->default_resolution, sizeof(t->default_resolution));
	copy(stmt, 9, t->default_aspect_ratio, sizeof(t->default_aspect_ratio));
}

enum err
catalog_theme(struct db *db, const struct uuid *id, struct theme *ret_theme)
{
	static const char sql[] = THEME_COLUMNS " WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found || !db_column_bool(stmt, 6))
		return ERR_THEME_NOT_FOUND;
	read_theme(stmt, ret_theme);
	return OK;
}

enum err
catalog_themes(struct db *db, catalog_each_theme *each, void *arg)
{
	static const char sql[] =
	    THEME_COLUMNS " ORDER BY is_featured DESC, name LIMIT ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct theme theme;
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, CATALOG_ROWS_MAX);
	for (;;) {
		err = db_step(stmt, &found);
		if (err != OK || !found)
			return err;
		read_theme(stmt, &theme);
		err = each(arg, &theme);
		if (err != OK)
			return err;
	}
}

static bool
offers(const struct model_setting *setting, const char *value)
{
	for (size_t i = 0; i < setting->count; i++)
		if (strcmp(setting->value[i], value) == 0)
			return true;
	return false;
}

/* The least option that is not shorter than the wish, else the longest. */
static int64_t
round_duration(const struct model_setting *setting, int64_t wish_s)
{
	int64_t best = 0, longest = 0, option;

	for (size_t i = 0; i < setting->count; i++) {
		if (!str_to_int64(str_from(setting->value[i]), 1, 60, &option))
			continue;
		if (option > longest)
			longest = option;
		if (option >= wish_s && (best == 0 || option < best))
			best = option;
	}
	return best == 0 ? longest : best;
}

static bool
choose(const struct model_setting *setting, const char *wish,
    const char *theme_default, char chosen[CATALOG_VALUE_BYTES])
{
	const char *value = setting->value[setting->standard];

	if (wish[0] != '\0') {
		if (!offers(setting, wish))
			return false;
		value = wish;
	} else if (offers(setting, theme_default)) {
		value = theme_default;
	}
	return str_copy(str_from(value), chosen, CATALOG_VALUE_BYTES) &&
	    chosen[0] != '\0';
}

static enum err
price(struct db *db, const struct model *model, struct settings *s)
{
	static const char sql[] =
	    "SELECT millicredits_per_second FROM model_prices"
	    " WHERE model_id = ?1 AND resolution = ?2 AND has_audio = ?3";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, &model->id);
	db_bind_text(stmt, 2, s->resolution);
	db_bind_bool(stmt, 3, s->has_audio);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (found)
		s->cost_credits =
		    (s->duration_s * db_column_int64(stmt, 0) + 999) / 1000;
	else
		s->cost_credits = model->cost_per_generation_credits;
	assert(s->cost_credits > 0);
	return OK;
}

enum err
catalog_settle(struct db *db, const struct model *model,
    const struct theme *theme, const struct settings_wish *wish,
    struct settings *ret_settings)
{
	const struct model_setting *duration =
	    &model->setting[SETTING_DURATION];
	struct settings s = { .has_audio = model->has_audio };
	int64_t wish_s = wish->duration_s;
	enum err err;

	if (wish_s == 0 && theme != NULL)
		wish_s = theme->default_duration_s;
	if (wish_s == 0 && duration->count > 0)
		(void)str_to_int64(str_from(
				       duration->value[duration->standard]),
		    1, 60, &wish_s);
	s.duration_s = round_duration(duration, wish_s);
	if (s.duration_s == 0 ||
	    !choose(&model->setting[SETTING_RESOLUTION], wish->resolution,
		theme == NULL ? "" : theme->default_resolution, s.resolution) ||
	    !choose(&model->setting[SETTING_ASPECT_RATIO], wish->aspect_ratio,
		theme == NULL ? "" : theme->default_aspect_ratio,
		s.aspect_ratio))
		return ERR_INVALID_SETTINGS;
	err = price(db, model, &s);
	if (err == OK)
		*ret_settings = s;
	return err;
}
