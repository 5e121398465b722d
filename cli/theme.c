/* SPDX-License-Identifier: MIT */
/* rendio theme -- lists and changes themes. */

#include "catalog.h"

static enum err
write_theme(void *arg, const struct theme *t)
{
	struct json_writer *w = arg;

	json_begin_object(w, NULL);
	json_uuid(w, "id", &t->id);
	json_text(w, "name", t->name);
	json_text(w, "description", t->description);
	json_text(w, "thumbnail_url", t->thumbnail_url);
	json_text(w, "prompt", t->prompt);
	json_bool(w, "is_featured", t->is_featured);
	json_bool(w, "is_available", t->is_available);
	if (t->default_duration_s == 0)
		json_null(w, "default_duration_s");
	else
		json_int64(w, "default_duration_s", t->default_duration_s);
	json_text(w, "default_resolution", t->default_resolution);
	json_text(w, "default_aspect_ratio", t->default_aspect_ratio);
	json_end_object(w);
	return OK;
}

static enum err
print_theme(void *arg, const struct theme *t)
{
	char id[UUID_TEXT_BYTES];

	(void)arg;
	uuid_format(&t->id, id);
	(void)printf("%s  %-11s %-8s  %s\n", id,
	    t->is_available ? "available" : "unavailable",
	    t->is_featured ? "featured" : "", t->name);
	return OK;
}

static enum err
list_themes(const struct state *state, struct json_writer *w)
{
	return catalog_themes(state->db, w != NULL ? write_theme : print_theme,
	    w);
}

int
theme_list_command(const struct args *args)
{
	return cli_list(args, list_themes);
}

int
theme_set_command(const struct args *args)
{
	return catalog_set_fields(args, acts_set_theme, "theme_set");
}
