// SPDX-License-Identifier: MIT
// GET /functions/v1/get-models: the models that can be chosen.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertError, assertStatements, UUID } from "./support/expect.mjs";
import { start } from "./support/instance.mjs";

const PATH = "/functions/v1/get-models";
const KLING = "0617a9a5-8eef-51ae-aed1-bf170d3f1d1f";

let rendio;

before(async () => { rendio = await start(); });
after(() => rendio.stop());

async function get(headers = {}) {
	return await rendio.request("GET", PATH, { headers });
}

test("every available model is there with what the app decodes", async () => {
	const res = await get();
	assert.equal(res.status, 200);
	assert.equal(res.headers["content-type"], "application/json");
	assert.match(res.headers["cache-control"], /^public, max-age=\d+$/);
	assert.match(res.headers.etag, /^"[0-9a-f]{32}"$/);
	// A statement for the models and one for the settings of each.
	await assertStatements(rendio, res, 9);

	const { models } = res.json();
	assert.deepEqual(models.map((model) => model.name), ["Veo 3.1 Fast",
		"Veo 3.1 Fast Text", "Veo 3.1", "Veo 3.1 Text", "Kling 2.6 Pro",
		"Kling 2.6 Pro Text"]);
	for (const model of models) {
		assert.deepEqual(Object.keys(model), ["id", "name", "category",
			"thumbnail_url", "is_featured", "description",
			"cost_per_generation", "required_fields"]);
		assert.match(model.id, UUID);
		assert.equal(typeof model.is_featured, "boolean");
		assert.ok(Number.isInteger(model.cost_per_generation));
		// Swift cannot read "" as a URL.
		assert.equal(model.thumbnail_url, null);
		const { settings, ...required } = model.required_fields;
		assert.deepEqual(required, { requires_prompt: true,
			requires_image: model.category === "image-to-video",
			requires_settings: true });
		for (const [name, type] of [["duration", "number"],
			["resolution", "string"], ["aspect_ratio", "string"]]) {
			const setting = settings[name];
			assert.equal(setting.required, false);
			assert.ok(setting.options.length > 0);
			assert.ok(setting.options.includes(setting.default));
			for (const option of setting.options)
				assert.equal(typeof option, type);
		}
	}
});

test("who has the present list is told so, 304 without a body", async () => {
	const { etag } = (await get()).headers;

	// gzip on the way makes a tag weak.
	for (const tag of [etag, `W/${etag}`, "*", `"old", ${etag}`,
		`W/"old" ,W/${etag}`]) {
		const res = await get({ "if-none-match": tag });
		assert.equal(res.status, 304, tag);
		assert.equal(res.bytes.length, 0);
		assert.equal(res.headers.etag, etag);
		assert.match(res.headers["cache-control"], /^public/);
	}
	for (const tag of ['"old"', etag.slice(1, -1), "", `"${etag}"`])
		assert.equal((await get({ "if-none-match": tag })).status, 200,
		    tag);
});

test("a change in the catalogue is another list with another tag", async () => {
	const { etag } = (await get()).headers;
	const names = async () => (await get({ "if-none-match": etag })).json()
	    .models.map((model) => model.name);

	await rendio.cli("model", "set", KLING, "state=retired");
	assert.ok(!(await names()).includes("Kling 2.6 Pro Text"));
	await rendio.cli("model", "set", KLING, "state=available", "name=K2.6");
	assert.ok((await names()).includes("K2.6"));
	await rendio.cli("model", "set", KLING, "name=Kling 2.6 Pro Text");
	assert.equal((await get()).headers.etag, etag);
});

test("what a token says does not matter", async () => {
	const plain = await get();
	const res = await rendio.request("GET", PATH, { bearer: "garbage" });

	assert.equal(res.status, 200);
	assert.equal(res.text, plain.text);
});

test("without the app's key it is 401 invalid_api_key", async () => {
	for (const apikey of [null, "wrong", `${rendio.anonKey}x`])
		assertError(await rendio.request("GET", PATH, { apikey }), 401,
		    "invalid_api_key");
});
