/* SPDX-License-Identifier: MIT */
#include "domain/admins.h"

/* Use is written down this often: a session's end may come so much early. */
#define TOUCH_MS INT64_C(30000)

bool
admins_name_ok(struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		const char c = name.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
			c == '.' || c == '_' || c == '@' || c == '-'))
			return false;
	}
	return name.len > 0 && name.len < ADMIN_NAME_BYTES;
}

static void
read_admin(struct db_stmt *stmt, struct admin *ret_admin)
{
	const struct str sealed = db_column_blob(stmt, 3);
	struct admin *a = ret_admin;

	*a = (struct admin){
		.id = db_column_uuid(stmt, 0),
		.is_disabled = db_column_bool(stmt, 4),
		.signed_in_at_ms =
		    db_column_is_null(stmt, 5) ? -1 : db_column_int64(stmt, 5),
		.created_at_ms = db_column_int64(stmt, 6),
	};
	(void)str_copy(db_column_str(stmt, 1), a->name, sizeof(a->name));
	(void)str_copy(db_column_str(stmt, 2), a->password_hash,
	    sizeof(a->password_hash));
	if (sealed.len > 0 && sealed.len <= sizeof(a->sealed)) {
		memcpy(a->sealed, sealed.ptr, sealed.len);
		a->sealed_bytes = sealed.len;
	}
}

#define ADMIN_COLUMNS \
	"SELECT id, name, password_hash, totp_sealed, is_disabled," \
	" signed_in_at_ms, created_at_ms FROM admins"

enum err
admins_find(struct db *db, struct str name, struct admin *ret_admin)
{
	static const char sql[] = ADMIN_COLUMNS " WHERE name = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_str(stmt, 1, name);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_NOT_FOUND;
	read_admin(stmt, ret_admin);
	return OK;
}

enum err
admins_list(struct db *db, admins_each *each, void *arg)
{
	static const char sql[] = ADMIN_COLUMNS " ORDER BY name";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct admin admin;
	bool found;
	enum err err;

	while ((err = db_step(stmt, &found)) == OK && found) {
		read_admin(stmt, &admin);
		each(arg, &admin);
	}
	return err;
}

static enum err
end_sessions(struct db *db, const struct uuid *admin_id)
{
	static const char sql[] =
	    "DELETE FROM admin_sessions WHERE admin_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, admin_id);
	return db_run(stmt);
}

/* A change to an admin by `actor`. */
struct change {
	const struct admin_actor *actor;
	const struct admin *admin; /* of a disabling only the name */
	struct str name;
	int64_t now_ms;
};

static enum err
note(struct db *db, const struct change *c, const char *action,
    const struct uuid *admin_id)
{
	return admin_log_append(db, c->actor,
	    &(const struct admin_act){ .action = action,
		.subject_id = admin_id,
		.field = c->name },
	    c->now_ms, NULL);
}

static enum err
add(struct db *db, void *arg)
{
	static const char sql[] =
	    "INSERT INTO admins (id, name, password_hash, totp_sealed,"
	    " created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)"
	    " ON CONFLICT (name) DO NOTHING";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct change *c = arg;
	const struct uuid id = uuid_random();
	int64_t changes;
	enum err err;

	db_bind_uuid(stmt, 1, &id);
	db_bind_str(stmt, 2, c->name);
	db_bind_text(stmt, 3, c->admin->password_hash);
	db_bind_blob(stmt, 4, c->admin->sealed, c->admin->sealed_bytes);
	db_bind_int64(stmt, 5, c->now_ms);
	err = db_run_changes(stmt, &changes);
	if (err != OK)
		return err;
	return changes == 1 ? note(db, c, "admin_add", &id) : ERR_CONFLICT;
}

enum err
admins_add(struct db *db, const struct admin_actor *actor,
    const struct admin *admin, int64_t now_ms)
{
	struct change c = { actor, admin, str_from(admin->name), now_ms };

	return db_transaction(db, add, &c);
}

/* Of one whom it returns, or who is not there: his sessions end with it. */
static enum err
run_change(struct db *db, struct db_stmt *stmt, const struct change *c,
    const char *action)
{
	struct uuid id;
	bool found;
	enum err err;

	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_NOT_FOUND;
	id = db_column_uuid(stmt, 0);
	err = end_sessions(db, &id);
	return err == OK ? note(db, c, action, &id) : err;
}

static enum err
reset(struct db *db, void *arg)
{
	/* The step stays: a code of the old secret proves nothing now. */
	static const char sql[] =
	    "UPDATE admins SET password_hash = ?2, totp_sealed = ?3,"
	    " is_disabled = 0 WHERE name = ?1 RETURNING id";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct change *c = arg;

	db_bind_str(stmt, 1, c->name);
	db_bind_text(stmt, 2, c->admin->password_hash);
	db_bind_blob(stmt, 3, c->admin->sealed, c->admin->sealed_bytes);
	return run_change(db, stmt, c, "admin_reset");
}

enum err
admins_reset(struct db *db, const struct admin_actor *actor,
    const struct admin *admin, int64_t now_ms)
{
	struct change c = { actor, admin, str_from(admin->name), now_ms };

	return db_transaction(db, reset, &c);
}

static enum err
disable(struct db *db, void *arg)
{
	static const char sql[] = "UPDATE admins SET is_disabled = 1"
				  " WHERE name = ?1 RETURNING id";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct change *c = arg;

	db_bind_str(stmt, 1, c->name);
	return run_change(db, stmt, c, "admin_disable");
}

enum err
admins_disable(struct db *db, const struct admin_actor *actor, struct str name,
    int64_t now_ms)
{
	struct change c = { actor, NULL, name, now_ms };

	return db_transaction(db, disable, &c);
}

struct sign_in {
	const struct admin *admin;
	int64_t totp_step;
	const uint8_t *token_hash;
	const char *address;
	int64_t now_ms;
};

static enum err
take_code(struct db *db, const struct sign_in *s)
{
	static const char sql[] =
	    "UPDATE admins SET totp_step = ?2, signed_in_at_ms = ?3"
	    " WHERE id = ?1 AND totp_step < ?2 AND is_disabled = 0"
	    " AND password_hash = ?4 AND totp_sealed = ?5";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t changes;
	enum err err;

	db_bind_uuid(stmt, 1, &s->admin->id);
	db_bind_int64(stmt, 2, s->totp_step);
	db_bind_int64(stmt, 3, s->now_ms);
	db_bind_text(stmt, 4, s->admin->password_hash);
	db_bind_blob(stmt, 5, s->admin->sealed, s->admin->sealed_bytes);
	err = db_run_changes(stmt, &changes);
	if (err != OK)
		return err;
	return changes == 1 ? OK : ERR_UNAUTHORIZED;
}

static enum err
sweep(struct db *db, int64_t now_ms)
{
	static const char sql[] =
	    "DELETE FROM admin_sessions WHERE created_at_ms < ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_int64(stmt, 1, now_ms - ADMIN_SESSION_LIFE_MS);
	return db_run(stmt);
}

static enum err
add_session(struct db *db, const struct sign_in *s)
{
	static const char sql[] =
	    "INSERT INTO admin_sessions (token_hash, admin_id, created_at_ms,"
	    " used_at_ms) VALUES (?1, ?2, ?3, ?3)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_blob(stmt, 1, s->token_hash, ADMIN_TOKEN_HASH_BYTES);
	db_bind_uuid(stmt, 2, &s->admin->id);
	db_bind_int64(stmt, 3, s->now_ms);
	return db_run(stmt);
}

static enum err
sign_in(struct db *db, void *arg)
{
	const struct sign_in *s = arg;
	struct admin_actor actor = { .id = s->admin->id };
	enum err err;

	(void)str_copy(str_from(s->admin->name), actor.name,
	    sizeof(actor.name));
	(void)str_copy(str_from(s->address), actor.address,
	    sizeof(actor.address));
	err = take_code(db, s);
	if (err == OK)
		err = sweep(db, s->now_ms);
	if (err == OK)
		err = add_session(db, s);
	if (err != OK)
		return err;
	return admin_log_append(db, &actor,
	    &(const struct admin_act){ .action = "sign_in" }, s->now_ms, NULL);
}

enum err
admins_sign_in(struct db *db, const struct admin *admin, int64_t totp_step,
    const uint8_t token_hash[ADMIN_TOKEN_HASH_BYTES], const char *address,
    int64_t now_ms)
{
	struct sign_in s = { admin, totp_step, token_hash, address, now_ms };

	return db_transaction(db, sign_in, &s);
}

struct touch {
	const uint8_t *token_hash;
	int64_t now_ms;
};

static enum err
touch(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE admin_sessions SET used_at_ms = ?2 WHERE token_hash = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct touch *t = arg;

	db_bind_blob(stmt, 1, t->token_hash, ADMIN_TOKEN_HASH_BYTES);
	db_bind_int64(stmt, 2, t->now_ms);
	return db_run(stmt);
}

/* A clock that was set back ends sessions: the safe side. */
static bool
is_over(int64_t created_at_ms, int64_t used_at_ms, int64_t now_ms)
{
	return now_ms < created_at_ms ||
	    now_ms - created_at_ms >= ADMIN_SESSION_LIFE_MS ||
	    now_ms - used_at_ms >= ADMIN_SESSION_IDLE_MS;
}

enum err
admins_check_session(struct db *db,
    const uint8_t token_hash[ADMIN_TOKEN_HASH_BYTES], int64_t now_ms,
    struct admin_actor *ret_actor, int64_t *ret_ends_at_ms)
{
	static const char sql[] =
	    "SELECT a.id, a.name, s.created_at_ms, s.used_at_ms"
	    " FROM admin_sessions s JOIN admins a ON a.id = s.admin_id"
	    " WHERE s.token_hash = ?1 AND a.is_disabled = 0";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct touch t = { token_hash, now_ms };
	int64_t created_at_ms, used_at_ms;
	bool found;
	enum err err;

	db_bind_blob(stmt, 1, token_hash, ADMIN_TOKEN_HASH_BYTES);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_UNAUTHORIZED;
	created_at_ms = db_column_int64(stmt, 2);
	used_at_ms = db_column_int64(stmt, 3);
	if (is_over(created_at_ms, used_at_ms, now_ms))
		return ERR_UNAUTHORIZED;
	ret_actor->is_console = false;
	ret_actor->id = db_column_uuid(stmt, 0);
	(void)str_copy(db_column_str(stmt, 1), ret_actor->name,
	    sizeof(ret_actor->name));
	*ret_ends_at_ms = created_at_ms + ADMIN_SESSION_LIFE_MS;
	db_release(&stmt);
	return now_ms - used_at_ms < TOUCH_MS ? OK :
						db_transaction(db, touch, &t);
}

struct sign_out {
	const struct admin_actor *actor;
	const uint8_t *token_hash;
	int64_t now_ms;
};

static enum err
sign_out(struct db *db, void *arg)
{
	static const char sql[] =
	    "DELETE FROM admin_sessions WHERE token_hash = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct sign_out *s = arg;
	enum err err;

	db_bind_blob(stmt, 1, s->token_hash, ADMIN_TOKEN_HASH_BYTES);
	err = db_run(stmt);
	if (err != OK)
		return err;
	return admin_log_append(db, s->actor,
	    &(const struct admin_act){ .action = "sign_out" }, s->now_ms, NULL);
}

enum err
admins_sign_out(struct db *db, const struct admin_actor *actor,
    const uint8_t token_hash[ADMIN_TOKEN_HASH_BYTES], int64_t now_ms)
{
	struct sign_out s = { actor, token_hash, now_ms };

	return db_transaction(db, sign_out, &s);
}
