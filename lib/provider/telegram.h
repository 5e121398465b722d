/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_TELEGRAM_H
#define PROVIDER_TELEGRAM_H

#include "provider/provider.h"

/*
 * Telegram: messages of our bot to the operator's chat (Bot API, sendMessage).
 * A translator as provider.h's: it sends nothing itself.
 *
 * The bot's token is part of the URL: a call is never logged.
 */

/* Characters that Telegram takes in one message; no byte makes more. */
#define TELEGRAM_TEXT_BYTES_MAX ((size_t)4096)

/* RENDIO_TELEGRAM_BOT_TOKEN and _CHAT_ID are set; else nothing is sent. */
bool telegram_is_on(const struct config *config);

/* False when token or URL do not make a URL. */
bool telegram_call(const struct config *config, struct str text,
    struct provider_call *call);

/* Asks whether the bot is in the chat, without a word in it. */
bool
telegram_chat_call(const struct config *config, struct provider_call *call);

enum telegram_verdict {
	TELEGRAM_SENT,
	TELEGRAM_LATER, /* certainly not: busy, or not reached */
	TELEGRAM_DOUBTFUL, /* perhaps: no whole answer */
	TELEGRAM_REFUSED, /* the token, the chat: for the operator to mend */
};

/* *ret_wait_ms: how long Telegram wants us to be silent; 0 = not told. */
enum telegram_verdict
telegram_answer(const struct fetch_response *response, int64_t *ret_wait_ms);

#endif
