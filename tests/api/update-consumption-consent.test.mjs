// SPDX-License-Identifier: MIT
// POST /functions/v1/update-consumption-consent: what is said is kept, with
// its words and its time; the last word counts.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { id, sql } from "./support/database.mjs";
import { assertError, assertPersonal, assertStatements, DATE }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";

let rendio, ada;

before(async () => {
	rendio = await start();
	ada = await rendio.guest("ada");
});
after(() => rendio.stop());

async function say(body) {
	return await rendio.request("POST",
	    "/functions/v1/update-consumption-consent",
	    { bearer: ada.access_token, body });
}

async function rows() {
	return await sql(rendio, "SELECT is_given, text_version FROM consents" +
	    ` WHERE user_id = ${id(ada.user_id)} ORDER BY number`);
}

test("a consent is given, repeated and withdrawn", async () => {
	const res = await say({ consent: true, text_version: "2026-11" });
	const given = assertPersonal(res);

	await assertStatements(rendio, res, 6);
	assert.match(given.updated_at, DATE);
	assert.deepEqual({ ...given, updated_at: 0 }, { success: true,
		consent: true, text_version: "2026-11", updated_at: 0 });
	assert.deepEqual(assertPersonal(await say({ consent: true,
		text_version: "2026-11" })), given);
	assert.equal(assertPersonal(await say({ consent: true,
		text_version: "2026-12" })).text_version, "2026-12");
	assert.equal(assertPersonal(await say({ consent: false,
		text_version: "2026-12" })).consent, false);
	assert.deepEqual(await rows(), [[1, "2026-11"], [1, "2026-12"],
		[0, "2026-12"]].map(([is_given, text_version]) =>
	    ({ is_given, text_version })));
});

test("what is no consent is refused", async () => {
	for (const text_version of ["x", "y".repeat(63), "z".repeat(64)])
		assertPersonal(await say({ consent: true, text_version }));
	for (const body of [{}, { consent: true }, { text_version: "1" },
		{ consent: "true", text_version: "1" },
		{ consent: 1, text_version: "1" },
		{ consent: true, text_version: "" },
		{ consent: true, text_version: 1 },
		{ consent: true, text_version: "a b" },
		{ consent: true, text_version: "x".repeat(65) },
		{ consent: true, text_version: "1", more: 1 }])
		assertError(await say(body), 400, "invalid_request");
});

test("it is exported, and gone with its account", async () => {
	const before = await rows();
	const res = await rendio.request("GET", "/functions/v1/export-account",
	    { bearer: ada.access_token });
	assert.equal(JSON.parse(res.text).consents.length, before.length);
	await rendio.request("POST", "/functions/v1/delete-account",
	    { bearer: ada.access_token, body: {} });
	assert.deepEqual(await rows(), []);
});

test("nobody else's, and nobody's", async () => {
	const body = { consent: true, text_version: "1" };
	const url = "/functions/v1/update-consumption-consent";
	const bob = await rendio.guest("bob");

	assertError(await rendio.request("POST", url, { body }), 401,
	    "unauthorized");
	assertError(await rendio.request("POST", url, { bearer:
	    bob.access_token, body: { ...body, user_id: ada.user_id } }), 403,
	    "forbidden");
});
