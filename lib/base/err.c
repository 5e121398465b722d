/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <assert.h>

struct err_row {
	int status;
	const char *code;
	const char *text[LANG_MAX];
};

#define ERR_TABLE_ROW(symbol, http_status, code_text, en, tr, es) \
	[symbol] = { .status = (http_status), \
		.code = (code_text), \
		.text = { [LANG_EN] = (en), \
		    [LANG_TR] = (tr), \
		    [LANG_ES] = (es) } },
static const struct err_row err_rows[ERR_MAX] = { ERR_LIST(ERR_TABLE_ROW) };
#undef ERR_TABLE_ROW

int
err_status(enum err err)
{
	assert(err < ERR_MAX);
	return err_rows[err].status;
}

const char *
err_code(enum err err)
{
	assert(err < ERR_MAX);
	return err_rows[err].code;
}

const char *
err_text(enum err err, enum lang lang)
{
	assert(err < ERR_MAX);
	assert(lang < LANG_MAX);
	return err_rows[err].text[lang];
}
