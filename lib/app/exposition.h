/* SPDX-License-Identifier: MIT */
#ifndef APP_EXPOSITION_H
#define APP_EXPOSITION_H

#include "app/app.h"

/*
 * Exposition: the metrics as Prometheus reads them, text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 */
#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends all of them. Errors: those of the database. */
enum err exposition_write(struct app *app, int64_t now_ms, struct buf *text);

#endif
