/* SPDX-License-Identifier: MIT */
#include "base/lang.h"

static const char *const lang_names[LANG_MAX] = {
	[LANG_EN] = "en",
	[LANG_TR] = "tr",
	[LANG_ES] = "es",
};

const char *
lang_name(enum lang lang)
{
	return lang_names[lang];
}

bool
lang_parse(struct str name, enum lang *ret_lang)
{
	for (int i = 0; i < LANG_MAX; i++) {
		if (str_equal(name, str_from(lang_names[i]))) {
			*ret_lang = (enum lang)i;
			return true;
		}
	}
	return false;
}

/* "q=0.8" in thousandths; 1000 when there is no weight, 0 when it is bad. */
static int
weight_of(struct str parameters)
{
	struct str whole, fraction;
	int weight;

	parameters = str_trim(parameters);
	if (parameters.len == 0)
		return 1000;
	if (parameters.len < 3 || (parameters.ptr[0] | 0x20) != 'q' ||
	    parameters.ptr[1] != '=')
		return 0;
	parameters.ptr += 2;
	parameters.len -= 2;
	(void)str_cut(parameters, '.', &whole, &fraction);
	if (str_equal(whole, STR("1")))
		return 1000;
	if (!str_equal(whole, STR("0")) || fraction.len > 3)
		return 0;
	weight = 0;
	for (size_t i = 0; i < 3; i++) {
		const char c = i < fraction.len ? fraction.ptr[i] : '0';

		if (c < '0' || c > '9')
			return 0;
		weight = weight * 10 + (c - '0');
	}
	return weight;
}

enum lang
lang_negotiate(struct str accept_language)
{
	enum lang best = LANG_EN;
	int best_weight = 0;

	while (accept_language.len > 0) {
		struct str item, rest, range, parameters, primary, region;
		enum lang lang;
		int weight;

		(void)str_cut(accept_language, ',', &item, &rest);
		accept_language = rest;
		(void)str_cut(item, ';', &range, &parameters);
		(void)str_cut(str_trim(range), '-', &primary, &region);
		weight = weight_of(parameters);
		for (int i = 0; i < LANG_MAX; i++) {
			lang = (enum lang)i;
			if (weight > best_weight &&
			    str_equal_nocase(primary,
				str_from(lang_name(lang)))) {
				best = lang;
				best_weight = weight;
			}
		}
	}
	return best;
}
