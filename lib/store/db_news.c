/* SPDX-License-Identifier: MIT */
#include "store/db_private.h"

#include <assert.h>

void
db_on_commit(struct db *db, db_tell *tell, const void *what, size_t n)
{
	struct db_news *news;

	assert(db->is_writing);
	assert(n <= DB_NEWS_BYTES_MAX);
	if (db->news_count == db->news_max) {
		db->news_max = db->news_max == 0 ? 64 : db->news_max * 2;
		db->news =
		    realloc(db->news, db->news_max * sizeof(struct db_news));
		if (db->news == NULL)
			abort();
	}
	news = &db->news[db->news_count++];
	news->tell = tell;
	memcpy(news->what, what, n);
}

void
db_tell_news(struct db *db)
{
	for (size_t i = 0; i < db->news_count; i++)
		db->news[i].tell(db->news[i].what);
	db->news_count = 0;
}
