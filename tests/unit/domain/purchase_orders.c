/* SPDX-License-Identifier: MIT */
/* So many rows, looked at as a whole: purchases.c breaks the same calls. */
#define UNBROKEN
#include "purchases.h"

/*
 * Whatever the order in which we hear of purchases, refunds and reversals, in
 * how many copies and how late, and whatever was spent in between: the balance
 * is what the newest facts and the spending make it, and nothing else.
 */

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define ORDERS_MAX 1000 /* several times as slow */
#else
#define ORDERS_MAX 6000
#endif
#define SEED 20261122

/* A fresh database now and then, so that audits stay quick. */
#define ORDERS_A_DATABASE 40

#define TRANSACTIONS_MAX 3
#define EVENTS_MAX 64
#define JOBS_MAX 12

static uint64_t random_state;

static uint64_t
draw(uint64_t below)
{
	/* xorshift64*, so that a seed repeats its run. */
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * UINT64_C(2685821657736338717) >> 33) % below;
}

enum event_kind_here {
	POST,
	POST_BY_OTHER,
	NOTE,
	SPEND,
	HOLD,
	SETTLE,
	GIFT,
	MERGE
};

struct event {
	enum event_kind_here kind;
	struct purchase_fact fact;
	int64_t percent; /* of the balance, to be spent */
};

struct story {
	const struct fixture *f;
	struct uuid user;
	struct uuid other;
	struct event event[EVENTS_MAX];
	size_t events_count;
	/* What must be: by transaction the newest fact; what was spent. */
	struct purchase_fact newest[TRANSACTIONS_MAX];
	int64_t credits[TRANSACTIONS_MAX];
	size_t transactions_count;
	int64_t given;
	int64_t spent;
	struct uuid open[JOBS_MAX];
	int64_t open_credits[JOBS_MAX];
	size_t open_count;
	size_t jobs_count;
	bool is_merged;
};

static void
add(struct story *s, enum event_kind_here kind,
    const struct purchase_fact *fact)
{
	const size_t copies = fact == NULL || draw(3) > 0 ? 1 : 2 + draw(2);

	for (size_t i = 0; i < copies && s->events_count < EVENTS_MAX; i++) {
		struct event *event = &s->event[s->events_count++];

		event->kind = kind;
		event->percent = draw(3) == 0 ? 100 : 1 + (int64_t)draw(100);
		if (fact != NULL)
			event->fact = *fact;
	}
}

/* A transaction, all that Apple ever says of it, and who says it to us. */
static void
add_transaction(struct story *s, size_t number)
{
	static const struct {
		const char *product_id;
		int64_t credits;
	} products[] = { { STARTER, 25 }, { POPULAR, 60 }, { BEST, 150 } };
	const size_t product = draw(3);
	const size_t facts_count = 1 + draw(4);
	struct purchase_fact fact;
	char id[32];

	(void)snprintf(id, sizeof(id), "%llu%zu",
	    (unsigned long long)(1 + draw(UINT64_C(1) << 40)), number);
	fact = fact_of(id, products[product].product_id);
	fact.quantity = 1 + (int64_t)draw(2);
	fact.has_account_token = draw(2) == 0;
	if (fact.has_account_token)
		fact.account_token = token_of(s->f, &s->user);
	s->credits[number] = products[product].credits * fact.quantity;
	add(s, POST, &fact);
	if (fact.has_account_token && draw(3) == 0)
		add(s, POST_BY_OTHER, &fact);
	if (draw(2) == 0)
		add(s, NOTE, &fact);
	s->newest[number] = fact;
	for (size_t i = 1; i < facts_count; i++) {
		const int64_t part =
		    draw(2) == 0 ? PURCHASE_WHOLE : (int64_t)draw(100001);

		fact = later(fact, i % 2 == 1 ? part : 0, 1 + (int64_t)draw(9));
		add(s, NOTE, &fact);
		s->newest[number] = fact;
	}
}

static void
shuffle(struct story *s)
{
	for (size_t i = s->events_count; i > 1; i--) {
		const size_t j = draw(i);
		const struct event event = s->event[i - 1];

		s->event[i - 1] = s->event[j];
		s->event[j] = event;
	}
}

static void
begin_job(struct story *s, int64_t percent)
{
	const int64_t credits = balance_of(s->f, &s->user) * percent / 100;
	char key[32];

	if (credits == 0 || s->open_count >= 2 || s->jobs_count >= JOBS_MAX)
		return;
	(void)snprintf(key, sizeof(key), "key-%zu", s->jobs_count++);
	s->open[s->open_count] = job_for(s->f, &s->user, key, credits);
	s->open_credits[s->open_count++] = credits;
}

static void
settle_job(struct story *s, bool is_delivered)
{
	const size_t i = s->open_count == 0 ? 0 : draw(s->open_count);

	if (s->open_count == 0)
		return;
	end(s->f, &s->user, &s->open[i], is_delivered);
	if (is_delivered)
		s->spent += s->open_credits[i];
	s->open_count--;
	s->open[i] = s->open[s->open_count];
	s->open_credits[i] = s->open_credits[s->open_count];
}

static void
run_event(struct story *s, const struct event *event)
{
	struct purchase_receipt receipt;
	enum err err;

	switch (event->kind) {
	case POST:
		/* Somebody who was merged posts as the heir. */
		assert_int_equal(post_by(s->f, &s->user, &event->fact,
				     &receipt),
		    OK);
		assert_int_equal(receipt.balance, balance_of(s->f, &s->user));
		break;
	case POST_BY_OTHER:
		err = post_by(s->f, &s->other, &event->fact, &receipt);
		assert_int_equal(err,
		    s->is_merged ? OK : ERR_PURCHASE_BELONGS_TO_OTHER_ACCOUNT);
		break;
	case NOTE:
		(void)noted(s->f, &event->fact);
		break;
	case SPEND:
		begin_job(s, event->percent);
		settle_job(s, true);
		break;
	case HOLD:
		begin_job(s, event->percent);
		break;
	case SETTLE:
		settle_job(s, draw(2) == 0);
		break;
	case GIFT:
		assert_int_equal(adjust(s->f, &s->user, 7), OK);
		s->given += 7;
		break;
	case MERGE:
		/* The account becomes part of another, which had nothing. */
		if (s->is_merged)
			break;
		merge(s->f, &s->user, &s->other);
		s->user = s->other;
		s->is_merged = true;
		break;
	}
}

static void
check(const struct story *s, uint64_t seed, size_t order)
{
	int64_t net = s->given - s->spent, held = 0, balance, debt;

	for (size_t i = 0; i < s->transactions_count; i++)
		net += s->credits[i] -
		    s->credits[i] * s->newest[i].refund_millipercent /
			PURCHASE_WHOLE;
	for (size_t i = 0; i < s->open_count; i++)
		held += s->open_credits[i];
	net -= held;
	balance = balance_of(s->f, &s->user);
	debt = debt_of(s->f, &s->user);
	if (balance != (net > 0 ? net : 0) || debt != (net < 0 ? -net : 0))
		fail_msg("seed %llu, order %zu: %lld credits and a debt of"
			 " %lld instead of %lld",
		    (unsigned long long)seed, order, (long long)balance,
		    (long long)debt, (long long)net);
}

struct two {
	struct uuid first, second;
};

static enum err
make_two(struct db *db, void *arg)
{
	struct two *two = arg;
	const enum err err =
	    accounts_create_guest(db, LANG_EN, NOW, &two->first);

	return err != OK ?
	    err :
	    accounts_create_guest(db, LANG_EN, NOW, &two->second);
}

static void
tell_story(const struct fixture *f, uint64_t seed, size_t order)
{
	static struct story story;
	struct story *s = &story;
	struct two two;

	assert_int_equal(db_transaction(f->db, make_two, &two), OK);
	*s = (struct story){ .f = f, .user = two.first, .other = two.second };
	s->transactions_count = 1 + draw(TRANSACTIONS_MAX);
	for (size_t i = 0; i < s->transactions_count; i++)
		add_transaction(s, i);
	for (size_t i = draw(4); i > 0; i--)
		add(s, SPEND, NULL);
	for (size_t i = draw(3); i > 0; i--)
		add(s, HOLD, NULL);
	for (size_t i = draw(3); i > 0; i--)
		add(s, SETTLE, NULL);
	if (draw(4) == 0)
		add(s, GIFT, NULL);
	if (draw(8) == 0)
		add(s, MERGE, NULL);
	shuffle(s);
	for (size_t i = 0; i < s->events_count; i++)
		run_event(s, &s->event[i]);
	check(s, seed, order);
	while (s->open_count > 0)
		settle_job(s, draw(2) == 0);
	check(s, seed, order);
	assert_null(problem_of(f, &s->user));
}

static void
every_order_ends_in_the_same_balance(void **state)
{
	const uint64_t seed = SEED;

	random_state = seed;
	for (size_t order = 0; order < ORDERS_MAX; order++) {
		if (order % ORDERS_A_DATABASE == 0) {
			if (order > 0)
				assert_int_equal(tear_down(state), 0);
			assert_int_equal(set_up(state), 0);
			/* What is tested is no power cut. */
			assert_int_equal(db_script(((struct fixture *)*state)
						       ->db,
					     "PRAGMA synchronous = OFF"),
			    OK);
		}
		tell_story(*state, seed, order);
		if (order % ORDERS_A_DATABASE == ORDERS_A_DATABASE - 1)
			assert_audit_clean(*state);
	}
}

static int
leave(void **state)
{
	return tear_down(state);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(every_order_ends_in_the_same_balance,
		    leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
