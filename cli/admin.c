/* SPDX-License-Identifier: MIT */
/*
 * rendio admin -- who may sign in at /admin.  A password is read from standard
 * input: asked for twice at a terminal, else its first line.
 */

#include "cli.h"

#include "app/admin_auth.h"
#include "base/clock.h"

#include <sodium.h>
#include <termios.h>
#include <unistd.h>

static bool
read_line(char line[ADMIN_PASSWORD_BYTES_MAX + 2])
{
	size_t n;

	if (fgets(line, ADMIN_PASSWORD_BYTES_MAX + 2, stdin) == NULL)
		return false;
	n = strlen(line);
	if (n > 0 && line[n - 1] == '\n')
		line[n - 1] = '\0';
	return true;
}

static bool
ask(const char *prompt, char line[ADMIN_PASSWORD_BYTES_MAX + 2])
{
	struct termios seen, hidden;
	bool ok;

	if (tcgetattr(STDIN_FILENO, &seen) != 0)
		return read_line(line);
	hidden = seen;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	(void)fprintf(stderr, "%s: ", prompt);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	ok = read_line(line);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &seen);
	(void)fprintf(stderr, "\n");
	return ok;
}

/* False after a message. */
static bool
read_password(char password[ADMIN_PASSWORD_BYTES_MAX + 2])
{
	char again[ADMIN_PASSWORD_BYTES_MAX + 2];
	bool is_same = true;
	size_t n;

	if (!ask("Password", password)) {
		(void)cli_fail("no password on standard input");
		return false;
	}
	n = strlen(password);
	if (n < ADMIN_PASSWORD_BYTES_MIN || n > ADMIN_PASSWORD_BYTES_MAX ||
	    !str_is_utf8(str_from(password))) {
		(void)cli_fail("a password has 12 to 256 bytes");
		return false;
	}
	if (isatty(STDIN_FILENO)) {
		is_same = ask("Again", again) && strcmp(password, again) == 0;
		sodium_memzero(again, sizeof(again));
	}
	if (!is_same)
		(void)cli_fail("these were two passwords");
	return is_same;
}

static void
print_secret(const struct admin *admin, const uint8_t *secret)
{
	char text[TOTP_SECRET_TEXT_BYTES];

	totp_format_secret(secret, text);
	(void)printf("secret   %s\n"
		     "otpauth  otpauth://totp/Rendio:%s?secret=%s"
		     "&issuer=Rendio\n",
	    text, admin->name, text);
	(void)fprintf(stderr,
	    "Put it into an authenticator app now: it is not shown again.\n");
	sodium_memzero(text, sizeof(text));
}

typedef enum err admins_store(struct db *db, const struct admin_actor *actor,
    const struct admin *admin, int64_t now_ms);

/* Gives a name a password and a secret, and stores them as `store` does. */
static int
equip(const struct args *args, admins_store *store, const char *action)
{
	char password[ADMIN_PASSWORD_BYTES_MAX + 2];
	uint8_t secret[TOTP_SECRET_BYTES];
	struct admin admin = { 0 };
	struct state state;
	enum err err = ERR_SERVICE_UNAVAILABLE;
	bool ok;

	if (!admins_name_ok(str_from(args->arg[0])))
		return cli_misuse("not 1 to 64 of a-z 0-9 . _ @ -",
		    args->arg[0]);
	(void)str_copy(str_from(args->arg[0]), admin.name, sizeof(admin.name));
	ok = read_password(password);
	if (ok) {
		cli_open(&state, STATE_WRITE);
		if (admin_auth_make(&state.keys, str_from(password), &admin,
			secret))
			err = store(state.db, &admin_console, &admin,
			    clock_now_ms());
		state_close(&state);
	}
	sodium_memzero(password, sizeof(password));
	if (!ok)
		return CLI_NEGATIVE;
	if (err == ERR_CONFLICT)
		return cli_fail("there is such an admin (`rendio admin reset`"
				" gives a new password and secret)");
	if (err == ERR_NOT_FOUND)
		return cli_fail("there is no such admin");
	if (err != OK)
		return cli_fail_err(err);
	cli_log_action(action, NULL);
	print_secret(&admin, secret);
	sodium_memzero(secret, sizeof(secret));
	return CLI_OK;
}

int
admin_add_command(const struct args *args)
{
	return equip(args, admins_add, "admin_add");
}

int
admin_reset_command(const struct args *args)
{
	return equip(args, admins_reset, "admin_reset");
}

int
admin_disable_command(const struct args *args)
{
	struct state state;
	enum err err;

	cli_open(&state, STATE_WRITE);
	err = admins_disable(state.db, &admin_console, str_from(args->arg[0]),
	    clock_now_ms());
	state_close(&state);
	if (err == ERR_NOT_FOUND)
		return cli_fail("there is no such admin");
	if (err != OK)
		return cli_fail_err(err);
	cli_log_action("admin_disable", NULL);
	return CLI_OK;
}

static void
print_admin(void *arg, const struct admin *a)
{
	struct json_writer *w = arg; /* NULL = as text */
	char signed_in[CLOCK_TEXT_BYTES] = "never";

	if (w != NULL) {
		json_begin_object(w, NULL);
		json_uuid(w, "id", &a->id);
		json_text(w, "name", a->name);
		json_bool(w, "is_disabled", a->is_disabled);
		json_time(w, "signed_in_at", a->signed_in_at_ms);
		json_time(w, "created_at", a->created_at_ms);
		json_end_object(w);
		return;
	}
	if (a->signed_in_at_ms >= 0)
		clock_format(a->signed_in_at_ms, signed_in);
	(void)printf("%-20s %-8s last sign-in %s\n", a->name,
	    a->is_disabled ? "disabled" : "", signed_in);
}

static enum err
list_admins(const struct state *state, struct json_writer *w)
{
	return admins_list(state->db, print_admin, w);
}

int
admin_list_command(const struct args *args)
{
	return cli_list(args, list_admins);
}
