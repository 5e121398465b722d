/* SPDX-License-Identifier: MIT */
#include "wire/phoenix.h"

bool
phoenix_version_parse(struct str text, enum phoenix_version *ret_version)
{
	if (text.len == 0 || str_equal(text, STR("1.0.0")))
		*ret_version = PHOENIX_1;
	else if (str_equal(text, STR("2.0.0")))
		*ret_version = PHOENIX_2;
	else
		return false;
	return true;
}

/* A text of bounded length, or for a ref that is absent nothing. */
static bool
read_ref(const struct json *value, struct str *ret_ref)
{
	*ret_ref = (struct str){ NULL, 0 };
	if (value == NULL || json_is_null(value))
		return true;
	return json_to_str(value, ret_ref) &&
	    ret_ref->len <= PHOENIX_REF_BYTES_MAX;
}

static bool
read_parts(const struct json *const part[5], struct phoenix_message *m)
{
	return read_ref(part[0], &m->join_ref) && read_ref(part[1], &m->ref) &&
	    json_to_str(part[2], &m->topic) &&
	    m->topic.len <= PHOENIX_TOPIC_BYTES_MAX &&
	    json_to_str(part[3], &m->event) && json_is_object(part[4]);
}

bool
phoenix_parse(struct arena *arena, enum phoenix_version version,
    struct str text, struct phoenix_message *ret_message)
{
	static const char *const names[5] = { "join_ref", "ref", "topic",
		"event", "payload" };
	const struct json *const root = json_parse(arena, text);
	const struct json *part[5] = { NULL };
	const struct json *element = json_first(root);
	struct phoenix_message m;

	if (version == PHOENIX_1 ? !json_is_object(root) : !json_is_array(root))
		return false;
	for (size_t i = 0; i < 5; i++) {
		if (version == PHOENIX_1) {
			part[i] = json_member(root, names[i]);
			continue;
		}
		if (element == NULL)
			return false;
		part[i] = element;
		element = json_next(element);
	}
	if (version == PHOENIX_2 && element != NULL)
		return false;
	if (!read_parts(part, &m))
		return false;
	m.payload = part[4];
	*ret_message = m;
	return true;
}

static void
write_ref(struct json_writer *w, const char *name, struct str ref)
{
	if (ref.ptr == NULL)
		json_null(w, name);
	else
		json_str(w, name, ref);
}

void
phoenix_write(enum phoenix_version version,
    const struct phoenix_message *message, struct str payload, struct buf *out)
{
	struct json_writer w = json_writer(out);

	if (version == PHOENIX_1) {
		json_begin_object(&w, NULL);
		json_str(&w, "topic", message->topic);
		json_str(&w, "event", message->event);
		json_raw(&w, "payload", payload);
		write_ref(&w, "ref", message->ref);
		write_ref(&w, "join_ref", message->join_ref);
		json_end_object(&w);
		return;
	}
	json_begin_array(&w, NULL);
	write_ref(&w, NULL, message->join_ref);
	write_ref(&w, NULL, message->ref);
	json_str(&w, NULL, message->topic);
	json_str(&w, NULL, message->event);
	json_raw(&w, NULL, payload);
	json_end_array(&w);
}

static bool
is_text(const struct json *value, struct str wanted)
{
	struct str text;

	return json_to_str(value, &text) && str_equal(text, wanted);
}

static const char *const change_names[] = { "event", "schema", "table",
	"filter" };

/* What is written back is short text, or not there. */
static bool
is_plain(const struct json *change)
{
	for (size_t i = 0; i < sizeof(change_names) / sizeof(change_names[0]);
	     i++) {
		const struct json *member =
		    json_member(change, change_names[i]);
		struct str text;

		if (member != NULL && !json_is_null(member) &&
		    (!json_to_str(member, &text) ||
			text.len > PHOENIX_CHANGE_TEXT_BYTES_MAX))
			return false;
	}
	return json_is_object(change);
}

static struct phoenix_wish
read_wish(const struct json *change)
{
	const struct json *event = json_member(change, "event");
	const struct json *filter = json_member(change, "filter");
	struct phoenix_wish wish = { .filter = PHOENIX_NOTHING };
	struct str text, column, value;

	if (!is_text(json_member(change, "schema"), STR("public")) ||
	    !is_text(json_member(change, "table"), STR("video_jobs")) ||
	    (!is_text(event, STR("UPDATE")) && !is_text(event, STR("*"))))
		return wish;
	if (filter == NULL || json_is_null(filter)) {
		wish.filter = PHOENIX_ALL_ROWS;
		return wish;
	}
	if (!json_to_str(filter, &text) ||
	    !str_cut(text, '=', &column, &value) ||
	    !str_starts_with(value, STR("eq.")) ||
	    !uuid_parse((struct str){ value.ptr + 3, value.len - 3 }, &wish.id))
		return wish;
	if (str_equal(column, STR("job_id")))
		wish.filter = PHOENIX_JOB;
	else if (str_equal(column, STR("user_id")))
		wish.filter = PHOENIX_USER;
	return wish;
}

bool
phoenix_join_read(const struct json *payload, struct phoenix_join *join)
{
	const struct json *config = json_member(payload, "config");
	const struct json *changes = json_member(config, "postgres_changes");
	const struct json *change;

	*join = (struct phoenix_join){ .access_token = STR("") };
	(void)json_to_str(json_member(payload, "access_token"),
	    &join->access_token);
	(void)json_to_bool(json_member(config, "private"), &join->is_private);
	if (!json_is_array(changes))
		return changes == NULL || json_is_null(changes);
	join->changes = changes;
	for (change = json_first(changes); change != NULL;
	     change = json_next(change)) {
		if (join->wishes_count == PHOENIX_WISHES_MAX ||
		    !is_plain(change))
			return false;
		join->wish[join->wishes_count++] = read_wish(change);
	}
	return true;
}

void
phoenix_write_changes(struct json_writer *w, const struct phoenix_join *join)
{
	const struct json *change;
	int64_t id = 1;

	json_begin_array(w, "postgres_changes");
	for (change = json_first(join->changes); change != NULL;
	     change = json_next(change)) {
		json_begin_object(w, NULL);
		json_int64(w, "id", id++);
		for (size_t i = 0;
		     i < sizeof(change_names) / sizeof(change_names[0]); i++) {
			const struct json *member =
			    json_member(change, change_names[i]);

			if (member != NULL)
				json_copy(w, change_names[i], member);
		}
		json_end_object(w);
	}
	json_end_array(w);
}
