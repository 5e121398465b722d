/* SPDX-License-Identifier: MIT */
#ifndef APP_SECTION_WRITER_H
#define APP_SECTION_WRITER_H

#include "domain/sections.h"
#include "wire/json_writer.h"

/*
 * Writes sections as JSON: "name":[{…},…], members of the present object.
 */
struct section_writer {
	struct json_writer *w;
	void (*row_written)(void *arg); /* after each row; NULL = nobody */
	void *arg;
};

/* A reader that writes with it; it must outlive the reader. */
struct section_reader section_writer_reader(struct section_writer *writer);

#endif
