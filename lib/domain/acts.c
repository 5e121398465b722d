/* SPDX-License-Identifier: MIT */
#include "domain/acts.h"
#include "domain/accounts.h"
#include "domain/breakers.h"
#include "domain/catalog.h"
#include "domain/sessions.h"
#include "domain/switches.h"

#include <assert.h>

/* Acts on users, the catalogue and the machine; on credits: acts_credits.c. */

/* One act: who, on whom or what, and why. */
struct act {
	const struct admin_actor *actor;
	const struct uuid *id;
	const char *reason;
	int64_t now_ms;
	bool is_on;
	const char *company;
	const char *endpoint;
};

static enum err
set_banned(struct db *db, void *arg)
{
	const struct act *a = arg;
	const enum err err =
	    accounts_set_banned(db, a->id, a->is_on, a->now_ms);

	if (err != OK)
		return err;
	return admin_log_append(db, a->actor,
	    &(const struct admin_act){ .action =
					   a->is_on ? "user_ban" : "user_unban",
		.user_id = a->id,
		.reason = str_from(a->reason) },
	    a->now_ms, NULL);
}

enum err
acts_set_banned(struct db *db, const struct admin_actor *actor,
    const struct uuid *user_id, bool is_banned, const char *reason,
    int64_t now_ms)
{
	struct act a = { .actor = actor,
		.id = user_id,
		.reason = reason,
		.now_ms = now_ms,
		.is_on = is_banned };

	return db_transaction(db, set_banned, &a);
}

static enum err
log_out(struct db *db, void *arg)
{
	const struct act *a = arg;
	struct account account;
	enum err err;

	err = accounts_get(db, a->id, &account);
	if (err == OK)
		err = sessions_end_all(db, a->id, a->now_ms);
	if (err != OK)
		return err;
	return admin_log_append(db, a->actor,
	    &(const struct admin_act){ .action = "user_logout",
		.user_id = a->id },
	    a->now_ms, NULL);
}

enum err
acts_log_out(struct db *db, const struct admin_actor *actor,
    const struct uuid *user_id, int64_t now_ms)
{
	struct act a = { .actor = actor, .id = user_id, .now_ms = now_ms };

	return db_transaction(db, log_out, &a);
}

/* Changes to one row of the catalogue. */
struct edit {
	const struct admin_actor *actor;
	const struct uuid *id;
	const struct act_field *fields;
	size_t count;
	int64_t now_ms;
	bool is_theme;
	size_t at;
};

static enum err
edit_field(struct db *db, const struct edit *e, const struct act_field *field)
{
	char old_value[CATALOG_LONG_TEXT_BYTES] = "";
	enum err err;

	err = e->is_theme ?
	    catalog_theme_field(db, e->id, field->name, old_value) :
	    catalog_model_field(db, e->id, field->name, old_value);
	if (err == OK)
		err = e->is_theme ?
		    catalog_set_theme(db, e->id, field->name, field->value) :
		    catalog_set_model(db, e->id, field->name, field->value);
	if (err != OK)
		return err;
	return admin_log_append(db, e->actor,
	    &(const struct admin_act){ .action = e->is_theme ? "theme_set" :
							       "model_set",
		.subject_id = e->id,
		.field = field->name,
		.old_value = str_from(old_value),
		.new_value = field->value },
	    e->now_ms, NULL);
}

static enum err
edit(struct db *db, void *arg)
{
	struct edit *e = arg;
	enum err err = OK;

	for (e->at = 0; e->at < e->count; e->at++) {
		err = edit_field(db, e, &e->fields[e->at]);
		if (err != OK)
			break;
	}
	return err;
}

enum err
acts_set_model(struct db *db, const struct admin_actor *actor,
    const struct uuid *id, const struct act_field *fields, size_t count,
    int64_t now_ms, size_t *ret_bad)
{
	struct edit e = { actor, id, fields, count, now_ms, false, 0 };
	const enum err err = db_transaction(db, edit, &e);

	if (err != OK)
		*ret_bad = e.at;
	return err;
}

enum err
acts_set_theme(struct db *db, const struct admin_actor *actor,
    const struct uuid *id, const struct act_field *fields, size_t count,
    int64_t now_ms, size_t *ret_bad)
{
	struct edit e = { actor, id, fields, count, now_ms, true, 0 };
	const enum err err = db_transaction(db, edit, &e);

	if (err != OK)
		*ret_bad = e.at;
	return err;
}

struct selling {
	const struct admin_actor *actor;
	const struct product *product;
	int64_t now_ms;
};

static enum err
set_product(struct db *db, void *arg)
{
	const struct selling *s = arg;
	char was[24] = "", is[24];
	int64_t credits;
	bool found;
	enum err err;

	err = products_find(db, str_from(s->product->id), s->product->kind,
	    &found, &credits);
	if (err == OK)
		err = products_set(db, s->product, s->now_ms);
	if (err != OK)
		return err;
	if (found)
		(void)snprintf(was, sizeof(was), "%lld", (long long)credits);
	(void)snprintf(is, sizeof(is), "%lld", (long long)s->product->credits);
	return admin_log_append(db, s->actor,
	    &(const struct admin_act){ .action = "product_set",
		.field = str_from(s->product->id),
		.old_value = str_from(was),
		.new_value = str_from(is) },
	    s->now_ms, NULL);
}

enum err
acts_set_product(struct db *db, const struct admin_actor *actor,
    const struct product *product, int64_t now_ms)
{
	struct selling s = { actor, product, now_ms };

	return db_transaction(db, set_product, &s);
}

struct removal {
	const struct admin_actor *actor;
	struct str id;
	int64_t now_ms;
};

static enum err
remove_product(struct db *db, void *arg)
{
	const struct removal *r = arg;
	struct product was;
	char text[48];
	const enum err err = products_remove(db, r->id, &was);

	if (err != OK)
		return err;
	(void)snprintf(text, sizeof(text), "%lld%s", (long long)was.credits,
	    was.kind == PURCHASE_SUBSCRIPTION ? " a period" : "");
	return admin_log_append(db, r->actor,
	    &(const struct admin_act){ .action = "product_remove",
		.field = r->id,
		.old_value = str_from(text) },
	    r->now_ms, NULL);
}

enum err
acts_remove_product(struct db *db, const struct admin_actor *actor,
    struct str id, int64_t now_ms)
{
	struct removal r = { actor, id, now_ms };

	return db_transaction(db, remove_product, &r);
}

static enum err
set_maintenance(struct db *db, void *arg)
{
	const struct act *a = arg;
	const enum err err = switches_set_maintenance(db, a->is_on, a->now_ms);

	if (err != OK)
		return err;
	return admin_log_append(db, a->actor,
	    &(const struct admin_act){ .action = "switch_set",
		.field = STR("maintenance"),
		.new_value = a->is_on ? STR("on") : STR("off"),
		.reason = str_from(a->reason) },
	    a->now_ms, NULL);
}

enum err
acts_set_maintenance(struct db *db, const struct admin_actor *actor, bool is_on,
    const char *reason, int64_t now_ms)
{
	struct act a = { .actor = actor,
		.reason = reason,
		.now_ms = now_ms,
		.is_on = is_on };

	return db_transaction(db, set_maintenance, &a);
}

static enum err
switch_provider(struct db *db, void *arg)
{
	const struct act *a = arg;
	enum err err;

	err = a->is_on ? breakers_close(db, a->company, a->endpoint) :
			 breakers_stop(db, a->company, a->endpoint, a->now_ms);
	if (err != OK)
		return err;
	return admin_log_append(db, a->actor,
	    &(const struct admin_act){ .action = a->is_on ? "provider_start" :
							    "provider_stop",
		.field = str_from(a->company[0] == '\0' ? "all" : a->company),
		.new_value = str_from(a->endpoint),
		.reason = str_from(a->reason) },
	    a->now_ms, NULL);
}

enum err
acts_stop_provider(struct db *db, const struct admin_actor *actor,
    const char *company, const char *endpoint, const char *reason,
    int64_t now_ms)
{
	struct act a = { .actor = actor,
		.reason = reason,
		.now_ms = now_ms,
		.company = company,
		.endpoint = endpoint };

	return db_transaction(db, switch_provider, &a);
}

enum err
acts_start_provider(struct db *db, const struct admin_actor *actor,
    const char *company, const char *endpoint, const char *reason,
    int64_t now_ms)
{
	struct act a = { .actor = actor,
		.reason = reason,
		.now_ms = now_ms,
		.is_on = true,
		.company = company,
		.endpoint = endpoint };

	return db_transaction(db, switch_provider, &a);
}
