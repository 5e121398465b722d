/* SPDX-License-Identifier: MIT */
#include "provider/provider.h"

#include <assert.h>

const char *
provider_code_name(enum provider_code code)
{
	static const char *const names[PROVIDER_CODE_MAX] = {
		[PROVIDER_CODE_NONE] = "none",
		[PROVIDER_CODE_CONTENT] = "content_policy",
		[PROVIDER_CODE_IMAGE] = "image_rejected",
		[PROVIDER_CODE_INPUT] = "input_rejected",
		[PROVIDER_CODE_BUSY] = "provider_busy",
		[PROVIDER_CODE_TIMEOUT] = "generation_timeout",
		[PROVIDER_CODE_AUTH] = "provider_auth",
		[PROVIDER_CODE_LOCKED] = "provider_locked",
		[PROVIDER_CODE_MODEL_GONE] = "model_gone",
		[PROVIDER_CODE_CANCELED] = "canceled",
		[PROVIDER_CODE_EXPIRED] = "result_expired",
		[PROVIDER_CODE_NOT_FOUND] = "not_found",
		[PROVIDER_CODE_PROTOCOL] = "provider_protocol",
		[PROVIDER_CODE_PROVIDER] = "provider_error",
	};

	assert(code < PROVIDER_CODE_MAX);
	return names[code];
}

const struct provider *
provider_for(const struct config *config, const char *company)
{
	if (!config_is_sandbox(config))
		return NULL;
	/* Who configures a company wants it, not the stand-in. */
	if (strcmp(company, "fal") == 0 &&
	    config_is_set(config, CONFIG_FAL_KEY))
		return NULL;
	return &provider_sandbox;
}

void
provider_call_init(struct provider_call *call, const char *method)
{
	*call = (struct provider_call){ .method = method };
	buf_init(&call->body, PROVIDER_BODY_BYTES_MAX);
}

void
provider_call_free(struct provider_call *call)
{
	buf_free(&call->body);
}
