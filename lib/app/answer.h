/* SPDX-License-Identifier: MIT */
#ifndef APP_ANSWER_H
#define APP_ANSWER_H

#include "app/app.h"

/*
 * Answers: how a response becomes bytes, and how an error is put in the words
 * of each area of the API.  The only place that writes headers.
 */

void answer_init(struct response *res, struct buf *body);

/* Gives the beginning of a large answer up, which waits in a file. */
void answer_forget_spool(struct response *res);

/* Makes the response say this error, in the endpoint's dialect. */
void answer_error(struct response *res, const struct endpoint *endpoint,
    const struct request *req, enum err err);

/* The same for an error that only one dialect knows. */
void answer_special(struct response *res, const struct endpoint *endpoint,
    const struct request *req, int status, const char *code, const char *text);

/*
 * Appends the head of a CGI response.  False, with a mistake of ours logged,
 * when a header's value could break out of its line.
 */
bool answer_head(const struct response *res, struct buf *head);

/* A method that an endpoint does not take; 404 where there is nothing at all. */
enum err
app_refuse_method(const struct endpoint *endpoint, const struct request *req);

#endif
