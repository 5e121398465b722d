/* SPDX-License-Identifier: MIT */
#include "engine.h"

#include "app/tickets.h"
#include "domain/sessions.h"

#include <assert.h>

static size_t
bucket_of(const uint8_t *bytes, size_t n)
{
	/* FNV-1a. */
	uint32_t hash = UINT32_C(2166136261);

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ bytes[i]) * UINT32_C(16777619);
	return hash % ENGINE_BUCKETS;
}

struct watch **
watches_of(struct engine *engine, const struct uuid *user_id)
{
	return &engine->watches[bucket_of(user_id->bytes, UUID_BYTES)];
}

enum err
watch_check(struct engine *engine, struct watch *watch)
{
	enum session_verdict verdict;
	enum err err;

	err = sessions_check(engine->app.db, &watch->session_id,
	    &watch->user_id, &verdict, &watch->lang);
	if (err != OK)
		return err;
	if (verdict == SESSION_BANNED)
		return ERR_USER_BANNED;
	return verdict == SESSION_ALIVE ? OK : ERR_UNAUTHORIZED;
}

static enum err
authorise(struct engine *engine, enum token_verdict verdict,
    const struct access_claims *claims, struct watch *watch)
{
	switch (verdict) {
	case TOKEN_OK:
		break;
	case TOKEN_EXPIRED:
		return ERR_TOKEN_EXPIRED;
	case TOKEN_BAD:
		return ERR_UNAUTHORIZED;
	}
	watch->user_id = claims->user_id;
	watch->session_id = claims->session_id;
	watch->expires_at_s = claims->expires_at_s;
	return watch_check(engine, watch);
}

enum err
watch_authorise(struct engine *engine, struct str token, struct watch *watch)
{
	struct access_claims claims = { 0 };
	const enum token_verdict verdict = tokens_read_access(&engine->app,
	    &engine->arena, token, engine->now_ms, &claims);

	return authorise(engine, verdict, &claims, watch);
}

/* False when it was shown before, or may have been: we do not know it. */
static bool
use_up(struct engine *engine, const struct ticket *ticket)
{
	struct used_ticket **bucket =
	    &engine->tickets[ticket->id.bytes[UUID_BYTES - 1] % TICKET_BUCKETS];
	struct used_ticket *used;

	if (ticket->made_at_ms <= engine->started_ms)
		return false;
	for (used = *bucket; used != NULL; used = used->next)
		if (uuid_equal(&used->id, &ticket->id))
			return false;
	used = calloc(1, sizeof(*used));
	if (used == NULL)
		abort();
	used->id = ticket->id;
	used->expires_at_ms = ticket->expires_at_ms;
	used->next = *bucket;
	*bucket = used;
	return true;
}

enum err
watch_authorise_ticket(struct engine *engine, struct str text,
    struct watch *watch)
{
	struct ticket ticket = { 0 };
	const enum token_verdict verdict = tickets_read(&engine->app.keys,
	    &engine->arena, text, engine->now_ms, &ticket);

	if (verdict == TOKEN_OK && !use_up(engine, &ticket))
		return ERR_UNAUTHORIZED;
	return authorise(engine, verdict, &ticket.claims, watch);
}

void
tickets_forget(struct engine *engine)
{
	for (size_t i = 0; i < TICKET_BUCKETS; i++) {
		struct used_ticket **link = &engine->tickets[i];

		while (*link != NULL) {
			struct used_ticket *used = *link;

			if (used->expires_at_ms > engine->now_ms) {
				link = &used->next;
				continue;
			}
			*link = used->next;
			free(used);
		}
	}
}

void
watch_begin(struct engine *engine, struct watch *watch, struct conn *conn)
{
	struct watch **bucket = watches_of(engine, &watch->user_id);

	assert(watch->link == NULL);
	watch->conn = conn;
	watch->next = *bucket;
	watch->link = bucket;
	if (watch->next != NULL)
		watch->next->link = &watch->next;
	*bucket = watch;
}

void
watch_stop(struct watch *watch)
{
	if (watch->link == NULL)
		return;
	*watch->link = watch->next;
	if (watch->next != NULL)
		watch->next->link = watch->link;
	watch->link = NULL;
	watch->next = NULL;
}

/* New ones stand in front, and those of one connection may lie apart. */
static bool
is_seen_later(const struct watch *watch)
{
	for (const struct watch *w = watch->next; w != NULL; w = w->next)
		if (w->conn == watch->conn &&
		    uuid_equal(&w->user_id, &watch->user_id))
			return true;
	return false;
}

size_t
watches_conns(struct engine *engine, const struct uuid *user_id,
    const struct conn *but, struct conn **ret_oldest)
{
	struct conn *oldest = NULL;
	int64_t oldest_ms = INT64_MAX;
	size_t count = 0;

	for (struct watch *w = *watches_of(engine, user_id); w != NULL;
	     w = w->next) {
		if (w->conn == but || !uuid_equal(&w->user_id, user_id) ||
		    is_seen_later(w))
			continue;
		count++;
		if (w->conn->opened_ms <= oldest_ms) {
			oldest = w->conn;
			oldest_ms = oldest->opened_ms;
		}
	}
	*ret_oldest = oldest;
	return count;
}

/* This machine itself is not limited, as in nginx/limits.conf. */
static bool
is_local(struct str name)
{
	return str_equal(name, STR("127.0.0.1")) ||
	    str_equal(name, STR("::1")) || str_equal(name, STR("unix:"));
}

static struct address **
addresses_of(struct engine *engine, struct str name)
{
	return &engine
		    ->addresses[bucket_of((const uint8_t *)name.ptr, name.len)];
}

static struct address *
find_address(struct engine *engine, struct str name)
{
	struct address *address = *addresses_of(engine, name);

	while (address != NULL && !str_equal(str_from(address->name), name))
		address = address->next;
	return address;
}

bool
address_has_room(struct engine *engine, struct str name)
{
	const struct address *address = find_address(engine, name);
	const size_t max = (size_t)config_number(&engine->app.config,
	    CONFIG_STREAMS_PER_ADDRESS_MAX);

	return is_local(name) || address == NULL || address->conns_count < max;
}

bool
address_enter(struct engine *engine, struct str name, struct conn *conn)
{
	struct address *address = find_address(engine, name);
	struct address **bucket = addresses_of(engine, name);

	if (!address_has_room(engine, name))
		return false;
	if (address == NULL) {
		address = calloc(1, sizeof(*address) + name.len + 1);
		if (address == NULL)
			abort();
		(void)str_copy(name, address->name, name.len + 1);
		address->next = *bucket;
		*bucket = address;
	}
	address->conns_count++;
	conn->address = address;
	return true;
}

void
address_leave(struct engine *engine, struct conn *conn)
{
	struct address *address = conn->address;
	struct address **link;

	if (address == NULL)
		return;
	conn->address = NULL;
	if (--address->conns_count > 0)
		return;
	link = addresses_of(engine, str_from(address->name));
	while (*link != address)
		link = &(*link)->next;
	*link = address->next;
	free(address);
}
