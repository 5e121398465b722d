/* SPDX-License-Identifier: MIT */
#include "app/keys.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/uuid.h"
#include "provider/appleid_keys.h"
#include "provider/appstore_sandbox.h"
#include "wire/http.h"
#include "wire/rs256.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_PATH_BYTES 4096
#define KEY_HEX_LENGTH (KEY_BYTES * 2)

struct key_file {
	const char *name;
	size_t offset;
	bool is_for_streams;
};

static const struct key_file key_files[] = {
	{ "refresh", offsetof(struct keys, refresh), false },
	{ "device", offsetof(struct keys, device), false },
	{ "storage", offsetof(struct keys, storage), true },
	{ "webhook", offsetof(struct keys, webhook), false },
	{ "sandbox", offsetof(struct keys, sandbox), false },
	{ "apple", offsetof(struct keys, apple), false },
	{ "admin", offsetof(struct keys, admin), false },
};

#define KEY_FILES_COUNT (sizeof(key_files) / sizeof(key_files[0]))

static bool
path_of(const char *state_dir, const char *name, char path[KEY_PATH_BYTES])
{
	return snprintf(path, KEY_PATH_BYTES, "%s/%s", state_dir, name) <
	    KEY_PATH_BYTES;
}

static bool
key_path(const char *state_dir, const char *name, char path[KEY_PATH_BYTES])
{
	return snprintf(path, KEY_PATH_BYTES, "%s/keys/%s", state_dir, name) <
	    KEY_PATH_BYTES;
}

/* A new file appears whole; one that is there stays as it is. */
static bool
create_file(const char *path, const char *content, mode_t mode,
    struct buf *problem)
{
	char temporary[KEY_PATH_BYTES + 16];
	const size_t n = strlen(content);
	bool ok;
	int fd;

	if (access(path, F_OK) == 0)
		return true;
	(void)snprintf(temporary, sizeof(temporary), "%s.new%ld", path,
	    (long)getpid());
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	ok = fd >= 0 && write(fd, content, n) == (ssize_t)n && fsync(fd) == 0;
	if (fd >= 0)
		(void)close(fd);
	/* link() fails when another process was first: then its file holds. */
	ok = ok && (link(temporary, path) == 0 || errno == EEXIST);
	if (!ok)
		buf_appendf(problem, "%s cannot be written: %s", path,
		    strerror(errno));
	(void)unlink(temporary);
	return ok;
}

static void
random_hex(char hex[KEY_HEX_LENGTH + 1])
{
	uint8_t bytes[KEY_BYTES];

	random_bytes(bytes, sizeof(bytes));
	(void)sodium_bin2hex(hex, KEY_HEX_LENGTH + 1, bytes, sizeof(bytes));
	sodium_memzero(bytes, sizeof(bytes));
}

/* The stand-in for Apple's sign-in signs as Apple does, with RSA. */
static bool
create_sandbox_identity_key(const char *state_dir, struct buf *problem)
{
	CLEANUP(buf_free) struct buf pem = { 0 };
	char path[KEY_PATH_BYTES];
	bool ok;

	buf_init(&pem, RS256_KEY_FILE_BYTES_MAX);
	if (!path_of(state_dir, APPLEID_SANDBOX_KEY, path))
		return false;
	/* Making one takes a while, and it is rarely missing. */
	if (access(path, F_OK) == 0)
		return true;
	if (!rs256_generate(&pem)) {
		buf_appendf(problem, "no RSA key can be made");
		return false;
	}
	ok = create_file(path, pem.ptr, 0600, problem);
	sodium_memzero(pem.ptr, pem.len);
	return ok;
}

/* The stand-in for the App Store signs below a chain of its own. */
static bool
create_sandbox_store_key(const char *state_dir, struct buf *problem)
{
	CLEANUP(buf_free) struct buf pem;
	char path[KEY_PATH_BYTES];
	bool ok;

	buf_init(&pem, APPSTORE_SANDBOX_KEY_BYTES_MAX);
	if (!path_of(state_dir, APPSTORE_SANDBOX_KEY, path))
		return false;
	if (access(path, F_OK) == 0)
		return true;
	appstore_sandbox_generate(clock_now_ms(), &pem);
	ok = create_file(path, pem.ptr, 0600, problem);
	sodium_memzero(pem.ptr, pem.len);
	return ok;
}

bool
keys_create(const char *state_dir, const char *anon_key, struct buf *problem)
{
	char path[KEY_PATH_BYTES], hex[KEY_HEX_LENGTH + 1], line[160];

	for (size_t i = 0; i < KEY_FILES_COUNT; i++) {
		random_hex(hex);
		if (!key_path(state_dir, key_files[i].name, path) ||
		    !create_file(path, hex, 0600, problem))
			return false;
	}
	random_hex(hex);
	(void)snprintf(line, sizeof(line), "k1 %s\n", hex);
	if (!key_path(state_dir, "jwt", path) ||
	    !create_file(path, line, 0600, problem))
		return false;
	if (!create_sandbox_identity_key(state_dir, problem) ||
	    !create_sandbox_store_key(state_dir, problem))
		return false;
	random_hex(hex);
	(void)snprintf(line, sizeof(line), "%.128s",
	    anon_key[0] != '\0' ? anon_key : hex);
	sodium_memzero(hex, sizeof(hex));
	return path_of(state_dir, "anon-key", path) &&
	    create_file(path, line, 0644, problem);
}

static bool
parse_hex(struct str hex, uint8_t key[KEY_BYTES])
{
	size_t n;

	return hex.len == KEY_HEX_LENGTH &&
	    sodium_hex2bin(key, KEY_BYTES, hex.ptr, hex.len, NULL, &n, NULL) ==
	    0 &&
	    n == KEY_BYTES;
}

/* Lines of "kid hex"; the first one signs. */
static bool
parse_jwt_keys(struct str text, struct jwt_keys *keys)
{
	keys->count = 0;
	while (text.len > 0) {
		struct str line, rest, kid, hex;
		struct jwt_key *key = &keys->key[keys->count];

		(void)str_cut(text, '\n', &line, &rest);
		text = rest;
		line = str_trim(line);
		if (line.len == 0)
			continue;
		if (keys->count == JWT_KEYS_MAX ||
		    !str_cut(line, ' ', &kid, &hex) ||
		    !http_token_ok(kid, JWT_KID_BYTES_MAX) ||
		    !str_copy(kid, key->kid, sizeof(key->kid)) ||
		    !parse_hex(str_trim(hex), key->secret))
			return false;
		keys->count++;
	}
	return keys->count > 0;
}

static bool
load_file(const char *path, struct buf *content, struct buf *problem)
{
	buf_clear(content);
	if (config_read_file(path, true, content))
		return true;
	buf_appendf(problem, "%s cannot be read: %s (run `rendio init`)", path,
	    strerror(errno));
	return false;
}

static bool
load_files(const char *state_dir, const char *anon_key, bool for_streams,
    struct keys *keys, struct buf *content, struct buf *problem)
{
	char path[KEY_PATH_BYTES];

	for (size_t i = 0; i < KEY_FILES_COUNT; i++) {
		uint8_t *key = (uint8_t *)keys + key_files[i].offset;

		if (for_streams && !key_files[i].is_for_streams)
			continue;
		if (!key_path(state_dir, key_files[i].name, path) ||
		    !load_file(path, content, problem))
			return false;
		if (!parse_hex(buf_str(content), key)) {
			buf_appendf(problem, "%s is not 64 hex digits", path);
			return false;
		}
	}
	if (!key_path(state_dir, "jwt", path) ||
	    !load_file(path, content, problem))
		return false;
	if (!parse_jwt_keys(buf_str(content), &keys->jwt)) {
		buf_appendf(problem, "%s is not lines of KID HEX", path);
		return false;
	}
	if (anon_key[0] == '\0') {
		if (!path_of(state_dir, "anon-key", path) ||
		    !load_file(path, content, problem))
			return false;
		anon_key = content->ptr;
	}
	if (!http_token_ok(str_from(anon_key), sizeof(keys->anon_key) - 1)) {
		buf_appendf(problem,
		    "the anon key must be 1 to %zu visible "
		    "ASCII characters",
		    sizeof(keys->anon_key) - 1);
		return false;
	}
	return str_copy(str_from(anon_key), keys->anon_key,
	    sizeof(keys->anon_key));
}

static bool
load(const char *state_dir, const char *anon_key, bool for_streams,
    struct keys *keys, struct buf *problem)
{
	struct buf content;
	bool ok;

	*keys = (struct keys){ 0 };
	buf_init(&content, 4096);
	ok = load_files(state_dir, anon_key, for_streams, keys, &content,
	    problem);
	(void)crypto_auth_hmacsha256_init(&keys->link_mac, keys->storage,
	    KEY_BYTES);
	if (content.ptr != NULL)
		sodium_memzero(content.ptr, content.capacity_bytes);
	buf_free(&content);
	return ok;
}

bool
keys_load(const char *state_dir, const char *anon_key, struct keys *keys,
    struct buf *problem)
{
	return load(state_dir, anon_key, false, keys, problem);
}

bool
keys_load_for_streams(const char *state_dir, const char *anon_key,
    struct keys *keys, struct buf *problem)
{
	return load(state_dir, anon_key, true, keys, problem);
}

void
keys_wipe(struct keys *keys)
{
	sodium_memzero(keys, sizeof(*keys));
}
