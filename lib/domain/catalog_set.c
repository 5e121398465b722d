/* SPDX-License-Identifier: MIT */
#include "domain/catalog.h"
#include "domain/costs.h"
#include "domain/credits.h"

#include <assert.h>

/* A field an operator may set: each has its own literal statement. */
enum field_kind {
	FIELD_TEXT,
	FIELD_BOOL,
	FIELD_CREDITS,
	FIELD_STATE,
	FIELD_DURATION,
	FIELD_ID,
	FIELD_MICRO_USD
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
	{ "omits", FIELD_TEXT, "UPDATE models SET omits = ?2 WHERE id = ?1",
	    CATALOG_TEXT_BYTES },
	{ "fallback_id", FIELD_ID,
	    "UPDATE models SET fallback_id = ?2 WHERE id = ?1", 0 },
	{ "spend_cap_micro_usd_per_day", FIELD_MICRO_USD,
	    "UPDATE models SET spend_cap_micro_usd_per_day = ?2 WHERE id = ?1",
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

/* So that a minute, the longest there is, costs no more than one may charge. */
#define MILLICREDITS_MAX (CREDITS_AMOUNT_MAX * 1000 / 60)

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
	    !str_to_int64(value, 1, MILLICREDITS_MAX, &change.millicredits))
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
	struct uuid other;
	int64_t number;

	/* Nothing takes away what is not needed. */
	if (change->value.len == 0 &&
	    (change->field->kind == FIELD_ID ||
		change->field->kind == FIELD_MICRO_USD)) {
		db_bind_null(stmt, 2);
		return true;
	}
	switch (change->field->kind) {
	case FIELD_ID:
		if (!uuid_parse(change->value, &other))
			return false;
		db_bind_uuid(stmt, 2, &other);
		return true;
	case FIELD_MICRO_USD:
		if (!str_to_int64(change->value, 0, INT64_C(1000000000000),
			&number))
			return false;
		break;
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
	if (str_starts_with(field, STR("cost.")))
		return costs_set(db, id, field, value);
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

/* The column of a field in a statement that selects them in their order. */
static bool
find_field(const struct field *fields, size_t count, struct str name,
    int *ret_column)
{
	for (size_t i = 0; i < count; i++) {
		if (str_equal(name, str_from(fields[i].name))) {
			*ret_column = (int)i;
			return true;
		}
	}
	return false;
}

static enum err
read_field(struct db_stmt *stmt, const struct uuid *id, int column,
    enum field_kind kind, enum err not_found,
    char ret_value[CATALOG_LONG_TEXT_BYTES])
{
	struct uuid other;
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return not_found;
	if (kind == FIELD_ID && !db_column_is_null(stmt, column)) {
		other = db_column_uuid(stmt, column);
		uuid_format(&other, ret_value);
		return OK;
	}
	return str_copy(db_column_str(stmt, column), ret_value,
		   CATALOG_LONG_TEXT_BYTES) ?
	    OK :
	    ERR_INTERNAL;
}

/* "price.720p.audio", "cost.720p.silent". */
static enum err
read_price(struct db *db, const struct uuid *id, struct str field,
    char ret_value[CATALOG_LONG_TEXT_BYTES])
{
	static const char sql[] =
	    "SELECT millicredits_per_second, provider_micro_usd_per_second"
	    " FROM model_prices"
	    " WHERE model_id = ?1 AND resolution = ?2 AND has_audio = ?3";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct str word, rest, resolution, sound;

	(void)str_cut(field, '.', &word, &rest);
	(void)str_cut(rest, '.', &resolution, &sound);
	db_bind_str(stmt, 2, resolution);
	db_bind_bool(stmt, 3, str_equal(sound, STR("audio")));
	return read_field(stmt, id, str_equal(word, STR("cost")) ? 1 : 0,
	    FIELD_TEXT, ERR_INVALID_REQUEST, ret_value);
}

enum err
catalog_model_field(struct db *db, const struct uuid *id, struct str field,
    char ret_value[CATALOG_LONG_TEXT_BYTES])
{
	/* In the order of model_fields. */
	static const char sql[] =
	    "SELECT name, description, thumbnail_url, is_featured,"
	    " cost_per_generation, omits, fallback_id,"
	    " spend_cap_micro_usd_per_day, state, is_active"
	    " FROM models WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int column;

	if (str_starts_with(field, STR("price.")) ||
	    str_starts_with(field, STR("cost.")))
		return read_price(db, id, field, ret_value);
	if (!find_field(model_fields,
		sizeof(model_fields) / sizeof(model_fields[0]), field, &column))
		return ERR_INVALID_REQUEST;
	return read_field(stmt, id, column, model_fields[column].kind,
	    ERR_MODEL_NOT_FOUND, ret_value);
}

enum err
catalog_theme_field(struct db *db, const struct uuid *id, struct str field,
    char ret_value[CATALOG_LONG_TEXT_BYTES])
{
	/* In the order of theme_fields. */
	static const char sql[] =
	    "SELECT name, description, thumbnail_url, prompt, is_featured,"
	    " is_available, default_duration_s, default_resolution,"
	    " default_aspect_ratio FROM themes WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int column;

	if (!find_field(theme_fields,
		sizeof(theme_fields) / sizeof(theme_fields[0]), field, &column))
		return ERR_INVALID_REQUEST;
	return read_field(stmt, id, column, theme_fields[column].kind,
	    ERR_THEME_NOT_FOUND, ret_value);
}
