/* SPDX-License-Identifier: MIT */
#include "app/state.h"
#include "base/log.h"
#include "store/db.h"
#include "store/migrate.h"

#include <errno.h>
#include <sodium.h>
#include <sys/stat.h>

#define STATE_PATH_BYTES_MAX 4096

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

static bool
migrate_in(const char *state_dir, int64_t *ret_from, int64_t *ret_to,
    struct buf *problem)
{
	struct db *db;
	enum err err;

	if (open_or_create(state_dir, &db) != OK) {
		buf_appendf(problem, "the database in %s cannot be opened",
		    state_dir);
		return false;
	}
	err = migrate(db, ret_from, ret_to);
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
	    migrate_in(state_dir, &from, &to, problem);
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
	    migrate_in(config_text(&config, CONFIG_STATE_DIR), ret_from, ret_to,
		problem);

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

static bool
check_schema(struct db *db, struct buf *problem)
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

	*state = (struct state){ 0 };
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
	if (db_open(state_dir,
		access == STATE_WRITE ? DB_READ_WRITE : DB_READ_ONLY, false,
		&state->db) != OK) {
		buf_appendf(problem,
		    "the database in %s cannot be opened "
		    "(run `rendio init`)",
		    state_dir);
		return false;
	}
	return check_schema(state->db, problem);
}

void
state_close(struct state *state)
{
	db_close(state->db);
	state->db = NULL;
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
