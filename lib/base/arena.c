/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <stdalign.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONED 1
#endif
#endif

#ifdef ARENA_POISONED
#include <sanitizer/asan_interface.h>
/* Bytes left poisoned behind each piece, so that an overrun is seen. */
#define ARENA_RED_ZONE_BYTES 16
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ARENA_RED_ZONE_BYTES 0
#endif

/* Pages above this are given back to the kernel by arena_reset(). */
#define ARENA_KEEP_BYTES ((size_t)256 * 1024)

void
arena_init(struct arena *a, size_t bytes_max)
{
	void *base = mmap(NULL, bytes_max, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		abort();
	*a = (struct arena){ .base = base, .bytes_max = bytes_max };
	ASAN_POISON_MEMORY_REGION(a->base, a->bytes_max);
}

void
arena_free(struct arena *a)
{
	if (a->base == NULL)
		return;
	ASAN_UNPOISON_MEMORY_REGION(a->base, a->bytes_max);
	(void)munmap(a->base, a->bytes_max);
	*a = (struct arena){ 0 };
}

void
arena_reset(struct arena *a)
{
	if (a->used_bytes > ARENA_KEEP_BYTES)
		(void)madvise(a->base + ARENA_KEEP_BYTES,
		    a->bytes_max - ARENA_KEEP_BYTES, MADV_DONTNEED);
	ASAN_POISON_MEMORY_REGION(a->base, a->used_bytes);
	a->used_bytes = 0;
}

void *
arena_alloc(struct arena *a, size_t bytes)
{
	const size_t align = alignof(max_align_t);
	size_t taken;
	char *p;

	if (bytes > a->bytes_max)
		abort();
	taken = (bytes + ARENA_RED_ZONE_BYTES + align - 1) / align * align;
	if (taken > a->bytes_max - a->used_bytes)
		abort();
	p = a->base + a->used_bytes;
	a->used_bytes += taken;
	ASAN_UNPOISON_MEMORY_REGION(p, bytes);
	memset(p, 0, bytes);
	return p;
}

char *
arena_strdup(struct arena *a, struct str s)
{
	char *copy = arena_alloc(a, s.len + 1);

	if (s.len > 0)
		memcpy(copy, s.ptr, s.len);
	return copy;
}
