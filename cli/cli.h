/* SPDX-License-Identifier: MIT */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "app/state.h"
#include "base/err.h"
#include "wire/json_writer.h"

/*
 * build/rendio, the operator's tool: one command a file, and main.c with the
 * table of all of them.  A command returns its exit status: 0 for success, 1
 * for a negative finding or a failure, 2 for wrong use.
 */

enum { CLI_OK = 0, CLI_NEGATIVE = 1, CLI_USAGE = 2 };

/* What the caller wrote behind the command's words, options taken apart. */
struct args {
	int count;
	char **arg;
	bool is_json;
	bool has_files; /* --files */
	bool is_offline; /* --offline */
	bool is_check; /* --check */
	const char *reason; /* NULL = not given */
	const char *ttl_s; /* NULL = not given */
	const char *nonce; /* NULL = not given */
	/* The same of verify-jws and of the sandbox's shop. */
	const char *kind;
	const char *root; /* the others stand in arg */
	const char *bundle_id;
	const char *environment;
	const char *app_id;
	bool is_lax; /* --no-x509-strict */
	const char *user;
	const char *product;
	const char *quantity;
	const char *type;
	const char *percent;
	const char *cursor; /* of appstore's lists */
	const char *keep; /* NULL = not given */
	bool is_sent; /* --send */
};

/* Options a command takes. */
enum {
	OPTION_JSON = 1 << 0,
	OPTION_REASON = 1 << 1,
	OPTION_TTL = 1 << 2,
	OPTION_NONCE = 1 << 3,
	OPTION_JWS = 1 << 4, /* what verify-jws wants to know */
	OPTION_SALE = 1 << 5,
	OPTION_TYPE = 1 << 6,
	OPTION_PERCENT = 1 << 7,
	OPTION_ENVIRONMENT = 1 << 8,
	OPTION_CURSOR = 1 << 9,
	OPTION_KEEP = 1 << 10,
	OPTION_FILES = 1 << 11,
	OPTION_OFFLINE = 1 << 12,
	OPTION_CHECK = 1 << 13,
	OPTION_SEND = 1 << 14,
	OPTION_ANY =
	    1 << 30, /* it reads its words by itself, behind its name */
};

int init_command(const struct args *args);
int setup_command(const struct args *args);
int bucket_command(const struct args *args);
int migrate_command(const struct args *args);
int audit_command(const struct args *args);
int doctor_command(const struct args *args);
int admin_add_command(const struct args *args);
int admin_list_command(const struct args *args);
int admin_disable_command(const struct args *args);
int admin_reset_command(const struct args *args);
int user_show_command(const struct args *args);
int user_timeline_command(const struct args *args);
int user_grant_command(const struct args *args);
int user_ban_command(const struct args *args);
int user_unban_command(const struct args *args);
int user_sessions_command(const struct args *args);
int user_logout_command(const struct args *args);
int model_list_command(const struct args *args);
int model_set_command(const struct args *args);
int provider_list_command(const struct args *args);
int provider_stop_command(const struct args *args);
int provider_start_command(const struct args *args);
int spend_command(const struct args *args);
int theme_list_command(const struct args *args);
int theme_set_command(const struct args *args);
int product_list_command(const struct args *args);
int product_set_command(const struct args *args);
int product_remove_command(const struct args *args);
int backup_command(const struct args *args);
int restore_command(const struct args *args);
int token_command(const struct args *args);
int sandbox_device_command(const struct args *args);
int sandbox_identity_command(const struct args *args);
int sandbox_purchase_command(const struct args *args);
int sandbox_refund_command(const struct args *args);
int appstore_transaction_command(const struct args *args);
int appstore_refunds_command(const struct args *args);
int appstore_notifications_command(const struct args *args);
int appstore_test_command(const struct args *args);
int verify_jws_command(const struct args *args);

#define CLI_SCRIPT_PATH_BYTES 4096

/* Where a script is that belongs to us, installed or in the sources. */
bool cli_find_script(const char *name, char ret_path[CLI_SCRIPT_PATH_BYTES]);

/* Says what went wrong, and gives the status to end with. */
int cli_fail(const char *problem);
int cli_fail_err(enum err err);
/* The same for wrong use; `what` was not good. */
int cli_misuse(const char *what, const char *value);

/*
 * Opens the state; ends the process with a message when it cannot.  The
 * caller closes it.
 */
void cli_open(struct state *state, enum state_access access);

/* Prints what was written into `out`, a line, and frees it. */
int cli_print(struct buf *out);

/*
 * A list: `rows` writes its elements into w, or prints them as lines where w
 * is NULL, because there was no --json.
 */
typedef enum err cli_rows(const struct state *state, struct json_writer *w);
int cli_list(const struct args *args, cli_rows *rows);

/* Notes on standard error that an operator did this; user_id may be NULL. */
void cli_log_action(const char *action, const struct uuid *id);

/* The largest output, far above the largest catalogue or audit. */
#define CLI_OUTPUT_BYTES_MAX ((size_t)16 * 1024 * 1024)

#endif
