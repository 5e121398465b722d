// SPDX-License-Identifier: MIT
// /functions/v1/admin-catalog: models and themes, as users see them and not.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { enter } from "./support/admin.mjs";
import { assertError, assertPersonal, assertStatements } from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { order } from "./support/jobs.mjs";

const TARGET = "/functions/v1/admin-catalog".split("/").at(-1);

let rendio, admin, ada, catalog;

before(async () => {
	rendio = await start();
	admin = await enter(rendio);
	ada = await rendio.guest("ada");
	catalog = assertPersonal(await admin.call("GET", TARGET));
});
after(() => rendio.stop());

async function set(body) {
	return await admin.call("POST", TARGET, body);
}

async function shown(name, list) {
	return (await rendio.request("GET", `/functions/v1/${name}`)).json()[list];
}

test("the catalogue is whole: what is hidden from users is in it",
    async () => {
	await assertStatements(rendio, await admin.call("GET", TARGET), 8);
	assert.ok(catalog.models.some(({ state }) => state === "retired"));
	assert.ok(catalog.themes.length >= 6);
	assert.ok(catalog.prices.every(({ millicredits_per_second }) =>
	    millicredits_per_second > 0));
	assert.deepEqual(catalog.products.map(({ credits }) => credits),
	    [25, 60, 150]);
});

test("a disabled model is neither shown nor made any more, until it is again",
    async () => {
	const model = catalog.models.find(({ state, is_active, requires_image }) =>
	    state === "available" && !is_active && !requires_image);
	const wanted = { model_id: model.id, settings: { duration: 4 } };

	assertPersonal(await set({ model_id: model.id,
		set: { state: "disabled" } }));
	assert.ok(!(await shown("get-models", "models"))
	    .some(({ id }) => id === model.id));
	assertError(await order(rendio, ada, wanted), 404, "model_not_found");
	assertPersonal(await set({ model_id: model.id,
		set: { state: "available" } }));
	assert.equal((await order(rendio, ada, wanted)).status, 200);
	const { log } = assertPersonal(await admin.call("GET",
	    "admin-system?log_before=0&limit=2"));
	assert.deepEqual(log.map(({ actor, action, subject_id, old_value,
	    new_value }) => [actor, action, subject_id, old_value, new_value]), [
		["root", "model_set", model.id, "disabled", "available"],
		["root", "model_set", model.id, "available", "disabled"]]);
});

test("fields are set all or none, whatever JSON calls their values",
    async () => {
	const [theme] = catalog.themes;
	const name = "<script>alert(1)</script>";

	const res = await set({ theme_id: theme.id, set: { name: "Half",
		is_featured: "perhaps" } });
	assertError(res, 400, "invalid_field");
	assert.match(res.json().error, /^is_featured/);
	assertPersonal(await set({ theme_id: theme.id, set: { name,
		is_featured: true, default_duration_s: 8,
		default_resolution: null } }));
	const now = (await shown("get-themes", "themes"))
	    .find(({ id }) => id === theme.id);
	assert.equal(now.name, name);
	assert.equal(now.is_featured, true);
	assertPersonal(await set({ theme_id: theme.id,
		set: { is_available: false } }));
	assert.ok(!(await shown("get-themes", "themes"))
	    .some(({ id }) => id === theme.id));
});

test("prices by the second are what a price follows from", async () => {
	const model = catalog.models.find(({ is_priced_by_second, state }) =>
	    is_priced_by_second && state === "available");
	const price = catalog.prices.find(({ model_id }) =>
	    model_id === model.id);
	const field = `price.${price.resolution}.` +
	    (price.has_audio ? "audio" : "silent");

	assertError(await set({ model_id: model.id,
		set: { cost_per_generation: 3 } }), 409, "conflict");
	assertPersonal(await set({ model_id: model.id, set: { [field]: 777 } }));
	const { prices } = assertPersonal(await admin.call("GET", TARGET));
	assert.equal(prices.find((other) => other.model_id === model.id &&
	    other.resolution === price.resolution &&
	    other.has_audio === price.has_audio).millicredits_per_second, 777);
});

test("what is not understood is 400, what is not there 404", async () => {
	const { id } = catalog.models[0];
	for (const body of [{}, { model_id: id }, { set: { name: "x" } },
		{ model_id: id, theme_id: id, set: { name: "x" } },
		{ model_id: id, set: {} }, { model_id: id, set: [] },
		{ model_id: id, set: { name: {} } },
		{ model_id: id, set: { is_featured: 0.5 } },
		{ model_id: id, set: Object.fromEntries(
		    Array.from({ length: 33 }, (_, i) => [`f${i}`, 1])) },
		{ model_id: id, set: { name: "x" }, more: 1 }])
		assertError(await set(body), 400, "invalid_request");
	for (const fields of [{ id: "x" }, { "": "x" }, { state: "gone" },
		{ "price.9p.audio": 1 }, { name: "x".repeat(3000) }])
		assertError(await set({ model_id: id, set: fields }), 400,
		    "invalid_field");
	assertError(await set({ model_id: randomUUID(), set: { name: "x" } }),
	    404, "model_not_found");
	assertError(await set({ theme_id: randomUUID(), set: { name: "x" } }),
	    404, "theme_not_found");
	assertError(await rendio.request("GET", `/functions/v1/${TARGET}`,
	    { bearer: ada.access_token }), 401, "unauthorized");
});
