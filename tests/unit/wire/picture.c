/* SPDX-License-Identifier: MIT */
#include "wire/picture.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* A JPEG of nothing but what its container needs; the size is at 7. */
#define HEAD "\xff\xd8"
#define FRAME(h, w) "\xff\xc0\x00\x0b\x08" h w "\x01\x01\x11\x00"
#define SCAN \
	"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" \
	"abc"
#define TAIL "\xff\xd9"
#define SMALL FRAME("\x00\x18", "\x00\x10")

/* Its bytes, all but the literal's last NUL. */
#define BYTES(literal) ((struct str){ literal, sizeof(literal) - 1 })

static enum picture_verdict
verdict(struct str bytes)
{
	static struct picture picture;

	return picture_read(bytes, &picture);
}

/* What is kept, one after the other. */
static struct str
kept(struct str bytes)
{
	static struct picture picture;
	static char text[4096];
	size_t n = 0;

	assert_int_equal(picture_read(bytes, &picture), PICTURE_OK);
	for (size_t i = 0; i < picture.pieces_count; i++) {
		memcpy(text + n, picture.piece[i].ptr, picture.piece[i].len);
		n += picture.piece[i].len;
	}
	assert_int_equal(n, picture.bytes);
	return (struct str){ text, n };
}

static void
a_jpeg_that_tells_nothing_is_kept_as_it_is(void **state)
{
	const struct str plain = BYTES(HEAD SMALL SCAN TAIL);
	static struct picture picture;

	(void)state;
	assert_true(str_equal(kept(plain), plain));
	assert_int_equal(picture_read(plain, &picture), PICTURE_OK);
	assert_int_equal(picture.type, PICTURE_JPEG);
	assert_int_equal(picture.width, 16);
	assert_int_equal(picture.height, 24);
	assert_int_equal(picture.pieces_count, 1);
}

static void
what_a_jpeg_tells_is_left_out(void **state)
{
	const struct str plain = BYTES(HEAD SMALL SCAN TAIL);

	(void)state;
	assert_true(str_equal(kept(BYTES(HEAD "\xff\xe1\x00\x0a"
					      "Exif\0\0xx" SMALL SCAN TAIL)),
	    plain));
	assert_true(str_equal(kept(BYTES(HEAD "\xff\xfe\x00\x05"
					      "abc" SMALL SCAN TAIL)),
	    plain));
	assert_true(str_equal(kept(BYTES(HEAD SMALL "\xff\xed\x00\x05"
						    "abc" SCAN TAIL)),
	    plain));
	assert_true(str_equal(kept(BYTES(HEAD SMALL SCAN "\xff\xe9\x00\x02" TAIL
							 "after the end")),
	    plain));
	/* Fill bytes before a marker mean nothing. */
	assert_true(
	    str_equal(kept(BYTES(HEAD "\xff\xff" SMALL SCAN TAIL)), plain));
}

static void
colours_are_kept(void **state)
{
	const struct str all = BYTES(HEAD "\xff\xe0\x00\x07JFIF\0"
					  "\xff\xe2\x00\x0fICC_PROFILE\0p"
					  "\xff\xee\x00\x07"
					  "Adobe" SMALL SCAN TAIL);

	(void)state;
	assert_true(str_equal(kept(all), all));
}

static void
a_restart_marker_and_a_stuffed_byte_are_data(void **state)
{
	const struct str data = BYTES(HEAD SMALL SCAN "\xff\x00"
						      "a"
						      "\xff\xd0"
						      "b"
						      "\xff\xd7" TAIL);

	(void)state;
	assert_true(str_equal(kept(data), data));
}

static void
a_broken_jpeg_is_none(void **state)
{
	static const struct str broken[] = {
		BYTES(HEAD SMALL SCAN), /* no end */
		BYTES(HEAD SMALL TAIL), /* no scan */
		BYTES(HEAD SCAN TAIL), /* no frame */
		BYTES(HEAD SMALL SMALL SCAN TAIL), /* two frames */
		BYTES(HEAD FRAME("\0\0", "\0\1") SCAN TAIL),
		BYTES(HEAD FRAME("\0\1", "\0\0") SCAN TAIL),
		BYTES(HEAD "\xff\xfe\x00\x01" SMALL SCAN TAIL), /* too short */
		BYTES(HEAD "\xff\xfe\xff\xff" SMALL SCAN TAIL), /* too long */
		BYTES(HEAD "\xff\xc3\x00\x02" SMALL SCAN TAIL), /* lossless */
		BYTES(HEAD "x" SMALL SCAN TAIL),
		BYTES(HEAD "\xff"),
		BYTES(HEAD "\xff\xff"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		assert_int_equal(verdict(broken[i]), PICTURE_UNKNOWN);
}

static void
no_prefix_of_a_picture_is_a_picture(void **state)
{
	const struct str whole = BYTES(HEAD SMALL SCAN TAIL);

	(void)state;
	for (size_t n = 0; n < whole.len; n++)
		assert_int_equal(verdict((struct str){ whole.ptr, n }),
		    PICTURE_UNKNOWN);
}

static void
sides_and_pixels_have_limits(void **state)
{
	static const struct {
		struct str bytes;
		enum picture_verdict verdict;
	} cases[] = {
		/* 16384 x 1, 16385 x 1; 7071 x 7071 is below 50 million. */
		{ BYTES(HEAD FRAME("\x40\x00", "\0\1") SCAN TAIL), PICTURE_OK },
		{ BYTES(HEAD FRAME("\x40\x01", "\0\1") SCAN TAIL),
		    PICTURE_TOO_LARGE },
		{ BYTES(HEAD FRAME("\0\1", "\x40\x01") SCAN TAIL),
		    PICTURE_TOO_LARGE },
		{ BYTES(HEAD FRAME("\x1b\x9f", "\x1b\x9f") SCAN TAIL),
		    PICTURE_OK },
		{ BYTES(HEAD FRAME("\x1b\xa0", "\x1b\xa0") SCAN TAIL),
		    PICTURE_TOO_LARGE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(verdict(cases[i].bytes), cases[i].verdict);
}

/* 63 gaps make 64 pieces; with one more there are too many. */
static void
a_picture_of_too_many_pieces_is_none(void **state)
{
	(void)state;
	for (int gaps = 62; gaps <= 64; gaps++) {
		struct buf bytes;

		buf_init(&bytes, 4096);
		buf_append(&bytes, BYTES(HEAD SMALL));
		for (int i = 0; i < gaps; i++)
			buf_append(&bytes,
			    BYTES("\xff\xfe\x00\x03x\xff\xdd\x00\x04\x00\x00"));
		buf_append(&bytes, BYTES(SCAN TAIL));
		assert_int_equal(verdict(buf_str(&bytes)),
		    gaps + 1 <= PICTURE_PIECES_MAX ? PICTURE_OK :
						     PICTURE_UNKNOWN);
		buf_free(&bytes);
	}
}

static void
others_are_unknown(void **state)
{
	(void)state;
	assert_int_equal(verdict(STR("")), PICTURE_UNKNOWN);
	assert_int_equal(verdict(STR("GIF89a")), PICTURE_UNKNOWN);
	assert_int_equal(verdict(STR("RIFF")), PICTURE_UNKNOWN);
	assert_int_equal(verdict(BYTES("RIFF\4\0\0\0WEBP")), PICTURE_UNKNOWN);
	assert_int_equal(verdict(BYTES("RIFF\xff\xff\xff\xffWEBPVP8 ")),
	    PICTURE_UNKNOWN);
	assert_int_equal(verdict(BYTES("\x89PNG\r\n\x1a\n")), PICTURE_UNKNOWN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_jpeg_that_tells_nothing_is_kept_as_it_is),
		cmocka_unit_test(what_a_jpeg_tells_is_left_out),
		cmocka_unit_test(colours_are_kept),
		cmocka_unit_test(a_restart_marker_and_a_stuffed_byte_are_data),
		cmocka_unit_test(a_broken_jpeg_is_none),
		cmocka_unit_test(no_prefix_of_a_picture_is_a_picture),
		cmocka_unit_test(sides_and_pixels_have_limits),
		cmocka_unit_test(a_picture_of_too_many_pieces_is_none),
		cmocka_unit_test(others_are_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
