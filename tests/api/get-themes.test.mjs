// SPDX-License-Identifier: MIT
// GET /functions/v1/get-themes: ready-made ideas for a video.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertError, assertStatements, DATE, UUID }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";

const PATH = "/functions/v1/get-themes";
const TINY_CHEF = "f761e8f7-8098-52ac-b2b4-a912bc018bdb";

let rendio;

before(async () => { rendio = await start(); });
after(() => rendio.stop());

async function get(headers = {}) {
	return await rendio.request("GET", PATH, { headers });
}

test("the themes are there with what the app decodes, featured ones first",
    async () => {
	const res = await get();
	assert.equal(res.status, 200);
	assert.equal(res.headers["content-type"], "application/json");
	assert.match(res.headers["cache-control"], /^public, max-age=\d+$/);
	assert.match(res.headers.etag, /^"[0-9a-f]{32}"$/);
	await assertStatements(rendio, res, 1);

	const { themes } = res.json();
	assert.ok(themes.length >= 6);
	for (const theme of themes) {
		assert.deepEqual(Object.keys(theme), ["id", "name", "description",
			"thumbnail_url", "prompt", "is_featured", "is_available",
			"default_settings", "created_at"]);
		assert.match(theme.id, UUID);
		assert.notEqual(theme.name, "");
		assert.notEqual(theme.prompt, "");
		assert.equal(typeof theme.is_featured, "boolean");
		assert.equal(theme.is_available, true);
		assert.match(theme.created_at, DATE);
		assert.ok(Number.isInteger(theme.default_settings.duration));
	}
	const order = (theme) => [!theme.is_featured, theme.name];
	assert.deepEqual(themes, [...themes].sort((a, b) =>
	    order(a) < order(b) ? -1 : 1));
});

test("default_settings leave out what there is none of", async () => {
	await rendio.cli("theme", "set", TINY_CHEF, "default_resolution=");
	const theme = (await get()).json().themes
	    .find(({ id }) => id === TINY_CHEF);

	// A null in here is fatal to the app.
	assert.deepEqual(theme.default_settings,
	    { duration: 8, aspect_ratio: "9:16" });
	await rendio.cli("theme", "set", TINY_CHEF, "default_resolution=720p");
});

test("who has the present list is told so, 304 without a body", async () => {
	const { etag } = (await get()).headers;

	for (const tag of [etag, `W/${etag}`, "*", `"old", ${etag}`]) {
		const res = await get({ "if-none-match": tag });
		assert.equal(res.status, 304, tag);
		assert.equal(res.bytes.length, 0);
		assert.equal(res.headers.etag, etag);
	}
	assert.equal((await get({ "if-none-match": '"old"' })).status, 200);
});

test("a theme that is taken away is gone at once", async () => {
	const { etag } = (await get()).headers;

	await rendio.cli("theme", "set", TINY_CHEF, "is_available=0");
	const res = await get({ "if-none-match": etag });
	assert.equal(res.status, 200);
	assert.ok(!res.json().themes.some(({ id }) => id === TINY_CHEF));
	await rendio.cli("theme", "set", TINY_CHEF, "is_available=1");
	assert.equal((await get()).headers.etag, etag);
});

test("without the app's key it is 401 invalid_api_key", async () => {
	for (const apikey of [null, "wrong"])
		assertError(await rendio.request("GET", PATH, { apikey }), 401,
		    "invalid_api_key");
});
