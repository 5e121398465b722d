/* SPDX-License-Identifier: MIT */
#include "wire/phoenix.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As much as a socket lets through; see realtime/socket.h. */
#define OUT_BYTES_MAX ((size_t)1024 * 1024)

static void
check_ref(struct str ref)
{
	assert(ref.ptr != NULL || ref.len == 0);
	assert(ref.len <= PHOENIX_REF_BYTES_MAX);
}

/* What is written is read back the same. */
static void
check_writing(struct arena *arena, enum phoenix_version version,
    const struct phoenix_message *m, struct buf *out)
{
	struct phoenix_message again;

	buf_clear(out);
	phoenix_write(version, m, STR("{}"), out);
	assert(phoenix_parse(arena, version, buf_str(out), &again));
	assert(str_equal(again.topic, m->topic));
	assert(str_equal(again.event, m->event));
	assert(str_equal(again.ref, m->ref));
	assert((again.ref.ptr == NULL) == (m->ref.ptr == NULL));
	assert(str_equal(again.join_ref, m->join_ref));
}

static void
check_join(struct arena *arena, const struct json *payload, struct buf *out)
{
	struct phoenix_join join;
	struct json_writer w;

	if (!phoenix_join_read(payload, &join))
		return;
	assert(join.wishes_count <= PHOENIX_WISHES_MAX);
	buf_clear(out);
	w = json_writer(out);
	json_begin_object(&w, NULL);
	phoenix_write_changes(&w, &join);
	json_end_object(&w);
	/* A reply has this much room; see confirm() in realtime/socket.c. */
	assert(out->len < (size_t)32 * 1024);
	assert(json_parse(arena, buf_str(out)) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str text = { (const char *)data, size };
	static struct arena arena;
	struct phoenix_message message;
	struct buf out;

	if (arena.base == NULL)
		arena_init(&arena, (size_t)64 * 1024 * 1024);
	buf_init(&out, OUT_BYTES_MAX);
	for (enum phoenix_version v = PHOENIX_1; v <= PHOENIX_2; v++) {
		arena_reset(&arena);
		if (!phoenix_parse(&arena, v, text, &message))
			continue;
		check_ref(message.ref);
		check_ref(message.join_ref);
		assert(message.topic.len <= PHOENIX_TOPIC_BYTES_MAX);
		assert(json_is_object(message.payload));
		check_writing(&arena, v, &message, &out);
		check_join(&arena, message.payload, &out);
	}
	buf_free(&out);
	return 0;
}
