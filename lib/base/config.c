/* SPDX-License-Identifier: MIT */
#include "base/config.h"
#include "base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

extern char **environ;

enum config_kind { TEXT, NUMBER, SECRET };

struct config_row {
	const char *name;
	enum config_kind kind;
	const char *standard;
	int64_t least;
	int64_t largest;
};

#define CONFIG_TABLE_ROW(key, kind, standard, least, largest) \
	[CONFIG_##key] = { "RENDIO_" #key, kind, standard, least, largest },
static const struct config_row rows[CONFIG_MAX] = { CONFIG_LIST(
    CONFIG_TABLE_ROW) };
#undef CONFIG_TABLE_ROW

/* Names the file itself, so it can only come from the environment. */
#define CONFIG_PATH_NAME "RENDIO_CONFIG"

const char *
config_name(enum config_key key)
{
	return rows[key].name;
}

const char *
config_text(const struct config *config, enum config_key key)
{
	assert(config->text[key] != NULL);
	return config->text[key];
}

int64_t
config_number(const struct config *config, enum config_key key)
{
	assert(rows[key].kind == NUMBER);
	return config->number[key];
}

bool
config_is_set(const struct config *config, enum config_key key)
{
	return config_text(config, key)[0] != '\0';
}

bool
config_is_sandbox(const struct config *config)
{
	return strcmp(config_text(config, CONFIG_MODE), "sandbox") == 0;
}

bool
config_read_file(const char *path, bool trim, struct buf *content)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	for (;;) {
		char chunk[4096];
		const ssize_t got = read(fd, chunk, sizeof(chunk));

		if (got < 0) {
			if (errno == EINTR)
				continue;
			return false;
		}
		/* A device may never end, so the ceiling ends it. */
		if (got == 0 || content->failed)
			break;
		buf_append(content, (struct str){ chunk, (size_t)got });
	}
	if (content->failed) {
		errno = EFBIG;
		return false;
	}
	while (trim && content->len > 0 &&
	    (content->ptr[content->len - 1] == '\n' ||
		content->ptr[content->len - 1] == '\r'))
		content->ptr[--content->len] = '\0';
	return true;
}

/* How many letters must be typed differently to turn a into b. */
static size_t
edit_distance(const char *a, const char *b)
{
	enum { COLUMNS = 64 };
	size_t row[COLUMNS + 1];
	const size_t b_len = strlen(b);

	if (b_len > COLUMNS)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			const size_t above = row[j];
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diagonal = above;
		}
	}
	return row[b_len];
}

static void
report_unknown(const char *name, struct buf *problem)
{
	const char *nearest = NULL;
	size_t nearest_distance = 6; /* further away is another word */

	for (int i = 0; i < CONFIG_MAX; i++) {
		const size_t distance = edit_distance(name, rows[i].name);

		if (distance < nearest_distance) {
			nearest = rows[i].name;
			nearest_distance = distance;
		}
	}
	buf_appendf(problem, "unknown key %.64s", name);
	if (nearest != NULL)
		buf_appendf(problem, ", did you mean %s?", nearest);
}

/* One line of text: a line break would reach headers and generated files. */
static bool
is_line(struct str value)
{
	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.ptr[i] < 0x20 || value.ptr[i] == 0x7f)
			return false;
	return str_is_utf8(value);
}

static bool
store(struct config *config, int key, struct str value, struct buf *problem)
{
	char *copy;

	if (value.len > CONFIG_VALUE_BYTES_MAX || !is_line(value)) {
		buf_appendf(problem, "%s is too long or not a line of text",
		    rows[key].name);
		return false;
	}
	if (rows[key].kind == NUMBER &&
	    !str_to_int64(value, rows[key].least, rows[key].largest,
		&config->number[key])) {
		buf_appendf(problem, "%s must be a number from %lld to %lld",
		    rows[key].name, (long long)rows[key].least,
		    (long long)rows[key].largest);
		return false;
	}
	copy = malloc(value.len + 1);
	if (copy == NULL)
		abort();
	(void)str_copy(value, copy, value.len + 1);
	free(config->text[key]);
	config->text[key] = copy;
	return true;
}

static bool
store_from_file(struct config *config, int key, struct str path,
    struct buf *problem)
{
	struct buf content;
	char name[CONFIG_VALUE_BYTES_MAX + 1];
	bool ok;

	buf_init(&content, CONFIG_VALUE_BYTES_MAX);
	if (!str_copy(path, name, sizeof(name)) ||
	    !config_read_file(name, true, &content)) {
		buf_appendf(problem, "%s_FILE cannot be read", rows[key].name);
		buf_free(&content);
		return false;
	}
	ok = store(config, key, buf_str(&content), problem);
	if (content.len > 0)
		explicit_bzero(content.ptr, content.len);
	buf_free(&content);
	return ok;
}

static bool
assign(struct config *config, struct str name, struct str value,
    struct buf *problem)
{
	char text[65];

	for (int i = 0; i < CONFIG_MAX; i++) {
		const struct str known = str_from(rows[i].name);

		if (str_equal(name, known))
			return store(config, i, value, problem);
		if (rows[i].kind == SECRET && str_starts_with(name, known) &&
		    str_equal((struct str){ name.ptr + known.len,
				  name.len - known.len },
			STR("_FILE")))
			return store_from_file(config, i, value, problem);
	}
	if (name.len > sizeof(text) - 1)
		name.len = sizeof(text) - 1;
	if (!str_is_utf8(name) || !str_copy(name, text, sizeof(text)))
		memcpy(text, "(not text)", sizeof("(not text)"));
	report_unknown(text, problem);
	return false;
}

static bool
parse_file(struct config *config, struct str file, struct buf *problem)
{
	for (int number = 1; file.len > 0; number++) {
		struct str line, rest, name, value;
		const size_t before = problem->len;

		(void)str_cut(file, '\n', &line, &rest);
		file = rest;
		if (str_ends_with(line, STR("\r")))
			line.len--;
		line = str_trim(line);
		if (line.len == 0 || line.ptr[0] == '#')
			continue;
		if (!str_cut(line, '=', &name, &value)) {
			buf_appendf(problem, "line %d is not KEY=value",
			    number);
			return false;
		}
		value = str_trim(value);
		/* systemd's EnvironmentFile allows quotes around a value. */
		if (value.len >= 2 && value.ptr[0] == '"' &&
		    value.ptr[value.len - 1] == '"') {
			value.ptr++;
			value.len -= 2;
		}
		if (!assign(config, str_trim(name), value, problem)) {
			if (problem->len > before)
				buf_appendf(problem, " (line %d)", number);
			return false;
		}
	}
	return true;
}

static bool
parse_environment(struct config *config, char *const *environment,
    struct buf *problem)
{
	for (; environment != NULL && *environment != NULL; environment++) {
		struct str name, value;

		if (!str_cut(str_from(*environment), '=', &name, &value) ||
		    !str_starts_with(name, STR("RENDIO_")) ||
		    str_equal(name, STR(CONFIG_PATH_NAME)))
			continue;
		if (!assign(config, name, value, problem))
			return false;
	}
	return true;
}

/* Paths are put after it: with a slash of its own no link would be found. */
static void
cut_slashes(char *url)
{
	size_t n = strlen(url);

	while (n > 0 && url[n - 1] == '/')
		url[--n] = '\0';
}

bool
config_parse(struct config *config, struct str file, char *const *environment,
    struct buf *problem)
{
	char url[64];

	*config = (struct config){ 0 };
	for (int i = 0; i < CONFIG_MAX; i++)
		if (!store(config, i, str_from(rows[i].standard), problem))
			return false;
	if (!parse_file(config, file, problem) ||
	    !parse_environment(config, environment, problem))
		return false;
	if (!config_is_sandbox(config) &&
	    strcmp(config_text(config, CONFIG_MODE), "live") != 0) {
		buf_appendf(problem, "RENDIO_MODE must be sandbox or live");
		return false;
	}
	if (config_number(config, CONFIG_DEVICECHECK_GRANT_BIT) ==
	    config_number(config, CONFIG_DEVICECHECK_BAN_BIT)) {
		buf_appendf(problem,
		    "RENDIO_DEVICECHECK_GRANT_BIT and "
		    "RENDIO_DEVICECHECK_BAN_BIT must differ");
		return false;
	}
	cut_slashes(config->text[CONFIG_PUBLIC_URL]);
	if (!config_is_set(config, CONFIG_PUBLIC_URL)) {
		(void)snprintf(url, sizeof(url), "https://127.0.0.1:%lld",
		    (long long)config_number(config, CONFIG_PORT));
		if (!store(config, CONFIG_PUBLIC_URL, str_from(url), problem))
			return false;
	}
	return true;
}

static const char *
environment_value(const char *name)
{
	const char *value = getenv(name);

	return value == NULL || value[0] == '\0' ? NULL : value;
}

bool
config_load(struct config *config, struct buf *problem)
{
	const char *path = environment_value(CONFIG_PATH_NAME);
	const char *state_dir = environment_value("RENDIO_STATE_DIR");
	char standard_path[CONFIG_VALUE_BYTES_MAX];
	struct buf file;
	bool ok;

	*config = (struct config){ 0 };
	if (path == NULL)
		(void)snprintf(standard_path, sizeof(standard_path),
		    "%s/rendio.conf",
		    state_dir == NULL ? rows[CONFIG_STATE_DIR].standard :
					state_dir);
	buf_init(&file, CONFIG_FILE_BYTES_MAX);
	if (!config_read_file(path == NULL ? standard_path : path, false,
		&file) &&
	    (path != NULL || errno != ENOENT)) {
		buf_appendf(problem, "%s cannot be read: %s",
		    path == NULL ? standard_path : path, strerror(errno));
		buf_free(&file);
		return false;
	}
	ok = config_parse(config, buf_str(&file), environ, problem);
	if (file.len > 0)
		explicit_bzero(file.ptr, file.len);
	buf_free(&file);
	return ok;
}

void
config_forget_secrets(struct config *config)
{
	for (int i = 0; i < CONFIG_MAX; i++)
		if (rows[i].kind == SECRET && config->text[i] != NULL)
			explicit_bzero(config->text[i],
			    strlen(config->text[i]));
}

void
config_free(struct config *config)
{
	for (int i = 0; i < CONFIG_MAX; i++) {
		if (config->text[i] == NULL)
			continue;
		if (rows[i].kind == SECRET)
			explicit_bzero(config->text[i],
			    strlen(config->text[i]));
		free(config->text[i]);
		config->text[i] = NULL;
	}
}
