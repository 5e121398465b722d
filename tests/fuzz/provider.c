/* SPDX-License-Identifier: MIT */
/*
 * What providers answer and tell: the first byte chooses the question, the
 * second the status, the rest is the body, after headers up to an empty line.
 */
#include "provider/fal.h"
#include "provider/replicate.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int statuses[] = { 200, 201, 202, 400, 403, 404, 410, 413, 422,
	429, 499, 500, 504 };

static const struct provider_job job = {
	.endpoint = "fal-ai/veo3.1/fast",
	.prompt = "A sea",
	.image_field = "image_url",
	.duration_format = "%ds",
	.duration_s = 8,
	.seed = 7,
	.webhook_url = "https://a.example/hook",
};

static struct fetch_response
response_of(uint8_t choice, struct str text)
{
	struct fetch_response response = {
		.phase = FETCH_ANSWERED,
		.status =
		    statuses[choice % (sizeof(statuses) / sizeof(statuses[0]))],
		.body = text,
	};
	const char *end =
	    text.len == 0 ? NULL : memmem(text.ptr, text.len, "\r\n\r\n", 4);

	if (end != NULL) {
		response.headers.ptr = text.ptr;
		response.headers.len = (size_t)(end - text.ptr) + 2;
		response.body.ptr = end + 4;
		response.body.len =
		    text.len - response.headers.len - sizeof("\r\n") + 1;
	}
	return response;
}

/* An id or URL that we took is one that we can call. */
static void
check_handle(const struct provider *p, const struct config *config,
    const struct provider_handle *handle)
{
	struct provider_call call;

	assert(handle->request_id[0] != '\0');
	assert(p->poll_call(config, handle, &call));
	provider_call_free(&call);
	assert(p->cancel_call(config, handle, &call));
	provider_call_free(&call);
}

static void
ask(const struct provider *p, const struct config *config, uint8_t question,
    const struct fetch_response *response)
{
	char page[PROVIDER_PAGE_BYTES];
	struct provider_handle handle;
	struct provider_status status = { 0 };
	struct provider_error error;
	enum provider_class class;

	switch (question % 4) {
	case 0:
		class =
		    p->submit_answer(config, &job, response, &handle, &error);
		/* Accepted, it is known by a name; else never sent again. */
		if (class == PROVIDER_OK)
			check_handle(p, config, &handle);
		else if (response->status / 100 == 2)
			assert(class == PROVIDER_UNKNOWN);
		break;
	case 1:
		if (p->poll_answer(config, response, &status, &error) !=
		    PROVIDER_OK)
			break;
		assert(status.state != PROVIDER_DONE ||
		    status.video_url[0] != '\0');
		break;
	case 2:
		if (p->find_answer(config, &job, response, page, &handle,
			&status, &error) == PROVIDER_OK)
			check_handle(p, config, &handle);
		break;
	default:
		if (p->result_answer == NULL ||
		    p->result_answer(config, response, &status, &error) !=
			PROVIDER_OK)
			break;
		assert(status.state != PROVIDER_DONE ||
		    status.video_url[0] != '\0');
		break;
	}
}

static void
tell(struct str body)
{
	const struct fal_webhook fal = { .request_id = STR("a-1"),
		.user_id = STR("u"),
		.timestamp = STR("1790000000"),
		.signature = body,
		.body = body };
	const struct replicate_webhook replicate = { .id = STR("a"),
		.timestamp = STR("1790000000"),
		.signature = body,
		.body = body };
	struct provider_status status;
	static struct arena arena;
	struct str id;

	if (arena.base == NULL)
		arena_init(&arena, (size_t)64 * 1024 * 1024);
	arena_reset(&arena);
	(void)fal_webhook_read(&arena, &fal, &status);
	(void)fal_has_keys(&arena, body);
	(void)fal_webhook_is_signed(&arena, &fal, body, "", 1790000000);
	(void)replicate_webhook_read(&arena, body, &id, &status);
	assert(!replicate_webhook_is_signed(&replicate,
	    "whsec_c2VjcmV0c2VjcmV0c2VjcmV0", 1790000000));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config config;
	struct fetch_response response;
	struct buf problem;

	if (config.text[0] == NULL) {
		buf_init(&problem, 512);
		assert(config_parse(&config,
		    STR("RENDIO_FAL_KEY=k\nRENDIO_REPLICATE_TOKEN=t\n"), NULL,
		    &problem));
		buf_free(&problem);
	}
	if (size < 2)
		return 0;
	response = response_of(data[1],
	    (struct str){ (const char *)data + 2, size - 2 });
	if (data[0] % 16 == 15)
		tell(response.body);
	else
		ask(data[0] % 2 == 0 ? &provider_fal : &provider_replicate,
		    &config, data[0] / 2, &response);
	return 0;
}
