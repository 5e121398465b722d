/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target over the files given as arguments: the corpus and every
 * input that was once a find, without a fuzzing engine.
 */
#include "base/config.h"

/* No find was ever larger; libFuzzer's own default is 4096. */
#define INPUT_BYTES_MAX ((size_t)1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct buf input;

		buf_init(&input, INPUT_BYTES_MAX);
		if (!config_read_file(argv[i], false, &input)) {
			perror(argv[i]);
			return 1;
		}
		(void)LLVMFuzzerTestOneInput((const uint8_t *)input.ptr,
		    input.len);
		buf_free(&input);
	}
	(void)printf("%d inputs\n", argc - 1);
	return 0;
}
