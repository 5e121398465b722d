// SPDX-License-Identifier: MIT
// /functions/v1/admin-users: finding a user, seeing all that happened, and
// setting it right.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { enter } from "./support/admin.mjs";
import { AppStore, post } from "./support/appstore.mjs";
import { id, sql } from "./support/database.mjs";
import { assertAuditClean, assertError, assertPersonal, assertStatements }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { creditsOf, endOf, orderJob } from "./support/jobs.mjs";

const TARGET = "/functions/v1/admin-users".split("/").at(-1);

let rendio, admin, ada, bob, jobId, transaction;

before(async () => {
	rendio = await start({ env: { RENDIO_ADMIN_CREDITS_PER_DAY: "100" } });
	admin = await enter(rendio);
	[ada, bob] = await Promise.all(["ada", "bob"]
	    .map((name) => rendio.guest(name)));
	const store = new AppStore(rendio);
	transaction = store.transaction();
	assert.equal((await post(rendio, ada,
	    { signed_transaction: store.sign(transaction) })).status, 200);
	await sql(rendio, `UPDATE users SET email = 'Ada.Lovelace@example.org'
	    WHERE id = ${id(ada.user_id)}`);
	jobId = await orderJob(rendio, ada,
	    { prompt: "[fail:provider] <img src=x onerror=alert(1)>" });
	assert.equal((await endOf(rendio, ada, jobId)).status, "failed");
});
after(() => rendio.stop());

async function found(text) {
	const res = await admin.call("GET",
	    `${TARGET}?q=${encodeURIComponent(text)}`);
	return assertPersonal(res).users.map((user) =>
	    [user.id, user.found_by]);
}

async function act(body) {
	return await admin.call("POST", TARGET, body);
}

async function read(user = ada, query = "") {
	return await admin.call("GET",
	    `${TARGET}?user_id=${user.user_id}${query}`);
}

test("a user is found by all that a user can tell", async () => {
	const [row] = await sql(rendio, `SELECT lower(hex(app_account_token)) AS h
	    FROM users WHERE id = ${id(ada.user_id)}`);
	const token = row.h.replace(/^(.{8})(.{4})(.{4})(.{4})/,
	    "$1-$2-$3-$4-");
	const texts = {
		[ada.user_id]: "user", [ada.user_id.toUpperCase()]: "user",
		[token]: "account token", [jobId]: "job",
		[transaction.transactionId]: "transaction",
		"ada.lovelace@example.org": "email", "ADA.L": "email",
		" ada ": "email",
	};
	for (const [text, by] of Object.entries(texts))
		assert.deepEqual(await found(text), [[ada.user_id, by]], text);
	for (const text of [randomUUID(), "123", "lovelace", "%", "' OR 1=1 --",
		"x".repeat(254), "é"])
		assert.deepEqual(await found(text), [], text);
	assert.deepEqual((await found("")).map(([user]) => user).sort(),
	    [ada.user_id, bob.user_id].sort());
	assertError(await admin.call("GET", `${TARGET}?q=${"x".repeat(255)}`),
	    400, "invalid_request");
});

test("the timeline tells why a job failed and that it was given back",
    async () => {
	const res = await read();
	const { user, purchases, timeline, ledger } = assertPersonal(res);
	await assertStatements(rendio, res, 8);

	assert.equal(user.length, 1);
	assert.equal(user[0].id, ada.user_id);
	assert.equal(user[0].purchases_count, 1);
	assert.equal(purchases[0].transaction_id, transaction.transactionId);
	const told = timeline.map(({ kind, what }) => `${kind} ${what}`);
	for (const what of ["account created", "device first seen",
		"session opened", "ledger grant", "ledger purchase",
		"ledger hold", "job ordered", "provider sent", "job failed",
		"ledger release"])
		assert.ok(told.includes(what), what);
	const end = timeline.find(({ kind, what }) =>
	    kind === "job" && what === "failed");
	assert.equal(end.subject_id, jobId);
	assert.notEqual(end.note, "");
	const back = timeline.find(({ what }) => what === "release");
	assert.equal(back.subject_id, jobId);
	assert.ok(back.credits > 0);
	// Newest first, in pages.
	const times = timeline.map(({ at }) => at);
	assert.deepEqual(times, [...times].sort().reverse());
	const pages = [];
	for (let offset = 0; offset < timeline.length; offset += 5)
		pages.push(...assertPersonal(await read(ada,
		    `&limit=5&offset=${offset}`)).timeline);
	assert.deepEqual(pages, timeline);
	assert.equal(ledger[0].balance_after, user[0].credits_remaining);
	// No secrets and no hashes.
	assert.doesNotMatch(res.text, /hash|salt|metadata/);
});

test("the console tells the same", async () => {
	const { timeline } = assertPersonal(await read());
	const json = await rendio.cli("user", "timeline", ada.user_id, "--json");
	assert.equal(json.code, 0, json.stderr);
	assert.deepEqual(JSON.parse(json.stdout), { timeline });

	const text = await rendio.cli("user", "timeline", ada.user_id);
	const lines = text.stdout.trimEnd().split("\n");
	assert.equal(lines.length, timeline.length);
	for (const [i, { at, kind, what, subject_id }] of timeline.entries())
		assert.ok(lines[i].startsWith(`${at}  ${kind}  ${what}  `) &&
		    lines[i].includes(subject_id ?? ""), lines[i]);
	const held = timeline.findIndex(({ what }) => what === "hold");
	assert.match(lines[held], /credits -\d+ {2}balance \d+/);

	assert.equal((await rendio.cli("user", "timeline", randomUUID())).code,
	    1);
	assert.equal((await rendio.cli("user", "timeline", "ada")).code, 2);
});

test("credits are given and taken with a reason, which both books keep",
    async () => {
	const before = await creditsOf(rendio, bob);
	const given = assertPersonal(await act({ action: "adjust",
		user_id: bob.user_id, credits: 5, reason: "for <b>patience</b>" }));
	assert.equal(given.credits_remaining, before + 5);
	assert.equal(await creditsOf(rendio, bob), before + 5);
	const { timeline } = assertPersonal(await read(bob));
	assert.ok(timeline.some(({ kind, note }) => kind === "ledger" &&
	    note === "for <b>patience</b>"));
	assert.ok(timeline.some(({ kind, note, number }) => kind === "admin" &&
	    note === "root: for <b>patience</b>" && number === given.number));

	const undone = assertPersonal(await act({ action: "undo",
		number: given.number, reason: "the wrong one" }));
	assert.equal(undone.credits_remaining, before);
	assertError(await act({ action: "undo", number: given.number,
		reason: "again" }), 409, "conflict");
	assertError(await act({ action: "undo", number: 1, reason: "x" }), 404,
	    "not_found");
	assertError(await act({ action: "adjust", user_id: bob.user_id,
		credits: -(before + 1), reason: "x" }), 402,
	    "insufficient_credits");
	assertError(await act({ action: "adjust", user_id: randomUUID(),
		credits: 1, reason: "x" }), 404, "user_not_found");
	// 5 of 100 were given; what was undone counts.
	assertError(await act({ action: "adjust", user_id: bob.user_id,
		credits: 96, reason: "x" }), 403, "credit_cap_reached");
	assert.equal((await act({ action: "adjust", user_id: bob.user_id,
		credits: 95, reason: "x" })).status, 200);
});

test("two who undo the same take it back once", async () => {
	const { number } = assertPersonal(await act({ action: "adjust",
		user_id: bob.user_id, credits: -2, reason: "x" }));
	const before = await creditsOf(rendio, bob);
	const answers = await Promise.all(Array.from({ length: 4 }, () =>
	    act({ action: "undo", number, reason: "x" })));
	assert.deepEqual(answers.map(({ status }) => status).sort(),
	    [200, 409, 409, 409]);
	assert.equal(await creditsOf(rendio, bob), before + 2);
});

test("a ban bites at once and is lifted again", async () => {
	const eve = await rendio.guest("eve");
	assertPersonal(await act({ action: "ban", user_id: eve.user_id,
		reason: "fraud" }));
	assertError(await rendio.request("GET",
	    "/functions/v1/get-user-credits", { bearer: eve.access_token }),
	    403, "user_banned");
	assertPersonal(await act({ action: "unban", user_id: eve.user_id }));
	const again = await rendio.guest("eve", eve.device_id);
	assert.equal(again.user_id, eve.user_id);
	assertPersonal(await act({ action: "logout", user_id: eve.user_id }));
	assertError(await rendio.request("GET",
	    "/functions/v1/get-user-credits", { bearer: again.access_token }),
	    401, "unauthorized");
	const { timeline } = assertPersonal(await read(eve));
	assert.deepEqual(timeline.filter(({ kind }) => kind === "admin")
	    .map(({ what }) => what), ["user_logout", "user_unban", "user_ban"]);
});

test("a ledger is verified, and a changed one found", async () => {
	assert.deepEqual(assertPersonal(await act({ action: "verify",
		user_id: ada.user_id })), { ok: true, problem: null });
	const carl = await rendio.guest("carl");
	await sql(rendio, `DROP TRIGGER ledger_entries_are_final;
	    UPDATE ledger_entries SET reason = 'x'
	    WHERE user_id = ${id(carl.user_id)}`);
	const { ok, problem } = assertPersonal(await act({ action: "verify",
		user_id: carl.user_id }));
	assert.equal(ok, false);
	assert.match(problem, /changed|broken/);
	await sql(rendio, `UPDATE ledger_entries SET reason = 'new_device'
	    WHERE user_id = ${id(carl.user_id)}`);
	await assertAuditClean(rendio);
});

test("what is not understood is 400 and changes nothing", async () => {
	const user_id = ada.user_id;
	for (const body of [{}, { action: "x" }, { action: "adjust" },
		{ action: "adjust", user_id, credits: 0, reason: "x" },
		{ action: "adjust", user_id, credits: 10001, reason: "x" },
		{ action: "adjust", user_id, credits: 1.5, reason: "x" },
		{ action: "adjust", user_id, credits: 1 },
		{ action: "adjust", user_id, credits: 1, reason: "" },
		{ action: "adjust", user_id, credits: 1,
			reason: "x".repeat(256) },
		{ action: "adjust", user_id, credits: 1, reason: "x", more: 1 },
		{ action: "undo", number: 0, reason: "x" },
		{ action: "undo", user_id, number: 1, reason: "x" },
		{ action: "ban" }, { action: "verify", user_id: "me" }])
		assertError(await act(body), 400, "invalid_request");
	for (const query of ["user_id=x", `user_id=${user_id}&limit=0`,
		`user_id=${user_id}&limit=201`, `user_id=${user_id}&offset=-1`])
		assertError(await admin.call("GET", `${TARGET}?${query}`), 400,
		    "invalid_request");
	assertError(await admin.call("GET", `${TARGET}?user_id=${randomUUID()}`),
	    404, "user_not_found");
	assertError(await rendio.request("GET", `/functions/v1/${TARGET}`,
	    { bearer: ada.access_token }), 401, "unauthorized");
});
