/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "domain/alarms.h"
#include "domain/breakers.h"
#include "domain/limits.h"
#include "domain/purchases.h"
#include "domain/spend.h"
#include "domain/storage.h"
#include "domain/upstreams.h"
#include "domain/watches.h"
#include "provider/telegram.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/statvfs.h>

/*
 * Alarms: looks at everything that the operator must know of and says what of
 * it is wrong now (domain/alarms.h).
 */

#define HOUR_MS (INT64_C(3600) * 1000)

/* A company that nobody has asked for so long is not known to be down. */
#define DOWN_FORGOTTEN_MS HOUR_MS

#define SPEND_NEAR_PERCENT 80

/* As many as RENDIO_ERROR_BURST within this are a burst. */
#define BURST_WINDOW_MS (INT64_C(5) * 60 * 1000)

/* What waits for something that is only slow has got it by then. */
#define PURCHASE_WAIT_MAX_MS HOUR_MS

struct findings {
	struct alarm_finding finding[ALARM_FINDINGS_MAX];
	size_t count;
};

static void add(struct findings *f, const char *subject, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

static void
add(struct findings *f, const char *subject, const char *format, ...)
{
	struct alarm_finding *finding = &f->finding[f->count];
	va_list list;

	if (f->count == ALARM_FINDINGS_MAX)
		return;
	f->count++;
	(void)snprintf(finding->subject, sizeof(finding->subject), "%s",
	    subject);
	va_start(list, format);
	(void)vsnprintf(finding->detail, sizeof(finding->detail), format, list);
	va_end(list);
}

static void
settle(struct worker *worker, enum alarm alarm, const struct findings *f)
{
	const struct config *config = &worker->state.config;
	const struct alarm_rules rules = {
		.hold_ms = config_number(config, CONFIG_ALARM_HOLD_S) * 1000,
		.tells = telegram_is_on(config),
	};

	/* Failures were logged; the next turn looks again. */
	(void)alarms_watch(worker->state.db, alarm, f->finding, f->count,
	    &rules, clock_now_ms());
}

/* --- companies ------------------------------------------------------------ */

void
note_upstream(struct worker *worker, const char *provider,
    const struct fetch_response *response, int64_t took_us)
{
	struct metric *metric = metrics_find(METRIC_PROVIDER, provider);
	struct db *db = worker->state.db;
	char reason[32];

	metric_add(metric, metric_status_index(response->status), 1);
	metric_observe(metric, took_us);
	if (response->phase == FETCH_ANSWERED && response->status < 500) {
		(void)upstreams_answered(db, UPSTREAM_PROVIDER, provider);
		return;
	}
	if (response->phase == FETCH_ANSWERED)
		(void)snprintf(reason, sizeof(reason), "HTTP %d",
		    response->status);
	else
		(void)snprintf(reason, sizeof(reason), "no answer, curl %d",
		    response->curl_code);
	(void)upstreams_failed(db, UPSTREAM_PROVIDER, provider, reason,
	    clock_now_ms());
}

static void
add_upstream(void *arg, const struct upstream *upstream)
{
	char since[CLOCK_TEXT_BYTES];

	clock_format(upstream->first_at_ms, since);
	add(arg, upstream->name, "%s, since %.16s UTC", upstream->reason,
	    since);
}

static void
watch_upstreams(struct worker *worker, enum upstream_kind kind,
    enum alarm alarm)
{
	struct findings f = { .count = 0 };

	if (upstreams_failing(worker->state.db, kind,
		config_number(&worker->state.config, CONFIG_ALARM_FAILURES),
		clock_now_ms() - DOWN_FORGOTTEN_MS, add_upstream, &f) == OK)
		settle(worker, alarm, &f);
}

static void
add_breaker(void *arg, const struct breaker *breaker)
{
	char subject[ALARM_SUBJECT_BYTES];

	(void)snprintf(subject, sizeof(subject), "%s%s%s",
	    breaker->company[0] == '\0' ? "all" : breaker->company,
	    breaker->endpoint[0] == '\0' ? "" : " ", breaker->endpoint);
	add(arg, subject, "%s", breaker->reason);
}

static void
watch_breakers(struct worker *worker)
{
	struct findings f = { .count = 0 };

	if (breakers_list(worker->state.db, add_breaker, &f) == OK)
		settle(worker, ALARM_BREAKER_OPEN, &f);
}

/* --- the disk ------------------------------------------------------------- */

/* As df(1) counts: what only root may use is not there. -1 = not known. */
static int64_t
disk_percent(const struct worker *worker)
{
	const char *dir = config_text(&worker->state.config, CONFIG_STATE_DIR);
	struct statvfs disk;
	uint64_t used;

	if (statvfs(dir, &disk) != 0) {
		log_line(LOG_ERROR, "storage", "statvfs", strerror(errno));
		return -1;
	}
	used = disk.f_blocks - disk.f_bfree;
	if (used + disk.f_bavail == 0)
		return -1;
	return (int64_t)(used * 100 / (used + disk.f_bavail));
}

static void
watch_disk(struct worker *worker)
{
	const int64_t percent = disk_percent(worker);
	struct findings near = { .count = 0 }, nearer = { .count = 0 };
	struct storage_use use;
	bool was_near = false;

	if (percent < 0 || storage_read(worker->state.db, &use) != OK ||
	    alarms_is_raised(worker->state.db, ALARM_DISK_80, "", &was_near) !=
		OK)
		return;
	if (percent >= 90 || use.level >= STORAGE_ALARM)
		add(&nearer, "", "disk %lld %%, media %lld of %lld MiB",
		    (long long)percent, (long long)(use.used_bytes >> 20),
		    (long long)(use.limit_bytes >> 20));
	/* Who hears of 90 % need not hear of 80 %. */
	if ((percent >= 80 || use.level >= STORAGE_WARNING) &&
	    (nearer.count == 0 || was_near))
		add(&near, "", "disk %lld %%, media %lld of %lld MiB",
		    (long long)percent, (long long)(use.used_bytes >> 20),
		    (long long)(use.limit_bytes >> 20));
	settle(worker, ALARM_DISK_80, &near);
	settle(worker, ALARM_DISK_90, &nearer);
}

/* It is emptied long before this, but for a reader that is in the way. */
static void
watch_log(struct worker *worker)
{
	const int64_t mib = state_log_bytes(&worker->state) >> 20;
	struct findings f = { .count = 0 };

	if (mib >= config_number(&worker->state.config, CONFIG_ALARM_LOG_MIB))
		add(&f, "", "%lld MiB", (long long)mib);
	settle(worker, ALARM_LOG_GROWS, &f);
}

/* --- money ---------------------------------------------------------------- */

struct spending {
	struct findings findings;
	int64_t day_ms; /* today */
	int64_t micro_usd; /* of all models */
};

static void
judge(struct spending *s, const char *subject, int64_t micro_usd,
    int64_t cap_micro_usd)
{
	if (cap_micro_usd > 0 &&
	    micro_usd >= cap_micro_usd / 100 * SPEND_NEAR_PERCENT)
		add(&s->findings, subject, "%lld.%02lld of %lld.%02lld USD",
		    (long long)(micro_usd / 1000000),
		    (long long)(micro_usd / 10000 % 100),
		    (long long)(cap_micro_usd / 1000000),
		    (long long)(cap_micro_usd / 10000 % 100));
}

static void
add_spend(void *arg, int64_t day_ms, const char *endpoint, int64_t micro_usd,
    int64_t cap_micro_usd)
{
	struct spending *s = arg;

	/* The clock may have passed midnight since we asked. */
	if (day_ms != s->day_ms)
		return;
	s->micro_usd += micro_usd;
	judge(s, endpoint, micro_usd, cap_micro_usd);
}

static void
watch_spend(struct worker *worker)
{
	const int64_t now_ms = clock_now_ms();
	struct spending s = { .day_ms = now_ms - now_ms % SPEND_DAY_MS };

	if (spend_list(worker->state.db, s.day_ms, add_spend, &s) != OK)
		return;
	judge(&s, "all models", s.micro_usd,
	    config_number(&worker->state.config,
		CONFIG_PROVIDER_SPEND_CAP_USD_PER_DAY) *
		1000000);
	settle(worker, ALARM_SPEND_NEAR, &s.findings);
}

static void
add_overdue(void *arg, const char *wanted, int64_t count, int64_t first_at_ms)
{
	char since[CLOCK_TEXT_BYTES];

	clock_format(first_at_ms, since);
	add(arg, wanted, "%lld, since %.16s UTC", (long long)count, since);
}

static void
watch_purchases(struct worker *worker)
{
	struct findings f = { .count = 0 };

	if (purchases_overdue(worker->state.db,
		clock_now_ms() - PURCHASE_WAIT_MAX_MS, add_overdue, &f) == OK)
		settle(worker, ALARM_PURCHASE_WAITS, &f);
}

/* --- what takes long ------------------------------------------------------ */

static void
watch_backup(struct worker *worker)
{
	const struct config *config = &worker->state.config;
	const int64_t age_max_ms =
	    config_number(config, CONFIG_BACKUP_AGE_H_MAX) * HOUR_MS;
	const int64_t now_ms = clock_now_ms();
	struct findings stale = { .count = 0 }, failed = { .count = 0 };
	char at[CLOCK_TEXT_BYTES];
	struct backup_state state;

	if (watches_backup(worker->state.db, &state) != OK)
		return;
	/* Who tries the sandbox needs no backups until he makes one. */
	if (age_max_ms > 0 && state.good_at_ms == 0 &&
	    !config_is_sandbox(config))
		add(&stale, "", "none was ever made");
	if (age_max_ms > 0 && state.good_at_ms > 0 &&
	    now_ms - state.good_at_ms > age_max_ms)
		add(&stale, "", "the last good one is %lld h old",
		    (long long)((now_ms - state.good_at_ms) / HOUR_MS));
	if (state.failed_at_ms > state.good_at_ms) {
		clock_format(state.failed_at_ms, at);
		add(&failed, "", "at %.16s UTC, see what it printed", at);
	}
	settle(worker, ALARM_BACKUP_STALE, &stale);
	settle(worker, ALARM_BACKUP_FAILED, &failed);
}

static void
watch_audit(struct worker *worker)
{
	struct findings f = { .count = 0 };
	struct audit_state state;

	if (watches_audit(worker->state.db, &state) != OK)
		return;
	if (state.violations_count > 0)
		add(&f, "", "%lld, of invariant %s: run rendio audit",
		    (long long)state.violations_count, state.violated);
	settle(worker, ALARM_AUDIT_FAILED, &f);
}

static void
watch_errors(struct worker *worker)
{
	struct findings f = { .count = 0 };
	int64_t count;

	if (watches_errors_count(worker->state.db,
		clock_now_ms() - BURST_WINDOW_MS, &count) != OK)
		return;
	if (count >= config_number(&worker->state.config, CONFIG_ERROR_BURST))
		add(&f, "", "%lld within five minutes, see the log",
		    (long long)count);
	settle(worker, ALARM_ERROR_BURST, &f);
}

/* --- who goes on in spite of refusals ------------------------------------- */

struct refusals {
	struct findings findings;
	struct limit_violation worst; /* of a kind; its count 0 = none yet */
	bool has_others; /* of that kind */
};

static void
end_kind(struct refusals *r)
{
	char who[UUID_TEXT_BYTES + sizeof("user ")] = "an address or a device";
	struct uuid user_id;

	if (r->worst.count == 0)
		return;
	if (r->worst.subject_bytes == UUID_BYTES) {
		memcpy(user_id.bytes, r->worst.subject, UUID_BYTES);
		memcpy(who, "user ", sizeof("user "));
		uuid_format(&user_id, who + strlen(who));
	}
	add(&r->findings, r->worst.kind, "%s: %lld within an hour%s", who,
	    (long long)r->worst.count, r->has_others ? ", and others" : "");
	r->worst.count = 0;
	r->has_others = false;
}

static void
add_refusals(void *arg, const struct limit_violation *violation)
{
	struct refusals *r = arg;

	if (strcmp(r->worst.kind, violation->kind) != 0)
		end_kind(r);
	if (r->worst.count == 0)
		r->worst = *violation;
	/* Who went on from one hour to the next is there twice. */
	r->has_others = r->has_others ||
	    memcmp(r->worst.subject, violation->subject,
		sizeof(violation->subject)) != 0;
}

/* Apart from the others: a flood of many users is many rows to look through. */
void
watch_limits(struct worker *worker)
{
	struct refusals r = { .worst = { .count = 0 } };

	if (limits_violations(worker->state.db, clock_now_ms() - HOUR_MS,
		config_number(&worker->state.config, CONFIG_LIMIT_REPORT_PER_H),
		add_refusals, &r) != OK)
		return;
	end_kind(&r);
	settle(worker, ALARM_LIMIT_REPEATED, &r.findings);
}

void
watch_alarms(struct worker *worker)
{
	watch_upstreams(worker, UPSTREAM_PROVIDER, ALARM_PROVIDER_DOWN);
	watch_upstreams(worker, UPSTREAM_APPLE, ALARM_APPLE_DOWN);
	watch_breakers(worker);
	watch_disk(worker);
	watch_log(worker);
	watch_spend(worker);
	watch_purchases(worker);
	watch_backup(worker);
	watch_audit(worker);
	watch_errors(worker);
}
