/* SPDX-License-Identifier: MIT */
/*
 * rendio audit -- checks every invariant over the whole database.  It reads
 * only, and may run beside a running system.  With --files it reads every file
 * too, and compares it with its row's SHA-256.
 */

#include "cli.h"

#include "app/audit_view.h"
#include "base/clock.h"
#include "domain/audit.h"

static int
print_json(const struct audit *audit)
{
	struct buf out;
	struct json_writer w = json_writer(&out);

	buf_init(&out, CLI_OUTPUT_BYTES_MAX);
	view_audit(&w, audit);
	return cli_print(&out);
}

static void
print_text(const struct audit *audit)
{
	char id[UUID_TEXT_BYTES];

	(void)printf("    %-46s %10s %10s\n", "invariant", "checked",
	    "violations");
	for (int n = 1; n <= AUDIT_INVARIANT_MAX; n++) {
		const struct audit_finding *f = &audit->invariant[n];

		if (audit_title(n) == NULL)
			continue;
		(void)printf("%2d  %-46s %10lld %10lld\n", n, audit_title(n),
		    (long long)f->checked_count,
		    (long long)f->violations_count);
		for (size_t i = 0; i < audit_reported_count(f); i++) {
			uuid_format(&f->violation[i].id, id);
			(void)printf("      %s  %s\n", id,
			    f->violation[i].problem);
		}
	}
	if (!audit->is_whole)
		(void)printf(
		    "the database file is damaged: restore a backup\n");
}

int
audit_command(const struct args *args)
{
	static struct audit audit;
	struct state state;
	enum err err;
	int status = CLI_OK;

	cli_open(&state, STATE_READ);
	err = audit_run(state.db, config_text(&state.config, CONFIG_STATE_DIR),
	    clock_now_ms(), args->has_files, &audit);
	state_close(&state);
	if (err != OK)
		return cli_fail_err(err);
	if (args->is_json)
		status = print_json(&audit);
	else
		print_text(&audit);
	return audit_is_clean(&audit) ? status : CLI_NEGATIVE;
}
