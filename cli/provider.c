/* SPDX-License-Identifier: MIT */
/* rendio provider, rendio spend -- who is asked for videos, and at what cost. */

#include "cli.h"

#include "base/clock.h"
#include "domain/acts.h"
#include "domain/breakers.h"
#include "domain/spend.h"

/* What is shown of spending. */
#define SPEND_DAYS 31

static void
print_breaker(void *arg, const struct breaker *b)
{
	struct json_writer *w = arg; /* NULL = as text */
	const char *company = b->company[0] == '\0' ? "all" : b->company;
	char opened[CLOCK_TEXT_BYTES];

	if (w != NULL) {
		json_begin_object(w, NULL);
		json_text(w, "company", company);
		json_text(w, "endpoint", b->endpoint);
		json_text(w, "reason", b->reason);
		json_int64(w, "failures", b->failures_count);
		json_time(w, "opened_at", b->opened_at_ms);
		json_time(w, "next_try_at", b->probe_at_ms);
		json_end_object(w);
		return;
	}
	clock_format(b->opened_at_ms, opened);
	(void)printf("%-12s %-40s %-16s since %s\n", company,
	    b->endpoint[0] == '\0' ? "(all models)" : b->endpoint, b->reason,
	    opened);
}

static enum err
list_breakers(const struct state *state, struct json_writer *w)
{
	return breakers_list(state->db, print_breaker, w);
}

int
provider_list_command(const struct args *args)
{
	return cli_list(args, list_breakers);
}

/* What the arguments name: "all" is the company "". */
static const char *
company_of(const struct args *args)
{
	return strcmp(args->arg[0], "all") == 0 ? "" : args->arg[0];
}

static const char *
endpoint_of(const struct args *args)
{
	return args->count > 1 ? args->arg[1] : "";
}

int
provider_stop_command(const struct args *args)
{
	struct state state;
	enum err err;

	if (company_of(args)[0] == '\0' && args->count > 1)
		return cli_misuse("all companies have no one model",
		    args->arg[1]);
	cli_open(&state, STATE_WRITE);
	err = acts_stop_provider(state.db, &admin_console, company_of(args),
	    endpoint_of(args), "", clock_now_ms());
	state_close(&state);
	if (err != OK)
		return cli_fail_err(err);
	cli_log_action("provider_stop", NULL);
	return CLI_OK;
}

int
provider_start_command(const struct args *args)
{
	struct state state;
	enum err err;

	cli_open(&state, STATE_WRITE);
	err = acts_start_provider(state.db, &admin_console, company_of(args),
	    endpoint_of(args), "", clock_now_ms());
	state_close(&state);
	if (err == ERR_NOT_FOUND)
		return cli_fail("it is not stopped");
	if (err != OK)
		return cli_fail_err(err);
	cli_log_action("provider_start", NULL);
	return CLI_OK;
}

static void
print_spend(void *arg, int64_t day_ms, const char *endpoint, int64_t micro_usd,
    int64_t cap_micro_usd)
{
	struct json_writer *w = arg; /* NULL = as text */
	char day[CLOCK_TEXT_BYTES];

	clock_format(day_ms, day);
	if (w == NULL) {
		(void)printf("%.10s %10.2f USD  %s\n", day,
		    (double)micro_usd / 1e6, endpoint);
		return;
	}
	day[sizeof("2026-01-31") - 1] = '\0';
	json_begin_object(w, NULL);
	json_text(w, "day", day);
	json_text(w, "endpoint", endpoint);
	json_int64(w, "micro_usd", micro_usd);
	if (cap_micro_usd < 0)
		json_null(w, "cap_micro_usd");
	else
		json_int64(w, "cap_micro_usd", cap_micro_usd);
	json_end_object(w);
}

static enum err
list_spend(const struct state *state, struct json_writer *w)
{
	return spend_list(state->db, clock_now_ms() - SPEND_DAYS * SPEND_DAY_MS,
	    print_spend, w);
}

int
spend_command(const struct args *args)
{
	return cli_list(args, list_spend);
}
