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

/* A field an operator may set: each has its own literal statement. */
enum field_kind {
	FIELD_TEXT,
	FIELD_BOOL,
	FIELD_CREDITS,
	FIELD_STATE,
	FIELD_DURATION
};

struct field {
	const char *name;
	enum field_kind kind;
	const char *sql;
	size_t text_bytes; /* with its NUL: what a reader has room for */
};

static const struct field model_fields[] = {
	{ "name", FIELD_TEXT, "UPDATE models SET name = ?2 WHERE id = ?1",
	    CATALOG_TEXT_BYTES },
	{ "description", FIELD_TEXT,
	    "UPDATE models SET description = ?2 WHERE id = ?1",
	    CATALOG_LONG_TEXT_BYTES },
	{ "thumbnail_url", FIELD_TEXT,
	    "UPDATE models SET thumbnail_url = ?2 WHERE id = ?1",
	    CATALOG_LONG_TEXT_BYTES },
	{ "is_featured", FIELD_BOOL,
	    "UPDATE models SET is_featured = ?2 WHERE id = ?1", 0 },
	{ "cost_per_generation", FIELD_CREDITS,
	    "UPDATE models SET cost_per_generation = ?2 WHERE id = ?1"
	    " AND NOT EXISTS (SELECT 1 FROM model_prices WHERE model_id = ?1)",
	    0 },
	{ "state", FIELD_STATE,
	    "UPDATE models SET state = ?2,"
	    " is_active = CASE WHEN ?2 = 'available' THEN is_active ELSE 0 END"
	    " WHERE id = ?1",
	    0 },
	{ "is_active", FIELD_BOOL,
	    "UPDATE models SET is_active = ?2 WHERE id = ?1", 0 },
};

static const struct field theme_fields[] = {
	{ "name", FIELD_TEXT, "UPDATE themes SET name = ?2 WHERE id = ?1",
	    CATALOG_TEXT_BYTES },
	{ "description", FIELD_TEXT,
	    "UPDATE themes SET description = ?2 WHERE id = ?1",
	    CATALOG_LONG_TEXT_BYTES },
	{ "thumbnail_url", FIELD_TEXT,
	    "UPDATE themes SET thumbnail_url = ?2 WHERE id = ?1",
	    CATALOG_LONG_TEXT_BYTES },
	{ "prompt", FIELD_TEXT, "UPDATE themes SET prompt = ?2 WHERE id = ?1",
	    CATALOG_LONG_TEXT_BYTES },
	{ "is_featured", FIELD_BOOL,
	    "UPDATE themes SET is_featured = ?2 WHERE id = ?1", 0 },
	{ "is_available", FIELD_BOOL,
	    "UPDATE themes SET is_available = ?2 WHERE id = ?1", 0 },
	{ "default_duration_s", FIELD_DURATION,
	    "UPDATE themes SET default_duration_s = ?2 WHERE id = ?1", 0 },
	{ "default_resolution", FIELD_TEXT,
	    "UPDATE themes SET default_resolution = ?2 WHERE id = ?1",
	    CATALOG_VALUE_BYTES },
	{ "default_aspect_ratio", FIELD_TEXT,
	    "UPDATE themes SET default_aspect_ratio = ?2 WHERE id = ?1",
	    CATALOG_VALUE_BYTES },
};

/* What is shown is what the default settings cost. */
static enum err
refresh_shown_price(struct db *db, const struct uuid *id)
{
	static const char sql[] =
	    "UPDATE models SET cost_per_generation ="
	    " (SELECT (CAST(d.value AS INTEGER) * p.millicredits_per_second"
	    "   + 999) / 1000"
	    "  FROM model_options d"
	    "  JOIN model_options r ON r.model_id = d.model_id"
	    "   AND r.setting = 'resolution' AND r.is_default = 1"
	    "  JOIN model_prices p ON p.model_id = d.model_id"
	    "   AND p.resolution = r.value AND p.has_audio = models.has_audio"
	    "  WHERE d.model_id = models.id AND d.setting = 'duration'"
	    "   AND d.is_default = 1)"
	    " WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, id);
	return db_run(stmt);
}

struct price_change {
	const struct uuid *id;
	struct str resolution;
	bool has_audio;
	int64_t millicredits;
};

static enum err
change_price(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE model_prices SET millicredits_per_second = ?4"
	    " WHERE model_id = ?1 AND resolution = ?2 AND has_audio = ?3";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct price_change *change = arg;
	int64_t changes;
	enum err err;

	db_bind_uuid(stmt, 1, change->id);
	db_bind_str(stmt, 2, change->resolution);
	db_bind_bool(stmt, 3, change->has_audio);
	db_bind_int64(stmt, 4, change->millicredits);
	err = db_run_changes(stmt, &changes);
	if (err != OK)
		return err;
	if (changes == 0)
		return ERR_INVALID_REQUEST;
	return refresh_shown_price(db, change->id);
}

/* "price.720p.audio" or "price.720p.silent", in thousandths a second. */
static enum err
set_price(struct db *db, const struct uuid *id, struct str field,
    struct str value)
{
	struct price_change change = { .id = id };
	struct str word, rest, sound;

	(void)str_cut(field, '.', &word, &rest);
	(void)str_cut(rest, '.', &change.resolution, &sound);
	change.has_audio = str_equal(sound, STR("audio"));
	if ((!change.has_audio && !str_equal(sound, STR("silent"))) ||
	    !str_to_int64(value, 1, 1000000, &change.millicredits))
		return ERR_INVALID_REQUEST;
	return db_transaction(db, change_price, &change);
}

struct change {
	const struct uuid *id;
	const struct field *field;
	struct str value;
	bool is_activation;
	enum err not_found;
};

static bool
bind_value(struct db_stmt *stmt, const struct change *change)
{
	int64_t number;

	switch (change->field->kind) {
	case FIELD_TEXT:
		if (change->value.len >= change->field->text_bytes ||
		    !str_is_utf8(change->value))
			return false;
		if (change->value.len == 0)
			db_bind_null(stmt, 2);
		else
			db_bind_str(stmt, 2, change->value);
		return true;
	case FIELD_STATE:
		if (!str_equal(change->value, STR("available")) &&
		    !str_equal(change->value, STR("disabled")) &&
		    !str_equal(change->value, STR("retired")))
			return false;
		db_bind_str(stmt, 2, change->value);
		return true;
	case FIELD_BOOL:
		if (!str_to_int64(change->value, 0, 1, &number))
			return false;
		break;
	case FIELD_DURATION:
		if (change->value.len == 0) {
			db_bind_null(stmt, 2);
			return true;
		}
		if (!str_to_int64(change->value, 1, 60, &number))
			return false;
		break;
	case FIELD_CREDITS:
		if (!str_to_int64(change->value, 1, 10000, &number))
			return false;
		break;
	}
	db_bind_int64(stmt, 2, number);
	return true;
}

/* The model is not there, or its prices are by the second. */
static enum err
why_no_cost(struct db *db, const struct change *change)
{
	static const char sql[] = "SELECT 1 FROM models WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, change->id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	return found ? ERR_CONFLICT : change->not_found;
}

static enum err
change_one(struct db *db, void *arg)
{
	static const char clear_sql[] =
	    "UPDATE models SET is_active = 0 WHERE is_active = 1";
	const struct change *change = arg;
	CLEANUP(db_release) struct db_stmt *clear = db_prepare(db, clear_sql);
	CLEANUP(db_release)
	struct db_stmt *stmt = db_prepare(db, change->field->sql);
	int64_t changes;
	enum err err = OK;

	/* One model is active: the one before makes room. */
	if (change->is_activation)
		err = db_run(clear);
	if (err != OK)
		return err;
	db_bind_uuid(stmt, 1, change->id);
	if (!bind_value(stmt, change))
		return ERR_INVALID_REQUEST;
	err = db_run_changes(stmt, &changes);
	if (err != OK)
		return err == ERR_INTERNAL ? ERR_INVALID_REQUEST : err;
	if (changes == 1)
		return OK;
	return change->field->kind == FIELD_CREDITS ? why_no_cost(db, change) :
						      change->not_found;
}

static enum err
set_field(struct db *db, const struct field *fields, size_t count,
    struct str name, struct change *change)
{
	for (size_t i = 0; i < count; i++) {
		if (!str_equal(name, str_from(fields[i].name)))
			continue;
		change->field = &fields[i];
		change->is_activation = str_equal(name, STR("is_active")) &&
		    str_equal(change->value, STR("1"));
		return db_transaction(db, change_one, change);
	}
	return ERR_INVALID_REQUEST;
}

enum err
catalog_set_model(struct db *db, const struct uuid *id, struct str field,
    struct str value)
{
	struct change change = { .id = id,
		.value = value,
		.not_found = ERR_MODEL_NOT_FOUND };

	if (str_starts_with(field, STR("price.")))
		return set_price(db, id, field, value);
	return set_field(db, model_fields,
	    sizeof(model_fields) / sizeof(model_fields[0]), field, &change);
}

enum err
catalog_set_theme(struct db *db, const struct uuid *id, struct str field,
    struct str value)
{
	struct change change = { .id = id,
		.value = value,
		.not_found = ERR_THEME_NOT_FOUND };

	return set_field(db, theme_fields,
	    sizeof(theme_fields) / sizeof(theme_fields[0]), field, &change);
}
