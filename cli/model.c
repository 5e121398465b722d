/* SPDX-License-Identifier: MIT */
/* rendio model -- lists and changes models. */

#include "catalog.h"

#include "domain/costs.h"

static void
write_setting(struct json_writer *w, const char *name,
    const struct model_setting *setting)
{
	json_begin_array(w, name);
	for (size_t i = 0; i < setting->count; i++)
		json_text(w, NULL, setting->value[i]);
	json_end_array(w);
}

static enum err
write_model(void *arg, const struct model *m)
{
	struct json_writer *w = arg;

	json_begin_object(w, NULL);
	json_uuid(w, "id", &m->id);
	json_text(w, "company", m->company);
	json_text(w, "endpoint", m->endpoint);
	json_text(w, "name", m->name);
	json_text(w, "category", m->category);
	json_text(w, "description", m->description);
	json_text(w, "thumbnail_url", m->thumbnail_url);
	json_text(w, "state", m->state);
	json_bool(w, "is_active", m->is_active);
	json_bool(w, "is_featured", m->is_featured);
	json_bool(w, "requires_image", m->requires_image);
	json_int64(w, "cost_per_generation", m->cost_per_generation_credits);
	write_setting(w, "duration", &m->setting[SETTING_DURATION]);
	write_setting(w, "resolution", &m->setting[SETTING_RESOLUTION]);
	write_setting(w, "aspect_ratio", &m->setting[SETTING_ASPECT_RATIO]);
	json_end_object(w);
	return OK;
}

static enum err
print_model(void *arg, const struct model *m)
{
	char id[UUID_TEXT_BYTES];

	(void)arg;
	uuid_format(&m->id, id);
	(void)printf("%s  %-9s %-6s %5lld  %-20s  %s\n", id, m->state,
	    m->is_active ? "active" : "",
	    (long long)m->cost_per_generation_credits, m->name, m->endpoint);
	return OK;
}

static void
warn_loss(void *arg, const char *endpoint, const char *resolution,
    bool has_audio, int64_t price_micro_usd, int64_t cost_micro_usd)
{
	(void)arg;
	(void)fprintf(stderr,
	    "rendio: warning: a second of %s, %s %s, brings %.3f USD and costs"
	    " %.3f USD\n",
	    endpoint, resolution, has_audio ? "with sound" : "silent",
	    (double)price_micro_usd / 1e6, (double)cost_micro_usd / 1e6);
}

/* A model whose credits are worth less than it costs. */
static void
warn_losses(const struct state *state)
{
	(void)costs_losses(state->db,
	    config_number(&state->config, CONFIG_CREDIT_VALUE_MICRO_USD),
	    warn_loss, NULL);
}

static enum err
list_models(const struct state *state, struct json_writer *w)
{
	const enum err err =
	    catalog_models(state->db, w != NULL ? write_model : print_model, w);

	warn_losses(state);
	return err;
}

int
model_list_command(const struct args *args)
{
	return cli_list(args, list_models);
}

int
model_set_command(const struct args *args)
{
	const int result =
	    catalog_set_fields(args, acts_set_model, "model_set");
	struct state state;

	if (result == CLI_OK) {
		cli_open(&state, STATE_READ);
		warn_losses(&state);
		state_close(&state);
	}
	return result;
}
