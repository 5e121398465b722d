/* SPDX-License-Identifier: MIT */
#include "wire/picture.h"

#include <assert.h>

/* A picture being read; `failed` also when it falls into too many pieces. */
struct reader {
	struct picture *picture;
	const uint8_t *in;
	size_t n;
	bool failed;
};

static uint32_t
be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t
be32(const uint8_t *p)
{
	return be16(p) << 16 | be16(p + 2);
}

static uint32_t
le16(const uint8_t *p)
{
	return (uint32_t)p[1] << 8 | p[0];
}

static uint32_t
le32(const uint8_t *p)
{
	return le16(p + 2) << 16 | le16(p);
}

/* Adds to what is kept; neighbours become one piece. */
static void
keep(struct reader *r, const void *bytes, size_t n)
{
	struct picture *p = r->picture;
	const struct str piece = { bytes, n };

	p->bytes += n;
	if (p->pieces_count > 0) {
		struct str *last = &p->piece[p->pieces_count - 1];

		if (last->ptr + last->len == piece.ptr) {
			last->len += n;
			return;
		}
	}
	if (p->pieces_count == PICTURE_PIECES_MAX) {
		r->failed = true;
		return;
	}
	p->piece[p->pieces_count++] = piece;
}

static bool
begins(const uint8_t *bytes, size_t n, struct str with)
{
	return n >= with.len && memcmp(bytes, with.ptr, with.len) == 0;
}

/*
 * The orientation in a TIFF structure's first directory, 1 to 8; 0 when it
 * has none or cannot be read.
 */
static uint32_t
read_orientation(const uint8_t *tiff, size_t n)
{
	const bool is_big = begins(tiff, n, STR("MM\0*"));
	uint32_t (*const get16)(const uint8_t *) = is_big ? be16 : le16;
	uint32_t (*const get32)(const uint8_t *) = is_big ? be32 : le32;
	size_t at, count;

	if (n < 8 || (!is_big && !begins(tiff, n, STR("II*\0"))))
		return 0;
	at = get32(tiff + 4);
	if (at > n || n - at < 2)
		return 0;
	count = get16(tiff + at);
	for (at += 2; count > 0 && n - at >= 12; count--, at += 12) {
		uint32_t value;

		/* Orientation, one SHORT. */
		if (get16(tiff + at) != 0x0112 || get16(tiff + at + 2) != 3 ||
		    get32(tiff + at + 4) != 1)
			continue;
		value = get16(tiff + at + 8);
		return value <= 8 ? value : 0;
	}
	return 0;
}

/* An Exif segment that says nothing but the orientation. */
static void
keep_orientation(struct reader *r, uint32_t orientation)
{
	static const uint8_t segment[PICTURE_OWN_BYTES] = { 0xff, 0xe1, 0, 34,
		'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1,
		0x01, 0x12, 0, 3, 0, 0, 0, 1 };
	uint8_t *own = r->picture->own;

	memcpy(own, segment, sizeof(segment));
	own[29] = (uint8_t)orientation;
	keep(r, own, sizeof(segment));
}

/* Application data: colours are needed, the rest tells too much. */
static void
read_application_data(struct reader *r, const uint8_t *segment, size_t n,
    bool *has_orientation)
{
	static const uint8_t exif[] = { 'E', 'x', 'i', 'f', 0, 0 };
	const uint8_t *data = segment + 4;
	const size_t data_n = n - 4;
	uint32_t orientation;

	switch (segment[1]) {
	case 0xe0:
		if (begins(data, data_n, STR("JFIF\0")))
			keep(r, segment, n);
		break;
	case 0xe1:
		if (*has_orientation || data_n < sizeof(exif) ||
		    memcmp(data, exif, sizeof(exif)) != 0)
			break;
		orientation = read_orientation(data + sizeof(exif),
		    data_n - sizeof(exif));
		if (orientation > 0)
			keep_orientation(r, orientation);
		*has_orientation = orientation > 0;
		break;
	case 0xe2:
		if (begins(data, data_n, STR("ICC_PROFILE\0")))
			keep(r, segment, n);
		break;
	case 0xee:
		if (begins(data, data_n, STR("Adobe")))
			keep(r, segment, n);
		break;
	default:
		break;
	}
}

/* Where the compressed data that begins at `at` ends: at a marker. */
static size_t
end_of_scan(const struct reader *r, size_t at)
{
	for (; r->n - at >= 2; at++) {
		const uint8_t next = r->in[at + 1];

		if (r->in[at] == 0xff && next != 0 && next != 0xff &&
		    (next < 0xd0 || next > 0xd7))
			return at;
	}
	return r->n;
}

/* Baseline, extended or progressive: what every decoder can. */
static bool
read_frame(struct picture *p, const uint8_t *segment, size_t n)
{
	if (p->width != 0 || n < 10 || segment[4] != 8 ||
	    n != 10 + (size_t)segment[9] * 3)
		return false;
	p->height = be16(segment + 5);
	p->width = be16(segment + 7);
	return segment[9] == 1 || segment[9] == 3 || segment[9] == 4;
}

/* One segment that has a length; false when no such may be here. */
static bool
read_segment(struct reader *r, const uint8_t *segment, size_t n,
    bool *has_orientation)
{
	const uint8_t marker = segment[1];

	switch (marker) {
	case 0xc0:
	case 0xc1:
	case 0xc2:
		keep(r, segment, n);
		return read_frame(r->picture, segment, n);
	case 0xc4: /* tables */
	case 0xdb:
	case 0xdd:
		keep(r, segment, n);
		return true;
	case 0xda:
		keep(r, segment, n);
		return r->picture->width != 0;
	case 0xfe: /* a comment */
		return true;
	default:
		if (marker < 0xe0 || marker > 0xef)
			return false;
		read_application_data(r, segment, n, has_orientation);
		return true;
	}
}

/* ITU-T T.81, annex B. */
static bool
read_jpeg(struct reader *r)
{
	bool has_orientation = false, has_scan = false;
	size_t at = 2;

	keep(r, r->in, 2);
	while (r->n - at >= 2 && r->in[at] == 0xff) {
		const uint8_t *segment = r->in + at;
		size_t n;

		if (segment[1] == 0xff) { /* a fill byte */
			at++;
			continue;
		}
		if (segment[1] == 0xd9) {
			keep(r, segment, 2);
			return has_scan;
		}
		if (r->n - at < 4)
			return false;
		n = 2 + (size_t)be16(segment + 2);
		if (n < 4 || n > r->n - at ||
		    !read_segment(r, segment, n, &has_orientation))
			return false;
		at += n;
		if (segment[1] == 0xda) {
			const size_t end = end_of_scan(r, at);

			keep(r, r->in + at, end - at);
			at = end;
			has_scan = true;
		}
	}
	return false;
}

/* Chunks that change how the picture looks. */
static bool
is_png_chunk_needed(const uint8_t *type)
{
	static const char names[] =
	    "IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP cICP sBIT bKGD pHYs";

	for (size_t i = 0; i < sizeof(names) - 1; i += 5)
		if (memcmp(names + i, type, 4) == 0)
			return true;
	return false;
}

/* ISO/IEC 15948; checksums are left to who decodes. */
static bool
read_png(struct reader *r)
{
	struct picture *p = r->picture;
	bool has_data = false;
	size_t at = 8;

	keep(r, r->in, 8);
	while (r->n - at >= 12) {
		const uint8_t *chunk = r->in + at;
		const uint8_t *type = chunk + 4;
		const size_t n = 12 + (size_t)be32(chunk);
		const bool is_header = memcmp(type, "IHDR", 4) == 0;

		if (n > r->n - at || is_header != (at == 8))
			return false;
		if (is_header) {
			if (n != 12 + 13)
				return false;
			p->width = be32(chunk + 8);
			p->height = be32(chunk + 12);
		}
		if (is_png_chunk_needed(type))
			keep(r, chunk, n);
		else if ((type[0] & 0x20) == 0) /* nobody may ignore it */
			return false;
		has_data = has_data || memcmp(type, "IDAT", 4) == 0;
		if (memcmp(type, "IEND", 4) == 0)
			return has_data && n == 12;
		at += n;
	}
	return false;
}

/* RFC 9649, 2.5 and 3.4: the size in a key frame of either compression. */
static bool
read_webp_size(const uint8_t *chunk, size_t n, uint32_t *width,
    uint32_t *height)
{
	const uint8_t *data = chunk + 8;
	uint32_t bits;

	if (memcmp(chunk, "VP8 ", 4) == 0) {
		if (n < 10 || (data[0] & 1) != 0 ||
		    memcmp(data + 3, "\x9d\x01\x2a", 3) != 0)
			return false;
		*width = le16(data + 6) & 0x3fff;
		*height = le16(data + 8) & 0x3fff;
		return true;
	}
	if (n < 5 || data[0] != 0x2f)
		return false;
	bits = le32(data + 1);
	*width = (bits & 0x3fff) + 1;
	*height = (bits >> 14 & 0x3fff) + 1;
	return true;
}

#define WEBP_HEAD_BYTES 12
#define WEBP_EXTENDED_BYTES 18

/* The extended header without the flags of what is left out. */
static bool
keep_webp_extended(struct reader *r, const uint8_t *chunk, size_t n,
    uint32_t *width, uint32_t *height)
{
	uint8_t *own = r->picture->own + WEBP_HEAD_BYTES;

	/* An animation is no still. */
	if (n != 10 || (chunk[8] & 0x02) != 0)
		return false;
	memcpy(own, chunk, WEBP_EXTENDED_BYTES);
	own[8] &= 0x30; /* a colour profile, transparency */
	keep(r, own, WEBP_EXTENDED_BYTES);
	*width = (le32(chunk + 12) & 0xffffff) + 1;
	*height = (le32(chunk + 14) >> 8) + 1;
	return true;
}

static bool
is_webp_image(const uint8_t *chunk)
{
	return memcmp(chunk, "VP8 ", 4) == 0 || memcmp(chunk, "VP8L", 4) == 0;
}

/* The chunks of a WebP file, which end at `end`. */
static bool
read_webp_chunks(struct reader *r, size_t end)
{
	uint32_t width = 0, height = 0;
	struct picture *p = r->picture;
	size_t at = WEBP_HEAD_BYTES;

	while (end - at >= 8) {
		const uint8_t *chunk = r->in + at;
		const size_t n = le32(chunk + 4);
		const size_t whole = 8 + n + (n & 1);
		const bool is_first = at == WEBP_HEAD_BYTES;

		if (n > end - at || whole > end - at)
			return false;
		if (memcmp(chunk, "VP8X", 4) == 0) {
			if (!is_first ||
			    !keep_webp_extended(r, chunk, n, &width, &height))
				return false;
		} else if (is_webp_image(chunk)) {
			if (p->width != 0 ||
			    !read_webp_size(chunk, n, &p->width, &p->height))
				return false;
			keep(r, chunk, whole);
		} else if (is_first || memcmp(chunk, "ANMF", 4) == 0)
			return false;
		else if (width != 0 &&
		    (memcmp(chunk, "ICCP", 4) == 0 ||
			memcmp(chunk, "ALPH", 4) == 0))
			keep(r, chunk, whole);
		at += whole;
	}
	/* A canvas is as large as the one picture on it. */
	return at == end &&
	    (width == 0 || (width == p->width && height == p->height));
}

/* RFC 9649, 2.3. */
static bool
read_webp(struct reader *r)
{
	const size_t size = le32(r->in + 4);
	uint8_t *own = r->picture->own;
	size_t kept;

	if (size < 4 || size > r->n - 8)
		return false;
	memcpy(own, r->in, WEBP_HEAD_BYTES);
	keep(r, own, WEBP_HEAD_BYTES);
	if (!read_webp_chunks(r, 8 + size))
		return false;
	kept = r->picture->bytes - 8;
	for (size_t i = 0; i < 4; i++)
		own[4 + i] = (uint8_t)(kept >> (8 * i));
	return true;
}

enum picture_verdict
picture_read(struct str bytes, struct picture *ret_picture)
{
	struct reader r = {
		.picture = ret_picture,
		.in = (const uint8_t *)bytes.ptr,
		.n = bytes.len,
	};
	struct picture *p = ret_picture;
	bool ok;

	*p = (struct picture){ 0 };
	if (str_starts_with(bytes, STR("\xff\xd8\xff"))) {
		p->type = PICTURE_JPEG;
		ok = read_jpeg(&r);
	} else if (str_starts_with(bytes, STR("\x89PNG\r\n\x1a\n"))) {
		p->type = PICTURE_PNG;
		ok = read_png(&r);
	} else if (bytes.len > WEBP_HEAD_BYTES &&
	    str_starts_with(bytes, STR("RIFF")) &&
	    memcmp(bytes.ptr + 8, "WEBP", 4) == 0) {
		p->type = PICTURE_WEBP;
		ok = read_webp(&r);
	} else
		return PICTURE_UNKNOWN;

	if (!ok || r.failed || p->width == 0 || p->height == 0)
		return PICTURE_UNKNOWN;
	if (p->width > PICTURE_SIDE_MAX || p->height > PICTURE_SIDE_MAX ||
	    (uint64_t)p->width * p->height > PICTURE_PIXELS_MAX)
		return PICTURE_TOO_LARGE;
	return PICTURE_OK;
}

const char *
picture_content_type(enum picture_type type)
{
	static const char *const names[] = {
		[PICTURE_JPEG] = "image/jpeg",
		[PICTURE_PNG] = "image/png",
		[PICTURE_WEBP] = "image/webp",
	};

	assert(type <= PICTURE_WEBP);
	return names[type];
}
