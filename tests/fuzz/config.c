/* SPDX-License-Identifier: MIT */
#include "base/config.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every value quoted, which is the form that keeps blanks at its ends. */
static void
write_config(const struct config *config, struct buf *out)
{
	for (int i = 0; i < CONFIG_MAX; i++) {
		const enum config_key key = (enum config_key)i;

		buf_appendf(out, "%s=\"%s\"\n", config_name(key),
		    config_text(config, key));
	}
}

/* A configuration that was understood says the same when written anew. */
static void
check_accepted(const struct config *config, struct buf *problem)
{
	static char *const no_environment[] = { NULL };
	struct config again;
	struct buf written;

	buf_init(&written, (size_t)CONFIG_MAX * (CONFIG_VALUE_BYTES_MAX + 64));
	write_config(config, &written);
	assert(!written.failed);
	assert(
	    config_parse(&again, buf_str(&written), no_environment, problem));
	for (int i = 0; i < CONFIG_MAX; i++) {
		const enum config_key key = (enum config_key)i;
		const struct str value = str_from(config_text(config, key));

		assert(value.len <= CONFIG_VALUE_BYTES_MAX);
		assert(str_is_utf8(value));
		assert(str_equal(value, str_from(config_text(&again, key))));
		assert(config->number[i] == again.number[i]);
	}
	assert(config_number(config, CONFIG_PORT) >= 1);
	assert(config_number(config, CONFIG_PORT) <= 65535);
	config_free(&again);
	buf_free(&written);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str file = { (const char *)data, size };
	char line[200] = "";
	char *const environment[] = { line, NULL };
	struct config config;
	struct buf problem;
	bool ok;

	/* The files of secrets are the machine's, not the fuzzer's. */
	if (memmem(data, size, "_FILE", 5) != NULL)
		return 0;
	buf_init(&problem, 4096);
	/* The same bytes also stand as a variable of the environment. */
	(void)str_copy(file, line, sizeof(line));
	ok = config_parse(&config, file, environment, &problem);
	assert(!problem.failed);
	assert(ok == (problem.len == 0));
	assert(str_is_utf8(buf_str(&problem)));
	if (ok)
		check_accepted(&config, &problem);
	config_free(&config);
	buf_free(&problem);
	return 0;
}
