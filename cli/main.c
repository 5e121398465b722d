/* SPDX-License-Identifier: MIT */
/*
 * rendio -- the operator's tool.  Here: the table of commands, and what they
 * have in common.
 */

#include "catalog.h"
#include "cli.h"

#include "base/log.h"

#include <sodium.h>
#include <sys/prctl.h>
#include <sys/stat.h>

struct command {
	const char *name;
	const char *usage;
	const char *summary;
	int args_min;
	int args_max;
	unsigned options;
	int (*run)(const struct args *args);
};

/* Roots that verify-jws may be given; more than Apple has. */
#define ROOT_FILES_MAX 8

static const struct command commands[] = {
	{ "init", "", "make what is missing: directories, keys, database", 0, 0,
	    0, init_command },
	{ "setup",
	    "[--domain HOST] [--mode live|sandbox] [--set KEY=VALUE]...\n"
	    "    [--acme EMAIL] [--yes] [--no-start]",
	    "make an installed system ready; asks for what is missing\n\n"
	    "  --domain HOST     where the app finds it: https://HOST\n"
	    "  --mode MODE       live, or sandbox: stand-ins for Apple and "
	    "fal\n"
	    "  --set KEY=VALUE   a value of the configuration; secrets come "
	    "from\n"
	    "                    the environment, or are asked for\n"
	    "  --acme EMAIL      get a certificate from Let's Encrypt by "
	    "certbot\n"
	    "  --yes             ask nothing (so without a terminal)\n"
	    "  --no-start        start nothing",
	    0, 0, OPTION_ANY, setup_command },
	{ "migrate", "[--check]",
	    "bring the database to the newest schema\n\n"
	    "  --check    only say whether these programs can work with it",
	    0, 0, OPTION_CHECK, migrate_command },
	{ "doctor", "[--offline] [--json]",
	    "check this installation and name the fixes; asks the companies"
	    " that are configured, unless --offline",
	    0, 0, OPTION_JSON | OPTION_OFFLINE, doctor_command },
	{ "audit", "[--files] [--json]",
	    "prove that no credit and no job was lost", 0, 0,
	    OPTION_JSON | OPTION_FILES, audit_command },
	{ "admin add", "NAME < PASSWORD",
	    "let somebody sign in at /admin; prints the secret of the codes", 1,
	    1, 0, admin_add_command },
	{ "admin list", "[--json]", "who may sign in at /admin", 0, 0,
	    OPTION_JSON, admin_list_command },
	{ "admin disable", "NAME", "end an admin's sessions, and sign-in", 1, 1,
	    0, admin_disable_command },
	{ "admin reset", "NAME < PASSWORD",
	    "a new password and secret, also for a disabled admin", 1, 1, 0,
	    admin_reset_command },
	{ "user show", "ID [--json]", "what we hold about a user", 1, 1,
	    OPTION_JSON, user_show_command },
	{ "user timeline", "ID [--json]",
	    "all that happened to a user and their credits, newest first", 1, 1,
	    OPTION_JSON, user_timeline_command },
	{ "user grant", "ID CREDITS --reason R",
	    "give credits; a negative number takes them", 2, 2, OPTION_REASON,
	    user_grant_command },
	{ "user ban", "ID", "suspend an account and end its sessions", 1, 1, 0,
	    user_ban_command },
	{ "user unban", "ID", "lift a ban", 1, 1, 0, user_unban_command },
	{ "user sessions", "ID [--json]", "where a user is signed in", 1, 1,
	    OPTION_JSON, user_sessions_command },
	{ "user logout", "ID", "end all sessions of a user", 1, 1, 0,
	    user_logout_command },
	{ "model list", "[--json]", "all models, in the order they are shown",
	    0, 0, OPTION_JSON, model_list_command },
	{ "model set", "ID KEY=VALUE...", "change a model", 2,
	    1 + CATALOG_FIELDS_MAX, 0, model_set_command },
	{ "provider list", "[--json]", "companies and models not asked now", 0,
	    0, OPTION_JSON, provider_list_command },
	{ "provider stop", "COMPANY|all [ENDPOINT]",
	    "send nothing more to a company, or for a model", 1, 2, 0,
	    provider_stop_command },
	{ "provider start", "COMPANY|all [ENDPOINT]", "ask it again", 1, 2, 0,
	    provider_start_command },
	{ "spend", "[--json]", "what videos may have cost, by day and model", 0,
	    0, OPTION_JSON, spend_command },
	{ "theme list", "[--json]", "all themes, in the order they are shown",
	    0, 0, OPTION_JSON, theme_list_command },
	{ "theme set", "ID KEY=VALUE...", "change a theme", 2,
	    1 + CATALOG_FIELDS_MAX, 0, theme_set_command },
	{ "product list", "[--json]", "what the App Store sells for us", 0, 0,
	    OPTION_JSON, product_list_command },
	{ "product set", "ID credits=N | ID credits_per_period=N",
	    "sell a product, or change the credits that it brings", 2, 2, 0,
	    product_set_command },
	{ "product remove", "ID", "sell it no more", 1, 1, 0,
	    product_remove_command },
	{ "backup", "FILE | DIRECTORY [--keep N] [--send] [--json]",
	    "write everything into one file, and prove that it is good\n\n"
	    "  --keep N    in DIRECTORY only the newest N stay\n"
	    "  --send      send it to the bucket, if one is configured",
	    1, 1, OPTION_JSON | OPTION_KEEP | OPTION_SEND, backup_command },
	{ "bucket", "send FILE|DIRECTORY | list | fetch NAME",
	    "backups in a bucket that speaks S3, sealed for a key\n\n"
	    "  send     a backup, or the newest in a directory; old ones go\n"
	    "  list     what is in the bucket, the newest first\n"
	    "  fetch    one of these, still sealed, to standard output",
	    0, 0, OPTION_ANY, bucket_command },
	{ "restore", "FILE",
	    "bring a backup back, where there is no database yet", 1, 1, 0,
	    restore_command },
	{ "token", "ID [--ttl-s N]", "print an access token for a user", 1, 1,
	    OPTION_TTL, token_command },
	{ "sandbox device", "NAME",
	    "print a device token of the pretended phone NAME", 1, 1, 0,
	    sandbox_device_command },
	{ "sandbox identity", "SUB [--nonce RAW]",
	    "print an identity token of the pretended Apple ID SUB", 1, 1,
	    OPTION_NONCE, sandbox_identity_command },
	{ "sandbox purchase",
	    "--user ID --product P [--quantity N] [--type TYPE]",
	    "print a signed transaction of the pretended App Store", 0, 0,
	    OPTION_SALE | OPTION_TYPE, sandbox_purchase_command },
	{ "sandbox refund", "TRANSACTION [--percent N] [--type TYPE]",
	    "print the signed notification that it was refunded", 1, 1,
	    OPTION_PERCENT | OPTION_TYPE, sandbox_refund_command },
	{ "appstore transaction", "ID", "look a purchase up at Apple", 1, 1,
	    OPTION_JSON, appstore_transaction_command },
	{ "appstore refunds", "ID [--environment E] [--cursor C]",
	    "a page of what Apple refunded to the payer of a purchase", 1, 1,
	    OPTION_JSON | OPTION_ENVIRONMENT | OPTION_CURSOR,
	    appstore_refunds_command },
	{ "appstore notifications", "[--environment E] [--cursor C]",
	    "a page of the notifications that Apple could not deliver", 0, 0,
	    OPTION_JSON | OPTION_ENVIRONMENT | OPTION_CURSOR,
	    appstore_notifications_command },
	{ "appstore test", "[TOKEN] [--environment E]",
	    "ask for a test notification; with its token, how it went", 0, 1,
	    OPTION_JSON | OPTION_ENVIRONMENT, appstore_test_command },
	{ "verify-jws",
	    "--kind transaction|renewal|notification|app_transaction\n"
	    "    [--root FILE...] --bundle-id B --environment E [--app-id N]\n"
	    "    [--no-x509-strict]",
	    "judge a JWS of the App Store, read from standard input", 0,
	    ROOT_FILES_MAX, OPTION_JWS | OPTION_JSON, verify_jws_command },
};

#define COMMANDS_COUNT (sizeof(commands) / sizeof(commands[0]))

int
cli_fail(const char *problem)
{
	(void)fprintf(stderr, "rendio: %s\n", problem);
	return CLI_NEGATIVE;
}

int
cli_fail_err(enum err err)
{
	return cli_fail(err_text(err, LANG_EN));
}

int
cli_misuse(const char *what, const char *value)
{
	(void)fprintf(stderr, "rendio: %s: %s (see --help)\n", what, value);
	return CLI_USAGE;
}

void
cli_open(struct state *state, enum state_access access)
{
	struct buf problem;

	buf_init(&problem, 8192);
	if (!state_open(state, access, &problem)) {
		(void)cli_fail(problem.ptr);
		exit(CLI_NEGATIVE);
	}
	buf_free(&problem);
}

int
cli_print(struct buf *out)
{
	const bool ok = !out->failed;

	if (ok)
		(void)printf("%s\n", out->ptr);
	buf_free(out);
	return ok ? CLI_OK : cli_fail("the answer is too long");
}

int
cli_list(const struct args *args, cli_rows *rows)
{
	struct buf out;
	struct json_writer w = json_writer(&out);
	struct state state;
	enum err err;

	cli_open(&state, STATE_READ);
	buf_init(&out, CLI_OUTPUT_BYTES_MAX);
	json_begin_array(&w, NULL);
	err = rows(&state, args->is_json ? &w : NULL);
	json_end_array(&w);
	state_close(&state);
	if (err == OK && args->is_json)
		return cli_print(&out);
	buf_free(&out);
	return err == OK ? CLI_OK : cli_fail_err(err);
}

void
cli_log_action(const char *action, const struct uuid *id)
{
	struct log log = log_begin(LOG_INFO, "admin_action");

	log_text(&log, "action", action);
	if (id != NULL)
		log_uuid(&log, "id", id);
	log_end(&log);
}

/* Those commands whose first word this is, or all when there are none. */
static void
print_commands(FILE *stream, struct str word)
{
	bool is_group = false;
	struct str first, rest;

	for (size_t i = 0; i < COMMANDS_COUNT; i++) {
		(void)str_cut(str_from(commands[i].name), ' ', &first, &rest);
		is_group = is_group || str_equal(first, word);
	}
	(void)fprintf(stream,
	    "usage: rendio COMMAND ... (--help tells more)\n\n");
	for (size_t i = 0; i < COMMANDS_COUNT; i++) {
		(void)str_cut(str_from(commands[i].name), ' ', &first, &rest);
		if (!is_group || str_equal(first, word))
			(void)fprintf(stream, "  %-22s  %.*s\n",
			    commands[i].name,
			    (int)strcspn(commands[i].summary, "\n"),
			    commands[i].summary);
	}
}

static void
print_usage(FILE *stream, const struct command *command)
{
	(void)fprintf(stream, "usage: rendio %s%s%s\n\n%s\n", command->name,
	    command->usage[0] == '\0' ? "" : " ", command->usage,
	    command->summary);
}

/* How many of the words name the command: 0, 1 or 2. */
static int
match(const struct command *command, int count, char **words)
{
	struct str first, second;
	const bool is_pair =
	    str_cut(str_from(command->name), ' ', &first, &second);

	if (count < 1 || !str_equal(first, str_from(words[0])))
		return 0;
	if (!is_pair)
		return 1;
	return count > 1 && str_equal(second, str_from(words[1])) ? 2 : 0;
}

static const struct command *
find(int count, char **words, int *ret_words)
{
	for (size_t i = 0; i < COMMANDS_COUNT; i++) {
		*ret_words = match(&commands[i], count, words);
		if (*ret_words > 0)
			return &commands[i];
	}
	return NULL;
}

static bool
wants_help(int count, char **words)
{
	for (int i = 0; i < count; i++)
		if (strcmp(words[i], "--help") == 0)
			return true;
	return false;
}

/* Where an option's value goes; a flag has none and sets a bool. */
struct option {
	const char *name;
	unsigned option;
	bool is_flag;
	size_t offset;
};

static const struct option options[] = {
	{ "--json", OPTION_JSON, true, offsetof(struct args, is_json) },
	{ "--reason", OPTION_REASON, false, offsetof(struct args, reason) },
	{ "--ttl-s", OPTION_TTL, false, offsetof(struct args, ttl_s) },
	{ "--nonce", OPTION_NONCE, false, offsetof(struct args, nonce) },
	{ "--files", OPTION_FILES, true, offsetof(struct args, has_files) },
	{ "--check", OPTION_CHECK, true, offsetof(struct args, is_check) },
	{ "--offline", OPTION_OFFLINE, true,
	    offsetof(struct args, is_offline) },
	{ "--send", OPTION_SEND, true, offsetof(struct args, is_sent) },
	{ "--keep", OPTION_KEEP, false, offsetof(struct args, keep) },
	{ "--kind", OPTION_JWS, false, offsetof(struct args, kind) },
	{ "--root", OPTION_JWS, false, offsetof(struct args, root) },
	{ "--bundle-id", OPTION_JWS, false, offsetof(struct args, bundle_id) },
	{ "--environment", OPTION_JWS | OPTION_ENVIRONMENT, false,
	    offsetof(struct args, environment) },
	{ "--app-id", OPTION_JWS, false, offsetof(struct args, app_id) },
	{ "--no-x509-strict", OPTION_JWS, true, offsetof(struct args, is_lax) },
	{ "--user", OPTION_SALE, false, offsetof(struct args, user) },
	{ "--product", OPTION_SALE, false, offsetof(struct args, product) },
	{ "--quantity", OPTION_SALE, false, offsetof(struct args, quantity) },
	{ "--type", OPTION_TYPE, false, offsetof(struct args, type) },
	{ "--cursor", OPTION_CURSOR, false, offsetof(struct args, cursor) },
	{ "--percent", OPTION_PERCENT, false, offsetof(struct args, percent) },
};

static const struct option *
find_option(const struct command *command, const char *word)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if ((command->options & options[i].option) != 0 &&
		    strcmp(word, options[i].name) == 0)
			return &options[i];
	return NULL;
}

/* Takes the options out of the words; false at one that is not known here. */
static bool
parse(const struct command *command, int count, char **words, struct args *args)
{
	const bool yes = true;

	*args = (struct args){ .arg = words };
	if (command->options == OPTION_ANY)
		return true;
	for (int i = 0; i < count; i++) {
		const struct option *option;
		const char *value = NULL;

		if (strncmp(words[i], "--", 2) != 0) {
			args->arg[args->count++] = words[i];
			continue;
		}
		option = find_option(command, words[i]);
		if (option == NULL || (!option->is_flag && i + 1 == count))
			return false;
		if (option->is_flag) {
			memcpy((char *)args + option->offset, &yes,
			    sizeof(yes));
			continue;
		}
		memcpy(&value, (char *)args + option->offset, sizeof(value));
		/* A second root is one more, not another one. */
		if (value != NULL && strcmp(option->name, "--root") == 0) {
			args->arg[args->count++] = words[++i];
			continue;
		}
		value = words[++i];
		memcpy((char *)args + option->offset, &value, sizeof(value));
	}
	return args->count >= command->args_min &&
	    args->count <= command->args_max;
}

static int
run(int count, char **words)
{
	int words_count;
	const struct command *command = find(count, words, &words_count);
	struct args args;

	if (command == NULL) {
		const bool is_help = wants_help(count, words);

		print_commands(is_help ? stdout : stderr,
		    str_from(count == 0 ? NULL : words[0]));
		return is_help ? CLI_OK : CLI_USAGE;
	}
	if (wants_help(count, words)) {
		print_usage(stdout, command);
		return CLI_OK;
	}
	if (!parse(command, count - words_count, words + words_count, &args)) {
		print_usage(stderr, command);
		return CLI_USAGE;
	}
	return command->run(&args);
}

int
main(int argc, char **argv)
{
	int status;

	log_program("rendio");
	/* What a crash leaves on the disk must not hold keys. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)umask(0027);
	if (sodium_init() < 0)
		return cli_fail("libsodium cannot start");
	status = run(argc - 1, argv + 1);
	if (fflush(stdout) != 0)
		return cli_fail("standard output cannot be written");
	return status;
}
