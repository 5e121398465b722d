// SPDX-License-Identifier: MIT
// /rest/v1/users: one's own row and no other, two columns to write.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { assertError, assertStatements, DATE, stopClean }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { badTokens, expiredToken } from "./support/tokens.mjs";

const OBJECT = "application/vnd.pgrst.object+json";
const COLUMNS = ["id", "email", "device_id", "apple_sub", "is_guest", "tier",
	"credits_remaining", "credits_total", "initial_grant_claimed",
	"language", "theme_preference", "app_account_token", "created_at",
	"updated_at"];

let rendio, ada, bob;

before(async () => {
	rendio = await start();
	ada = await rendio.guest("ada");
	bob = await rendio.guest("bob");
});
after(() => stopClean(rendio));

async function get(query = "", options = {}) {
	return await rendio.request("GET", `/rest/v1/users${query}`,
	    { bearer: ada.access_token, ...options });
}

async function patch(body, { query = `?id=eq.${ada.user_id}`, headers = {},
	prefer = "return=representation", ...options } = {}) {
	return await rendio.request("PATCH", `/rest/v1/users${query}`, {
		bearer: ada.access_token, body,
		headers: { ...prefer === null ? {} : { prefer }, ...headers },
		...options });
}

async function row() {
	const [found] = (await get()).json();
	return found;
}

test("the row is the one of the token", async () => {
	for (const query of ["", `?id=eq.${ada.user_id}`, "?select=*",
		`?id=eq.${ada.user_id.toUpperCase()}`, "?is_guest=eq.true",
		"?limit=1000000000", "?order=created_at.desc"]) {
		const res = await get(query);
		assert.equal(res.status, 200, res.text);
		assert.equal(res.headers["content-range"], "0-0/*");
		assert.equal(res.headers["cache-control"], "no-store");
		const rows = res.json();
		assert.equal(rows.length, 1);
		assert.deepEqual(Object.keys(rows[0]), COLUMNS);
		assert.equal(rows[0].id, ada.user_id);
		assert.equal(rows[0].device_id, null);
		assert.equal(rows[0].tier, "free");
		assert.equal(rows[0].initial_grant_claimed, true);
		assert.match(rows[0].created_at, DATE);
	}
	await assertStatements(rendio, await get(), 2);
});

test("columns are chosen", async () => {
	assert.deepEqual((await get("?select=id,language")).json(),
	    [{ id: ada.user_id, language: "en" }]);
	const res = await get("?select=credits_remaining",
	    { headers: { accept: OBJECT } });
	assert.ok(res.headers["content-type"].startsWith(OBJECT));
	assert.deepEqual(res.json(), { credits_remaining: 10 });
});

test("another's row is not there", async () => {
	for (const id of [bob.user_id, randomUUID()]) {
		const res = await get(`?id=eq.${id}`);
		assert.equal(res.status, 200);
		assert.deepEqual(res.json(), []);
		assert.equal(res.headers["content-range"], "*/*");
		assertError(await get(`?id=eq.${id}`,
		    { headers: { accept: OBJECT } }), 406, "PGRST116", "rest");
	}
	for (const query of ["?limit=0", "?offset=1", "?is_guest=eq.false"])
		assert.deepEqual((await get(query)).json(), []);
});

test("what PostgREST would also do is refused", async () => {
	for (const query of ["?id=neq.x", "?or=(id.eq.1)", "?id=in.(1,2)",
		"?select=video_jobs(*)", "?select=id::text", "?tier=eq.free",
		"?select=", "?order=tier.asc", "?limit=-1"]) {
		const res = await get(query);
		assert.equal(res.status, 400, query);
		assert.ok(["PGRST100", "42703"].includes(res.json().code), query);
	}
	for (const query of ["?select=is_admin", "?is_admin=eq.true",
		"?select=status", "?grant_state=eq.pending"])
		assertError(await get(query), 400, "42703", "rest");
	assertError(await get("?id=eq.7"), 400, "22P02", "rest");
	assertError(await get("", { headers: { "accept-profile": "auth" } }),
	    406, "PGRST106", "rest");
	for (const method of ["POST", "PUT", "DELETE"]) {
		const res = await rendio.request(method, "/rest/v1/users",
		    { bearer: ada.access_token, body: { id: ada.user_id } });
		assertError(res, 405, "PGRST117", "rest");
		assert.equal(res.headers.allow, "GET, HEAD, PATCH");
	}
});

test("nobody without a token reads or writes", async () => {
	for (const bearer of [undefined, rendio.anonKey]) {
		assertError(await get("", { bearer }), 401, "42501", "rest");
		assertError(await patch({ language: "tr" }, { bearer }), 401,
		    "42501", "rest");
	}
	for (const [name, bearer] of
	    Object.entries(badTokens(rendio, ada)).slice(0, 8)) {
		const res = await patch({ language: "tr" }, { bearer });
		assert.equal(res.status, 401, name);
		assert.equal(res.json().code, "PGRST301");
	}
	assertError(await get("", { bearer: expiredToken(rendio, ada) }), 401,
	    "PGRST301", "rest");
	assert.equal((await row()).language, "en");
});

// --- PATCH --------------------------------------------------------------------

test("the app's settings screen changes both columns", async () => {
	const before = await row();
	const res = await patch({ language: "tr", theme_preference: "dark" });
	assert.equal(res.status, 200, res.text);
	assert.equal(res.headers["content-range"], "0-0/*");
	const rows = res.json();
	assert.equal(rows.length, 1);
	const { updated_at, ...rest } = rows[0];
	assert.ok(updated_at >= before.updated_at);
	assert.deepEqual({ ...rest, updated_at: before.updated_at },
	    { ...before, language: "tr", theme_preference: "dark" });
	assert.deepEqual(await row(), rows[0]);
	await assertStatements(rendio, res, 6);

	for (const theme_preference of ["light", "system"])
		for (const language of ["es", "en"]) {
			await patch({ language });
			const [now] = (await patch({ theme_preference })).json();
			assert.equal(now.language, language);
			assert.equal(now.theme_preference, theme_preference);
		}
});

test("the language of errors follows", async () => {
	const ask = () => rendio.request("GET",
	    "/functions/v1/get-video-status?job_id=x",
	    { bearer: ada.access_token });
	await patch({ language: "tr" });
	const turkish = (await ask()).json().error;
	await patch({ language: "en" });
	assert.notEqual((await ask()).json().error, turkish);
});

test("Prefer says what is answered", async () => {
	for (const prefer of [null, "return=minimal", "return=headers-only",
		"count=exact"]) {
		const res = await patch({ language: "es" }, { prefer });
		assert.equal(res.status, 204, prefer);
		assert.equal(res.bytes.length, 0);
	}
	assert.equal((await row()).language, "es");
	const res = await patch({ language: "en" },
	    { prefer: "count=exact, return=representation",
		query: `?id=eq.${ada.user_id}&select=id,language` });
	assert.deepEqual(res.json(), [{ id: ada.user_id, language: "en" }]);
	const one = await patch({ language: "en" },
	    { headers: { accept: OBJECT } });
	assert.equal(one.json().id, ada.user_id);
});

test("another's row is not changed", async () => {
	for (const id of [bob.user_id, randomUUID()]) {
		const res = await patch({ language: "tr" },
		    { query: `?id=eq.${id}` });
		assert.equal(res.status, 200);
		assert.deepEqual(res.json(), []);
		assertError(await patch({ language: "tr" },
		    { query: `?id=eq.${id}`, headers: { accept: OBJECT } }), 406,
		    "PGRST116", "rest");
		assert.equal((await patch({ language: "tr" },
		    { query: `?id=eq.${id}`, prefer: null })).status, 204);
	}
	const [his] = (await get("", { bearer: bob.access_token })).json();
	assert.equal(his.language, "en");
	assert.equal((await row()).language, "en");
});

test("no filter, no change", async () => {
	for (const query of ["", "?select=id", "?limit=1"])
		assertError(await patch({ language: "tr" }, { query }), 400,
		    "21000", "rest");
	assert.equal((await row()).language, "en");
});

test("the other columns are not the client's", async () => {
	const before = await row();
	for (const [column, value] of Object.entries({
		credits_remaining: 1000000, credits_total: 1, tier: "premium",
		is_admin: true, id: bob.user_id, apple_sub: "x", device_id: "x",
		email: "a@b.c", is_guest: false, initial_grant_claimed: false,
		app_account_token: randomUUID(), created_at: 0, updated_at: 0,
		status: "active", grant_state: "pending",
	}))
		for (const body of [{ [column]: value },
			{ language: "tr", [column]: value },
			{ [column]: value, language: "xx", nope: 1 }])
			assertError(await patch(body), 403, "42501", "rest");
	for (const column of ["nope", "", "Language", "password", "rowid"])
		assertError(await patch({ language: "tr", [column]: 1 }), 400,
		    "PGRST204", "rest");
	assert.deepEqual(await row(), before);
});

test("a value is one of those that there are", async () => {
	for (const value of ["xx", "", "EN", "tr ", "en-US", null, 1, true, [],
		{}, "x".repeat(1000)]) {
		assertError(await patch({ language: value }), 400, "23514",
		    "rest");
		assertError(await patch({ theme_preference: value,
			language: "tr" }), 400, "23514", "rest");
	}
	assert.equal((await patch({ language: "x".repeat(1 << 20) })).status,
	    413);
	assert.equal((await row()).language, "en");
});

test("what is no JSON object is PGRST102", async () => {
	for (const body of ["", "{", "[]", '"x"', '{"language":"tr","language":' +
	    '"es"}'])
		assertError(await patch(body, { headers: {
			"content-type": "application/json" } }), 400, "PGRST102",
		    "rest");
	assertError(await patch({ language: "tr" },
	    { headers: { "content-profile": "auth" } }), 406, "PGRST106", "rest");
	assert.equal((await row()).language, "en");
});

test("supabase-js reads and writes the row", async () => {
	const client = await rendio.supabase(ada);
	const read = await client.from("users").select("id, language").single();
	assert.equal(read.error, null);
	assert.deepEqual(read.data, { id: ada.user_id, language: "en" });

	const written = await client.from("users")
	    .update({ language: "tr", theme_preference: "light" })
	    .eq("id", ada.user_id).select("language, theme_preference");
	assert.equal(written.error, null);
	assert.deepEqual(written.data,
	    [{ language: "tr", theme_preference: "light" }]);

	const silent = await client.from("users").update({ language: "en" })
	    .eq("id", ada.user_id);
	assert.equal(silent.error, null);
	assert.equal(silent.status, 204);

	for (const [query, status, code] of [
		[client.from("users").update({ tier: "premium" })
		    .eq("id", ada.user_id), 403, "42501"],
		[client.from("users").update({ language: "xx" })
		    .eq("id", ada.user_id), 400, "23514"],
		[client.from("users").insert({ language: "en" }), 405,
			"PGRST117"],
		[client.from("users").delete().eq("id", ada.user_id), 405,
			"PGRST117"],
	]) {
		const { error, status: got } = await query;
		assert.equal(got, status);
		assert.equal(error.code, code);
	}
});
