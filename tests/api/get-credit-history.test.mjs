// SPDX-License-Identifier: MIT
// GET /functions/v1/get-credit-history: what moved a user's credits.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { assertError, assertPersonal, assertStatements, DATE, UUID }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { creditsOf, endOf, historyOf, orderJob } from "./support/jobs.mjs";

const PATH = "/functions/v1/get-credit-history";

let rendio, ada, bob;
let all;	/* Ada's entries, newest first */

before(async () => {
	rendio = await start();
	[ada, bob] = await Promise.all(["ada", "bob"]
	    .map((name) => rendio.guest(name)));
	assert.equal((await rendio.cli("user", "grant", ada.user_id, "90",
	    "--reason", "an operator's words")).code, 0);
	await endOf(rendio, ada, await orderJob(rendio, ada,
	    { prompt: "[fail:provider]" }));
	await endOf(rendio, ada, await orderJob(rendio, ada));
	for (let i = 0; i < 20; i++)
		await orderJob(rendio, ada, { prompt: "[slow:60]" });
	all = (await historyOf(rendio, ada, "?limit=100")).entries;
});
after(() => rendio.stop());

async function get(query = "", guest = ada) {
	return await rendio.request("GET", `${PATH}${query}`,
	    { bearer: guest.access_token });
}

test("every change of the balance is there, newest first", async () => {
	const oldest = [...all].reverse();

	// A capture changes nothing: its hold already did.
	assert.deepEqual(oldest.slice(0, 5).map((entry) =>
	    [entry.reason, entry.change, entry.balance_after]), [
		["grant", 10, 10],
		["adjustment", 90, 100],
		["hold", -4, 96],
		["release", 4, 100],
		["hold", -4, 96],
	]);
	assert.equal(all.length, 25);
	let balance = 0;
	for (const entry of oldest) {
		balance += entry.change;
		assert.equal(entry.balance_after, balance);
		assert.match(entry.id, UUID);
		assert.match(entry.created_at, DATE);
		assert.equal(entry.job_id !== null,
		    ["hold", "release"].includes(entry.reason));
	}
	assert.equal(balance, await creditsOf(rendio, ada));
	assert.equal(oldest[2].job_id, oldest[3].job_id);
	assert.equal(new Set(all.map((entry) => entry.id)).size, 25);
});

test("each entry has these members, and no operator's words", async () => {
	const res = await get();

	for (const entry of assertPersonal(res).entries)
		assert.deepEqual(Object.keys(entry), ["id", "change",
			"balance_after", "reason", "job_id", "created_at"]);
	assert.ok(!res.text.includes("words"));
	await assertStatements(rendio, res, 2);
});

test("pages follow each other without gap or double", async () => {
	assert.deepEqual(assertPersonal(await get()),
	    { entries: all.slice(0, 20), next_before: all[19].id });
	assert.deepEqual(assertPersonal(await get("?limit=100")),
	    { entries: all, next_before: null });

	const walked = [];
	let query = "?limit=1";
	while (query !== null && walked.length <= all.length) {
		const { entries, next_before } = assertPersonal(await get(query));
		walked.push(...entries);
		query = next_before && `?limit=1&before=${next_before}`;
	}
	assert.deepEqual(walked, all);
});

test("a limit or before that it cannot be is 400", async () => {
	const [foreign] = (await historyOf(rendio, bob)).entries;

	for (const query of ["limit=0", "limit=101", "limit=", "limit=x",
		"before=", "before=7", `before=${randomUUID()}`,
		`before=${ada.user_id}`, `before=${foreign.id}`])
		assertError(await get(`?${query}`), 400, "invalid_request");
});

test("without a user it is 401, for another user 403", async () => {
	assertError(await get("", {}), 401, "unauthorized");
	assertError(await get(`?user_id=${bob.user_id}`), 403, "forbidden");
	assertPersonal(await get(`?user_id=${ada.user_id}`));
});
