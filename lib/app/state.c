/* SPDX-License-Identifier: MIT */
#include "app/state.h"
#include "base/log.h"
#include "base/metrics.h"
#include "store/db.h"
#include "store/migrate.h"
#include "wire/openssl.h"
#include "base/cleanup.h"

#include <errno.h>
#include <sodium.h>
#include <sys/stat.h>

#define STATE_PATH_BYTES_MAX 4096

/* How often another migration is looked after: for half a minute. */
#define MIGRATION_NAPS_MAX 600

struct directory {
	const char *name;
	mode_t mode;
};

/* The router's group enters only what it serves from or connects to. */
static const struct directory directories[] = {
	{ "", 0750 },
	{ "/run", 0750 },
	{ "/log", 0750 },
	{ "/tmp", 0700 },
	{ "/spool", 0700 },
	{ "/keys", 0700 },
	{ "/media", 0750 },
	{ "/media/videos", 0750 },
	{ "/media/thumbnails", 0750 },
	{ "/sandbox", 0750 },
	{ "/sandbox/files", 0750 },
	{ "/sandbox/requests", 0700 },
	{ "/sandbox/devices", 0700 },
};

static bool
make_directories(const char *state_dir, struct buf *problem)
{
	char path[STATE_PATH_BYTES_MAX];

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]);
	     i++) {
		if (snprintf(path, sizeof(path), "%s%s", state_dir,
			directories[i].name) >= (int)sizeof(path)) {
			buf_appendf(problem,
			    "the state directory's name is "
			    "too long");
			return false;
		}
		if (mkdir(path, directories[i].mode) != 0 && errno != EEXIST) {
			buf_appendf(problem, "%s cannot be made: %s", path,
			    strerror(errno));
			return false;
		}
	}
	return true;
}

/* Nobody but us reads the database, so a new one is for us alone. */
static enum err
open_or_create(const char *state_dir, struct db **ret_db)
{
	const mode_t mask = umask(0077);
	const enum err err = db_open(state_dir, DB_READ_WRITE, true, ret_db);

	(void)umask(mask);
	return err;
}

/* Waits for another migration, but not for programs that must end first. */
static bool
be_alone(struct db *db, const char *state_dir, int *ret_fd, struct buf *problem)
{
	const struct timespec nap = { 0, 50 * 1000000 };
	int64_t schema = 0;
	enum err err = ERR_CONFLICT;

	for (int i = 0; i < MIGRATION_NAPS_MAX && err == ERR_CONFLICT; i++) {
		if (i > 0)
			(void)nanosleep(&nap, NULL);
		err = migrate_alone(db, state_dir, ret_fd, &schema);
		if (schema != 0)
			break;
	}
	if (err == OK)
		return true;
	if (schema != 0)
		buf_appendf(problem,
		    "programs of schema %lld are at work, which cannot live "
		    "with schema %zu: stop them first, or install the releases "
		    "between",
		    (long long)schema, migrations_count);
	else
		buf_appendf(problem, "run/schema.lock cannot be had");
	return false;
}

/* may_be_newer: it is well if this program can work with it. */
static bool
migrate_in(const char *state_dir, bool may_be_newer, int64_t *ret_from,
    int64_t *ret_to, struct buf *problem)
{
	CLEANUP(cleanup_fd) int alone = -1;
	struct db *db;
	enum err err;

	if (open_or_create(state_dir, &db) != OK) {
		buf_appendf(problem, "the database in %s cannot be opened",
		    state_dir);
		return false;
	}
	if (!be_alone(db, state_dir, &alone, problem)) {
		db_close(db);
		return false;
	}
	err = migrate(db, ret_from, ret_to);
	if (err == ERR_CONFLICT && may_be_newer)
		err = migrate_check(db);
	db_close(db);
	if (err == ERR_CONFLICT)
		buf_appendf(problem, "the database is newer than this program");
	else if (err != OK)
		buf_appendf(problem,
		    "the migration failed, nothing of it is "
		    "left: %s",
		    err_code(err));
	return err == OK;
}

static bool
init_in(const struct config *config, struct buf *problem)
{
	const char *state_dir = config_text(config, CONFIG_STATE_DIR);
	int64_t from, to;

	return make_directories(state_dir, problem) &&
	    keys_create(state_dir, config_text(config, CONFIG_ANON_KEY),
		problem) &&
	    migrate_in(state_dir, true, &from, &to, problem);
}

bool
state_init(struct buf *problem)
{
	struct config config;
	const bool ok =
	    config_load(&config, problem) && init_in(&config, problem);

	config_free(&config);
	return ok;
}

bool
state_migrate(int64_t *ret_from, int64_t *ret_to, struct buf *problem)
{
	struct config config;
	const bool ok = config_load(&config, problem) &&
	    migrate_in(config_text(&config, CONFIG_STATE_DIR), false, ret_from,
		ret_to, problem);

	config_free(&config);
	return ok;
}

bool
state_set_log(const struct config *config, struct buf *problem)
{
	const char *name = config_text(config, CONFIG_LOG_LEVEL);
	enum log_level level;

	if (!log_level_parse(str_from(name), &level)) {
		buf_appendf(problem,
		    "RENDIO_LOG_LEVEL must be debug, info, warning or error");
		return false;
	}
	log_threshold(level);
	return true;
}

bool
state_has_keys(const struct config *config, const int *live_keys,
    struct buf *problem)
{
	if (config_is_sandbox(config))
		return true;
	for (const int *key = live_keys; key != NULL && *key >= 0; key++) {
		if (!config_is_set(config, (enum config_key) * key)) {
			buf_appendf(problem, "%s is missing",
			    config_name((enum config_key) * key));
			return false;
		}
	}
	return true;
}

void
state_open_metrics(const struct config *config)
{
	if (!metrics_open(config_text(config, CONFIG_STATE_DIR)))
		log_line(LOG_WARNING, "metrics", "problem", strerror(errno));
}

bool
state_fits(struct buf *problem)
{
	struct config config;
	struct db *db = NULL;
	const bool ok = config_load(&config, problem) &&
	    db_open(config_text(&config, CONFIG_STATE_DIR), DB_READ_ONLY, false,
		&db) == OK &&
	    migrate_check(db) == OK;

	db_close(db);
	if (!ok && problem->len == 0)
		buf_appendf(problem,
		    "this program cannot work with the schema of the database");
	config_free(&config);
	return ok;
}

bool
state_check_schema(struct db *db, struct buf *problem)
{
	int64_t version;

	if (migrate_check(db) == OK)
		return true;
	if (db_version(db, &version) != OK)
		buf_appendf(problem, "the database cannot be read");
	else if (version > (int64_t)migrations_count)
		buf_appendf(problem, "the database is newer than this program");
	else
		buf_appendf(problem,
		    "the database is older than this program "
		    "(run `rendio migrate`)");
	return false;
}

static bool
load_keys(struct state *state, enum state_access access, struct buf *problem)
{
	const char *dir = config_text(&state->config, CONFIG_STATE_DIR);
	const char *anon_key = config_text(&state->config, CONFIG_ANON_KEY);
	bool ok;

	if (access != STATE_STREAMS)
		return keys_load(dir, anon_key, &state->keys, problem);
	ok = keys_load_for_streams(dir, anon_key, &state->keys, problem);
	config_forget_secrets(&state->config);
	return ok;
}

bool
state_open(struct state *state, enum state_access access, struct buf *problem)
{
	const char *state_dir;
	int64_t schema = -1;

	*state = (struct state){ .schema_fd = -1 };
	openssl_end_without_memory();
	if (sodium_init() < 0) {
		buf_appendf(problem, "libsodium cannot start");
		return false;
	}
	if (!config_load(&state->config, problem) ||
	    !state_set_log(&state->config, problem))
		return false;
	state_dir = config_text(&state->config, CONFIG_STATE_DIR);
	if (!load_keys(state, access, problem))
		return false;
	if (migrate_enter(state_dir, &state->schema_fd, &schema) != OK) {
		buf_appendf(problem,
		    schema < 0 ? "%s is not initialised (run `rendio init`)" :
				 "a migration of %s is under way",
		    state_dir);
		return false;
	}
	if (db_open(state_dir,
		access == STATE_WRITE ? DB_READ_WRITE : DB_READ_ONLY, false,
		&state->db) != OK) {
		buf_appendf(problem,
		    "the database in %s cannot be opened "
		    "(run `rendio init`)",
		    state_dir);
		return false;
	}
	return state_check_schema(state->db, problem);
}

void
state_close(struct state *state)
{
	db_close(state->db);
	state->db = NULL;
	cleanup_fd(&state->schema_fd);
	keys_wipe(&state->keys);
	config_free(&state->config);
}

bool
state_checkpoint_if(struct state *state, int64_t log_bytes)
{
	return db_log_bytes(state->db) <= log_bytes ||
	    db_checkpoint(state->db) == OK;
}

int64_t
state_log_bytes(const struct state *state)
{
	return db_log_bytes(state->db);
}

int64_t
state_rows_changed(const struct state *state)
{
	return db_rows_changed(state->db);
}

/* Fixed in 3.51.3, and in these branches of older versions. */
static bool
has_reset_race(const char *engine)
{
	int major, minor, patch;

	if (sscanf(engine, "SQLite %d.%d.%d", &major, &minor, &patch) != 3)
		return false;
	if (major != 3 || minor > 51)
		return major < 3;
	return !(minor == 51 && patch >= 3) && !(minor == 50 && patch >= 7) &&
	    !(minor == 44 && patch >= 6);
}

void
state_examine(const char *state_dir, struct state_database *ret_database)
{
	struct state_database *d = ret_database;
	struct db *db;

	*d = (struct state_database){
		.engine = db_engine(),
		.newest_version = (int64_t)migrations_count,
	};
	d->engine_has_reset_race = has_reset_race(d->engine);
	if (db_open(state_dir, DB_READ_ONLY, false, &db) != OK)
		return;
	d->is_open = db_version(db, &d->version) == OK;
	if (db_integrity(db, &d->is_whole) != OK)
		d->is_whole = false;
	d->log_bytes = db_log_bytes(db);
	db_close(db);
}
