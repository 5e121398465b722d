/* SPDX-License-Identifier: MIT */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/buf.h"

/*
 * The configuration: KEY=value lines of one file, each overridden by an
 * environment variable of the same name.  Every key begins with RENDIO_.
 *
 * A row is: key without the prefix, kind, default, and for numbers the least
 * and the largest value.  A SECRET may also be given as KEY_FILE, the path of
 * a file that holds it, and is never printed.  Computed defaults are empty
 * here and filled by config_load().
 */
#define CONFIG_LIST(X) \
	X(MODE, TEXT, "sandbox", 0, 0) \
	X(PORT, NUMBER, "8443", 1, 65535) \
	X(PUBLIC_URL, TEXT, "", 0, 0) \
	X(STATE_DIR, TEXT, "./var", 0, 0) \
	X(ANON_KEY, SECRET, "", 0, 0) \
	X(GRANT_CREDITS, NUMBER, "10", 0, 10000) \
	X(ACCESS_TOKEN_TTL_S, NUMBER, "3600", 1, 604800) \
	X(PLAYGROUND, NUMBER, "0", 0, 1) \
	X(CRON_INTERVAL_S, NUMBER, "2", 1, 60) \
	X(PROVIDER_CONCURRENCY, NUMBER, "32", 1, 256) \
	X(PROVIDER_START_TIMEOUT_S, NUMBER, "900", 2, 86400) \
	X(PROVIDER_RUN_TIMEOUT_S, NUMBER, "1800", 1, 86400) \
	X(PROVIDER_TOLD_WITHIN_S, NUMBER, "8100", 1, 86400) \
	X(PROVIDER_POLL_FIRST_MS, NUMBER, "20000", 50, 600000) \
	X(PROVIDER_POLL_MAX_MS, NUMBER, "60000", 50, 600000) \
	X(PROVIDER_CALL_TIMEOUT_MS, NUMBER, "60000", 100, 600000) \
	X(RESULT_STALL_S, NUMBER, "30", 1, 600) \
	X(PROVIDER_ATTEMPTS_MAX, NUMBER, "1", 1, 3) \
	X(PROVIDER_KEEP_CHARGE_CODES, TEXT, "", 0, 0) \
	X(PROVIDER_SPEND_CAP_USD_PER_DAY, NUMBER, "0", 0, 1000000) \
	X(CREDIT_VALUE_MICRO_USD, NUMBER, "150000", 1, 1000000000) \
	X(JOBS_OPEN_MAX_FREE, NUMBER, "200", 1, 10000) \
	X(JOBS_OPEN_MAX_PREMIUM, NUMBER, "400", 1, 10000) \
	X(TRUSTED_PROXIES, TEXT, "", 0, 0) \
	X(APPLE_BUNDLE_ID, TEXT, "", 0, 0) \
	X(APPLE_APP_ID, TEXT, "", 0, 0) \
	X(APPLE_TEAM_ID, TEXT, "", 0, 0) \
	X(APPLE_ROOT_CA_FILE, TEXT, "", 0, 0) \
	X(APPLE_X509_STRICT, NUMBER, "1", 0, 1) \
	X(APPLE_DENIED_LEAVES, TEXT, "", 0, 0) \
	X(APPSTORE_URL, TEXT, "", 0, 0) \
	X(APPSTORE_SANDBOX_URL, TEXT, "", 0, 0) \
	X(APPSTORE_KEY_ID, TEXT, "", 0, 0) \
	X(APPSTORE_ISSUER_ID, TEXT, "", 0, 0) \
	X(APPSTORE_KEY_FILE, TEXT, "", 0, 0) \
	X(SANDBOX_CREDITS_MAX, NUMBER, "-1", -1, 1000000000) \
	X(FORGIVE_REFUND_DEBT, NUMBER, "0", 0, 1) \
	X(DEVICECHECK_URL, TEXT, "", 0, 0) \
	X(DEVICECHECK_KEY_ID, TEXT, "", 0, 0) \
	X(DEVICECHECK_KEY_FILE, TEXT, "", 0, 0) \
	X(DEVICECHECK_GRANT_BIT, NUMBER, "0", 0, 1) \
	X(DEVICECHECK_BAN_BIT, NUMBER, "1", 0, 2) \
	X(DEVICE_ACCOUNTS_MAX, NUMBER, "5", 1, 1000000) \
	X(DEVICE_REJECTIONS_MAX, NUMBER, "20", 0, 1000000) \
	X(DEVICE_BIT_CHANGES_MAX, NUMBER, "2", 0, 1000000) \
	X(LIMIT_DEVICE_CHECK_PER_H, NUMBER, "10", 1, 1000000) \
	X(LIMIT_ADDRESS_CHECK_PER_H, NUMBER, "600", 1, 1000000) \
	X(LIMIT_ADMIN_SIGN_IN_PER_H, NUMBER, "10", 1, 1000000) \
	X(ADMIN_ADDRESSES, TEXT, "", 0, 0) \
	X(LIMIT_GENERATE_GUEST_PER_H, NUMBER, "5", 1, 1000000) \
	X(LIMIT_GENERATE_FREE_PER_H, NUMBER, "10", 1, 1000000) \
	X(LIMIT_GENERATE_PREMIUM_PER_H, NUMBER, "50", 1, 1000000) \
	X(LIMIT_GENERATE_PER_MIN, NUMBER, "10", 1, 1000000) \
	X(LIMIT_PURCHASE_PER_H, NUMBER, "120", 1, 1000000) \
	X(LIMIT_UPLOAD_PER_H, NUMBER, "60", 1, 1000000) \
	X(LIMIT_REFRESH_PER_H, NUMBER, "600", 1, 1000000) \
	X(LIMIT_FORGERY_PER_H, NUMBER, "100", 1, 1000000) \
	X(LIMIT_ACCOUNT_PER_H, NUMBER, "30", 1, 1000000) \
	X(LIMIT_REPORT_PER_H, NUMBER, "20", 1, 1000000) \
	X(VIOLATION_DAYS, NUMBER, "30", 1, 3650) \
	X(REPORT_DAYS, NUMBER, "7", 1, 3650) \
	X(LOG_LEVEL, TEXT, "info", 0, 0) \
	X(LOG_SUCCESS_PERCENT, NUMBER, "100", 0, 100) \
	X(ADMIN_CREDITS_PER_DAY, NUMBER, "1000", 0, 1000000000) \
	X(STREAMS_PER_ADDRESS_MAX, NUMBER, "500", 1, 1000000) \
	X(APPLEID_URL, TEXT, "", 0, 0) \
	X(APPLEID_CLIENT_IDS, TEXT, "", 0, 0) \
	X(APPLEID_KEY_ID, TEXT, "", 0, 0) \
	X(APPLEID_KEY_FILE, TEXT, "", 0, 0) \
	X(FAL_KEY, SECRET, "", 0, 0) \
	X(FAL_USER_ID, TEXT, "", 0, 0) \
	X(FAL_QUEUE_URL, TEXT, "", 0, 0) \
	X(FAL_PLATFORM_URL, TEXT, "", 0, 0) \
	X(FAL_JWKS_URL, TEXT, "", 0, 0) \
	X(REPLICATE_TOKEN, SECRET, "", 0, 0) \
	X(REPLICATE_URL, TEXT, "", 0, 0) \
	X(REPLICATE_WEBHOOK_SECRET, SECRET, "", 0, 0) \
	X(MEDIA_HOSTS, TEXT, "*.fal.media", 0, 0) \
	X(ALLOW_PRIVATE_UPSTREAMS, NUMBER, "0", 0, 1) \
	X(MEDIA_MIB_MAX, NUMBER, "0", 0, 1000000000) \
	X(MEDIA_FREE_MIB_MIN, NUMBER, "512", 0, 1000000000) \
	X(RESULT_DAYS, NUMBER, "7", 0, 3650) \
	X(UPLOAD_DAYS, NUMBER, "7", 0, 3650) \
	X(UPLOADS_MAX, NUMBER, "100", 1, 1000) \
	X(UPLOADS_MIB_MAX, NUMBER, "200", 1, 1000000) \
	X(FFMPEG, TEXT, "ffmpeg", 0, 0) \
	X(BACKUP_PASSPHRASE, SECRET, "", 0, 0) \
	X(BACKUP_RECIPIENT, TEXT, "", 0, 0) \
	X(BACKUP_S3_URL, TEXT, "", 0, 0) \
	X(BACKUP_S3_REGION, TEXT, "us-east-1", 0, 0) \
	X(BACKUP_S3_BUCKET, TEXT, "", 0, 0) \
	X(BACKUP_S3_KEY_ID, TEXT, "", 0, 0) \
	X(BACKUP_S3_SECRET, SECRET, "", 0, 0) \
	X(BACKUP_S3_DAILY, NUMBER, "7", 1, 3650) \
	X(BACKUP_S3_WEEKLY, NUMBER, "4", 0, 520) \
	X(BACKUP_AGE_H_MAX, NUMBER, "26", 0, 8760) \
	X(AUDIT_HOUR_UTC, NUMBER, "3", -1, 23) \
	X(SUMMARY_HOUR_UTC, NUMBER, "6", -1, 23) \
	X(NEW_USERS_INTERVAL_S, NUMBER, "3600", 1, 86400) \
	X(ALARM_FAILURES, NUMBER, "5", 1, 10000) \
	X(ALARM_HOLD_S, NUMBER, "60", 0, 86400) \
	X(ALARM_LOG_MIB, NUMBER, "64", 16, 1000000) \
	X(ERROR_BURST, NUMBER, "10", 1, 10000) \
	X(SENTRY_DSN, SECRET, "", 0, 0) \
	X(SENTRY_ENVIRONMENT, TEXT, "", 0, 0) \
	X(SENTRY_SAMPLE_PERCENT, NUMBER, "100", 0, 100) \
	X(RELEASE, TEXT, "rendio-backend", 0, 0) \
	X(TELEGRAM_URL, TEXT, "", 0, 0) \
	X(TELEGRAM_BOT_TOKEN, SECRET, "", 0, 0) \
	X(TELEGRAM_CHAT_ID, TEXT, "", 0, 0) \
	X(APNS_URL, TEXT, "", 0, 0) \
	X(APNS_KEY_ID, TEXT, "", 0, 0) \
	X(APNS_KEY_FILE, TEXT, "", 0, 0) \
	X(APNS_TOPIC, TEXT, "", 0, 0)

#define CONFIG_ENUM_ROW(key, kind, standard, least, largest) CONFIG_##key,
enum config_key { CONFIG_LIST(CONFIG_ENUM_ROW) CONFIG_MAX };
#undef CONFIG_ENUM_ROW

/* A value is at most this long: keys, URLs and lists of hosts fit easily. */
#define CONFIG_VALUE_BYTES_MAX ((size_t)4096)

/* A configuration file is at most this long. */
#define CONFIG_FILE_BYTES_MAX ((size_t)256 * 1024)

struct config {
	char *text[CONFIG_MAX];
	int64_t number[CONFIG_MAX];
};

/*
 * Reads the environment and the file that RENDIO_CONFIG names (default
 * STATE_DIR/rendio.conf, which may be missing).  On a mistake appends one line
 * that names it to `problem` and returns false.
 */
bool config_load(struct config *config, struct buf *problem);

/*
 * The same on bytes that came from anywhere; for tests and fuzzing.  The
 * environment has the form of environ(7).
 */
bool config_parse(struct config *config, struct str file,
    char *const *environment, struct buf *problem);

/* For a program that needs none of them: they become "". */
void config_forget_secrets(struct config *config);

void config_free(struct config *config);

/* Never NULL; "" when the key is not set. Lives as long as the config. */
const char *config_text(const struct config *config, enum config_key key);

int64_t config_number(const struct config *config, enum config_key key);

/* The full name, for example "RENDIO_PORT". */
const char *config_name(enum config_key key);

/* Does config_text(key) have a value? */
bool config_is_set(const struct config *config, enum config_key key);

/* MODE is sandbox; the only other mode is live. */
bool config_is_sandbox(const struct config *config);

/*
 * Reads a whole small file into `content`, trailing line ends cut when `trim`.
 * False with errno set when it cannot be read or is past the ceiling.
 */
bool config_read_file(const char *path, bool trim, struct buf *content);

#endif
