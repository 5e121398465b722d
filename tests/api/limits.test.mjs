// SPDX-License-Identifier: MIT
// How often a user may do something: exactly so often, however many come at
// once, by what the user is, and without harm to anybody else.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import path from "node:path";
import { after, before, test } from "node:test";
import { AppStore, buy, STARTER } from "./support/appstore.mjs";
import { id, sql } from "./support/database.mjs";
import { assertAuditClean, assertError, assertPersonal, assertStatements }
    from "./support/expect.mjs";
import { identityToken, merge } from "./support/identity.mjs";
import { build, isAlive, start, until } from "./support/instance.mjs";
import { creditsOf, endOf, order, orderJob, remove, startWorker, stopWorker }
    from "./support/jobs.mjs";
import { JPEG } from "./support/pictures.mjs";

let rendio, store;

/** With a sanitiser each takes ten times as long. */
const FLOOD = path.basename(build) === "build" ? 10_000 : 2_000;

const refresh = (token, options = {}) => rendio.request("POST",
    "/auth/v1/token?grant_type=refresh_token",
    { body: { refresh_token: token }, ...options });

/** As the configuration is without a word of the owner. */
const DEFAULTS = {
	RENDIO_LIMIT_GENERATE_GUEST_PER_H: "5",
	RENDIO_LIMIT_GENERATE_FREE_PER_H: "10",
	RENDIO_LIMIT_GENERATE_PREMIUM_PER_H: "50",
	RENDIO_LIMIT_GENERATE_PER_MIN: "10",
};

before(async () => {
	rendio = await start({ env: { ...DEFAULTS,
		RENDIO_GRANT_CREDITS: "24",
		RENDIO_LIMIT_UPLOAD_PER_H: "2",
		RENDIO_LIMIT_PURCHASE_PER_H: "2",
		RENDIO_LIMIT_REFRESH_PER_H: "3",
		RENDIO_LIMIT_ACCOUNT_PER_H: "2",
		RENDIO_LIMIT_REPORT_PER_H: "7" } });
	store = new AppStore(rendio);
});
after(() => rendio?.stop());

const violations = async (user_id, kind) => (await sql(rendio,
    "SELECT COALESCE(SUM(count), 0) AS n FROM limit_violations" +
    ` WHERE subject = ${id(user_id)} AND kind = '${kind}'`))[0].n;

/** They are written down within a second, no sooner. */
const assertViolations = async (user_id, kind, n) => {
	await until(async () => await violations(user_id, kind) >= n, 30_000);
	assert.equal(await violations(user_id, kind), n);
};

/** The headers of a limit, as numbers. */
const told = ({ headers }) => ["limit", "remaining", "reset"].map((name) =>
    Number(headers[`x-ratelimit-${name}`]));

function assertLimited(res, max, { status = 429, code = "rate_limited",
    dialect } = {}) {
	assertError(res, status, code, dialect);
	const [limit, remaining, reset_s] = told(res);
	assert.equal(limit, max);
	assert.equal(remaining, 0);
	assert.ok(reset_s > 0 && reset_s <= 3600, `${reset_s}`);
	const retry_s = Number(res.headers["retry-after"]);
	assert.ok(retry_s > 0 && retry_s <= reset_s, `${retry_s}`);
}

test("a guest orders five videos an hour, and each answer counts them down",
    async () => {
	const ada = await rendio.guest("ada");
	const key = randomUUID();
	const first = await order(rendio, ada, {}, key);

	assert.equal(first.status, 200);
	assert.deepEqual(told(first).slice(0, 2), [5, 4]);
	// A repetition, a wrong request and too dear a one take nothing.
	for (let i = 0; i < 3; i++)
		assert.equal((await order(rendio, ada, {}, key))
		    .headers["x-idempotent-replay"], "true");
	assertError(await order(rendio, ada, { prompt: "" }), 400,
	    "invalid_prompt");
	assert.deepEqual(told(await order(rendio, ada)).slice(0, 2), [5, 3]);
	assertError(await order(rendio, ada, { settings: { duration: 8,
		resolution: "4k" } }), 402, "insufficient_credits");
	for (let left = 2; left >= 0; left--)
		assert.deepEqual(told(await order(rendio, ada)).slice(0, 2),
		    [5, left]);

	const credits = await creditsOf(rendio, ada);
	const res = await order(rendio, ada);
	assertLimited(res, 5);
	assert.ok(Number(res.headers["retry-after"]) > 600);
	assert.equal(await creditsOf(rendio, ada), credits);
	await assertViolations(ada.user_id, "generate", 1);
	// What was ordered before is still repeated.
	assert.equal((await order(rendio, ada, {}, key)).status, 200);

	// When there is room for one again, one passes.
	await sql(rendio, "UPDATE rate_limits SET hour_full_at_ms =" +
	    ` hour_full_at_ms - 720000 WHERE subject = ${id(ada.user_id)}`);
	assert.equal((await order(rendio, ada)).status, 200);
	assertLimited(await order(rendio, ada), 5);
});

test("who signed in with Apple has ten, who has paid fifty, ten a minute",
    async () => {
	const bob = await rendio.guest("bob");
	const res = await merge(rendio, bob, { identity_token:
	    await identityToken(rendio, "bob-of-apple") });
	assert.equal(res.status, 200, res.text);
	const signed = res.json();
	await rendio.cli("user", "grant", bob.user_id, "100", "--reason", "test");
	assert.equal(told(await order(rendio, signed))[0], 10);

	await buy(rendio, signed, store, store.transaction({ productId: STARTER }));
	const paid = await order(rendio, signed);
	// The minute's limit has less left than the hour's.
	assert.deepEqual(told(paid).slice(0, 2), [10, 8]);
	const passed = await Promise.all(Array.from({ length: 12 },
	    () => order(rendio, signed)));
	assert.equal(passed.filter(({ status }) => status === 200).length, 8);
	await sql(rendio, "UPDATE rate_limits SET minute_full_at_ms = 0" +
	    ` WHERE subject = ${id(bob.user_id)}`);
	assert.equal((await order(rendio, signed)).status, 200);
});

test("what failed, was cancelled or deleted counts: the eleventh is refused",
    async (t) => {
	const guest = await rendio.guest("ines");
	const signed = (await merge(rendio, guest, { identity_token:
	    await identityToken(rendio, "ines-of-apple") })).json();
	await rendio.cli("user", "grant", guest.user_id, "100", "--reason", "test");
	const before = await creditsOf(rendio, signed);
	const jobs = [];

	await stopWorker(rendio);
	t.after(() => startWorker(rendio));
	// Three are deleted before they are sent.
	for (let i = 0; i < 3; i++)
		assertPersonal(await remove(rendio, signed,
		    await orderJob(rendio, signed)));
	for (let i = 0; i < 4; i++)
		jobs.push(await orderJob(rendio, signed,
		    { prompt: "[fail:provider]" }));
	for (let i = 0; i < 3; i++)
		jobs.push(await orderJob(rendio, signed));
	await startWorker(rendio);
	const ends = [];
	for (const job of jobs)
		ends.push((await endOf(rendio, signed, job)).status);
	assert.deepEqual(ends, [...Array(4).fill("failed"),
		...Array(3).fill("completed")]);
	for (const job of jobs)
		assertPersonal(await remove(rendio, signed, job));
	const res = await rendio.request("GET", "/functions/v1/get-video-jobs",
	    { bearer: signed.access_token });
	assert.deepEqual(assertPersonal(res).jobs, []);
	assert.equal(await creditsOf(rendio, signed), before - 3 * 4);

	// It is not the minute that refuses.
	await sql(rendio, "UPDATE rate_limits SET minute_full_at_ms = 0" +
	    ` WHERE subject = ${id(guest.user_id)}`);
	assertLimited(await order(rendio, signed), 10);
	assert.equal(await creditsOf(rendio, signed), before - 3 * 4);
	await assertViolations(guest.user_id, "generate", 1);
});

test("of ten thousand that come at once exactly the allowed number passes",
    async () => {
	const eager = await rendio.guest("eager");
	const other = await rendio.guest("other");
	const answers = { 200: 0, 429: 0 };
	let sent = 0;

	const send = async () => {
		while (sent < FLOOD) {
			sent++;
			const { status } = await order(rendio, eager);
			answers[status]++;
		}
	};
	const flood = Promise.all(Array.from({ length: 100 }, send));
	// Another user goes on meanwhile.
	for (let i = 0; i < 5; i++)
		assert.equal((await order(rendio, other)).status, 200);
	await flood;
	assert.deepEqual(answers, { 200: 5, 429: FLOOD - 5 });
	assert.equal(await creditsOf(rendio, eager), 24 - 5 * 4);
	await assertViolations(eager.user_id, "generate", FLOOD - 5);
	assert.equal(await violations(other.user_id, "generate"), 0);
	// Said once, not ten thousand times.
	const lines = rendio.log().filter((line) =>
	    line.includes("limit_repeated") && line.includes(eager.user_id));
	assert.equal(lines.length, 1, lines.join("\n"));
	assert.equal(JSON.parse(lines[0]).kind, "generate");
});

test("a refusal is found out with a few reads, and counted when it ends",
    async () => {
	const hana = await rendio.guest("hana");

	for (let i = 0; i < 5; i++)
		assert.equal((await order(rendio, hana)).status, 200);
	const res = await order(rendio, hana);
	assertLimited(res, 5);
	// Whatever else is wrong with it: what is dear is not asked.
	assertLimited(await order(rendio, hana, { theme_id: randomUUID() }), 5);
	await assertStatements(rendio, res, 3);
	// Nobody waits for the second to be over.
	const [pid] = rendio.pids("generate-video");
	process.kill(pid, "SIGTERM");
	assert.ok(await until(() => !isAlive(pid), 30_000));
	assert.equal(await violations(hana.user_id, "generate"), 2);
});

test("a limiter that is broken refuses orders and lets a refresh pass",
    async () => {
	const carl = await rendio.guest("carl");

	await sql(rendio, "ALTER TABLE rate_limits RENAME TO broken");
	try {
		assertError(await order(rendio, carl), 503,
		    "service_unavailable");
		assert.equal((await refresh(carl.refresh_token)).status,
		    200);
	} finally {
		await sql(rendio, "ALTER TABLE broken RENAME TO rate_limits");
	}
	assert.equal(await creditsOf(rendio, carl), 24);
	assert.equal((await order(rendio, carl)).status, 200);
});

test("uploads, purchases, refreshes and merges each have their own",
    async () => {
	const dora = await rendio.guest("dora");
	const upload = (name) => rendio.request("POST",
	    `/storage/v1/object/thumbnails/${dora.user_id}/${name}.jpg`,
	    { bearer: dora.access_token, body: JPEG,
		headers: { "content-type": "image/jpeg" } });
	const post = () => rendio.request("POST", "/functions/v1/update-credits",
	    { bearer: dora.access_token, body: { signed_transaction: "a.b.c" } });

	assert.deepEqual(told(await upload("one")).slice(0, 2), [2, 1]);
	assert.equal((await upload("two")).status, 200);
	assertLimited(await upload("three"), 2, { dialect: "storage" });
	assert.deepEqual(told(await post()).slice(0, 2), [2, 1]);
	assertError(await post(), 400, "invalid_transaction");
	assertLimited(await post(), 2);
	for (let i = 0; i < 2; i++)
		assertError(await merge(rendio, dora, { identity_token: "x" }),
		    401, "unauthorized");
	assertLimited(await merge(rendio, dora, { identity_token: "x" }), 2);

	let token = dora.refresh_token;
	for (let i = 0; i < 3; i++) {
		const res = await refresh(token);
		assert.equal(res.status, 200);
		token = res.json().refresh_token;
	}
	// Not 429, at which the official clients sign their user out.
	assertLimited(await refresh(token), 3, { status: 503,
		code: "service_unavailable", dialect: "auth" });
	await sql(rendio, "DELETE FROM rate_limits" +
	    ` WHERE subject = ${id(dora.user_id)}`);
	assert.equal((await refresh(token)).status, 200);
});

test("an account shows in its export what it was refused", async () => {
	const fred = await rendio.guest("fred");

	for (let i = 0; i < 6; i++)
		await order(rendio, fred);
	await assertViolations(fred.user_id, "generate", 1);
	const { limit_violations } = (await rendio.request("GET",
	    "/functions/v1/export-account",
	    { bearer: fred.access_token })).json();
	assert.equal(limit_violations.length, 1);
	assert.equal(limit_violations[0].kind, "generate");
	assert.equal(limit_violations[0].count, 1);
});

test("counts that are old go, whatever was counted", async () => {
	const gina = await rendio.guest("gina");

	for (let i = 0; i < 6; i++)
		await order(rendio, gina);
	await assertViolations(gina.user_id, "generate", 1);
	await sql(rendio, "UPDATE limit_violations SET hour_at_ms =" +
	    " hour_at_ms - 31 * 86400000" +
	    ` WHERE subject = ${id(gina.user_id)}`);
	await sql(rendio, "UPDATE rate_limits SET hour_full_at_ms = 1" +
	    ` WHERE subject = ${id(gina.user_id)}`);
	assert.ok(await until(async () =>
	    await violations(gina.user_id, "generate") === 0 &&
	    (await sql(rendio, "SELECT 1 FROM rate_limits WHERE subject =" +
		id(gina.user_id))).length === 0, 30_000));
});

test("after all this the books are in order", async () => {
	await assertAuditClean(rendio);
});
