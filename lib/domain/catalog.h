/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_CATALOG_H
#define DOMAIN_CATALOG_H

#include "store/db.h"

/*
 * The catalogue: models, their settings and prices, themes.  All of it is
 * rows; no model is known to the code.
 */

#define CATALOG_TEXT_BYTES 256
#define CATALOG_LONG_TEXT_BYTES 2048

/* Values that one setting of a model may take. */
#define CATALOG_VALUES_MAX 16
#define CATALOG_VALUE_BYTES 16

/* Models and themes an answer holds: an app shows a few dozen. */
#define CATALOG_ROWS_MAX 200

struct model_setting {
	char value[CATALOG_VALUES_MAX][CATALOG_VALUE_BYTES];
	size_t count;
	size_t standard; /* the index of the default */
};

enum setting {
	SETTING_DURATION,
	SETTING_RESOLUTION,
	SETTING_ASPECT_RATIO,
	SETTING_MAX
};

struct model {
	struct uuid id;
	char company[CATALOG_TEXT_BYTES];
	char endpoint[CATALOG_TEXT_BYTES];
	char name[CATALOG_TEXT_BYTES];
	char category[CATALOG_TEXT_BYTES];
	char description[CATALOG_LONG_TEXT_BYTES]; /* "" = none */
	char thumbnail_url[CATALOG_LONG_TEXT_BYTES]; /* "" = none */
	bool is_available;
	bool is_active;
	bool is_featured;
	bool requires_image;
	bool has_audio;
	bool has_text_sibling;
	struct uuid text_sibling_id;
	int64_t cost_per_generation_credits;
	char duration_format[8];
	char image_field[64];
	char state[16];
	struct model_setting setting[SETTING_MAX];
};

struct theme {
	struct uuid id;
	char name[CATALOG_TEXT_BYTES];
	char description[CATALOG_LONG_TEXT_BYTES]; /* "" = none */
	char thumbnail_url[CATALOG_LONG_TEXT_BYTES]; /* "" = none */
	char prompt[CATALOG_LONG_TEXT_BYTES];
	bool is_featured;
	bool is_available;
	int64_t default_duration_s; /* 0 = none */
	char default_resolution[CATALOG_VALUE_BYTES]; /* "" = none */
	char default_aspect_ratio[CATALOG_VALUE_BYTES]; /* "" = none */
	int64_t created_at_ms;
};

/* Errors: ERR_MODEL_NOT_FOUND (also for one that is not available). */
enum err
catalog_model(struct db *db, const struct uuid *id, struct model *ret_model);

/* The model to use when none is named. Errors: ERR_MODEL_NOT_FOUND. */
enum err catalog_active_model(struct db *db, struct model *ret_model);

/* Errors: ERR_THEME_NOT_FOUND (also for one that is not available). */
enum err
catalog_theme(struct db *db, const struct uuid *id, struct theme *ret_theme);

/* Calls `each` for every model, in the order they are shown. */
typedef enum err catalog_each_model(void *arg, const struct model *model);
enum err catalog_models(struct db *db, catalog_each_model *each, void *arg);

/* Calls `each` for every theme, featured ones first, then by name. */
typedef enum err catalog_each_theme(void *arg, const struct theme *theme);
enum err catalog_themes(struct db *db, catalog_each_theme *each, void *arg);

/* What a user asked for; what is absent comes from the theme or the model. */
struct settings_wish {
	int64_t duration_s; /* 0 = not given */
	char resolution[CATALOG_VALUE_BYTES]; /* "" = not given */
	char aspect_ratio[CATALOG_VALUE_BYTES]; /* "" = not given */
};

/* What will be made, and what it costs. */
struct settings {
	int64_t duration_s;
	char resolution[CATALOG_VALUE_BYTES];
	char aspect_ratio[CATALOG_VALUE_BYTES];
	bool has_audio;
	int64_t cost_credits;
};

/*
 * Settles on the settings of a generation and computes its price: the one
 * place where it is computed.  A duration between the model's options is
 * rounded up to the next one, above the largest down to it.  A wish outside
 * of the model's options is ERR_INVALID_SETTINGS; a theme's default that this
 * model does not offer is replaced by the model's own.
 */
enum err catalog_settle(struct db *db, const struct model *model,
    const struct theme *theme, const struct settings_wish *wish,
    struct settings *ret_settings);

/*
 * Changes one field of a model or theme by its column's name, in a
 * transaction of its own.  A model's "price.RESOLUTION.audio" (or ".silent")
 * is in thousandths of a credit for a second;
 * "cost.RESOLUTION.audio" likewise is what the provider takes, in millionths
 * of a US dollar.  Where there are such prices,
 * cost_per_generation follows from them and cannot be set: ERR_CONFLICT.
 * Errors: ERR_INVALID_REQUEST for a field that may not be set or a value it
 * cannot have; ERR_MODEL_NOT_FOUND, ERR_THEME_NOT_FOUND.
 */
enum err catalog_set_model(struct db *db, const struct uuid *id,
    struct str field, struct str value);
enum err catalog_set_theme(struct db *db, const struct uuid *id,
    struct str field, struct str value);

/*
 * What such a field holds, as it would be set; "" for none.  Errors as above.
 */
enum err catalog_model_field(struct db *db, const struct uuid *id,
    struct str field, char ret_value[CATALOG_LONG_TEXT_BYTES]);
enum err catalog_theme_field(struct db *db, const struct uuid *id,
    struct str field, char ret_value[CATALOG_LONG_TEXT_BYTES]);

#endif
