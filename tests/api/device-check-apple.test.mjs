// SPDX-License-Identifier: MIT
// POST /functions/v1/device-check against a DeviceCheck that fails in all the
// ways it can: who gets an account, who gets the gift, and who neither.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import path from "node:path";
import { after, afterEach, before, test } from "node:test";
import { DeviceCheck, QUERY, UPDATE } from "../fakes/devicecheck.mjs";
import { sql } from "./support/database.mjs";
import { assertAuditClean, assertError, assertNotLogged, assertPersonal,
	assertStatements, UUID } from "./support/expect.mjs";
import { build, start } from "./support/instance.mjs";
import { creditsOf } from "./support/jobs.mjs";
import { check, Phone } from "./support/phone.mjs";

const GIFT = 10;
const TIMEOUT_MS = 5000;

let apple, rendio, number = 0;

before(async () => {
	apple = await DeviceCheck.start();
	rendio = await start({ env: { ...apple.env,
		RENDIO_DEVICE_ACCOUNTS_MAX: "3",
		RENDIO_DEVICE_REJECTIONS_MAX: "2" } });
});
afterEach(() => apple.heal());
after(async () => {
	await rendio.stop();
	await apple.stop();
});

const phone = (name = `phone-${++number}`) => new Phone(rendio, apple, name);

async function countUsers() {
	return (await sql(rendio, "SELECT COUNT(*) AS n FROM users"))[0].n;
}

test("a new phone gets an account, a session and the gift", async () => {
	const ada = phone("ada");
	const res = await ada.check();
	const body = assertPersonal(res);

	assert.deepEqual(Object.keys(body), ["success", "user_id",
		"credits_remaining", "is_new", "access_token", "refresh_token",
		"expires_in", "expires_at", "token_type", "grant"]);
	assert.equal(body.success, true);
	assert.match(body.user_id, UUID);
	assert.equal(body.credits_remaining, GIFT);
	assert.equal(body.is_new, true);
	assert.equal(body.grant, "granted");
	assert.equal(body.token_type, "bearer");
	assert.equal(await creditsOf(rendio, body), GIFT);
	// Asked, asked again in its turn, told.
	assert.deepEqual(apple.calls.filter((call) => call.phone === "ada")
	    .map((call) => call.path), [QUERY, QUERY, UPDATE]);
	assert.deepEqual(apple.bits("ada"), { bit0: true, bit1: false });
	await assertStatements(rendio, res, 24);
	await assertNotLogged(rendio, { "device id": ada.device_id,
		"access token": body.access_token });
	assert.equal(JSON.stringify(body).includes(ada.device_id), false);
});

test("the same phone and id find their account again", async () => {
	const bea = phone();
	const first = await bea.enter();

	for (const id of [bea.device_id, bea.device_id.toUpperCase()]) {
		const again = await bea.reinstall(id).enter();
		assert.equal(again.user_id, first.user_id);
		assert.equal(again.is_new, false);
		assert.equal(again.grant, "already_claimed");
		assert.equal(again.credits_remaining, GIFT);
		assert.notEqual(again.access_token, first.access_token);
	}
	assert.equal(await creditsOf(rendio, first), GIFT);
});

test("a reinstalled app with a new id gets no second gift", async () => {
	const cleo = phone();
	const first = await cleo.enter();

	for (let i = 0; i < 2; i++) {
		const again = await cleo.reinstall().enter();
		assert.notEqual(again.user_id, first.user_id);
		assert.equal(again.is_new, true);
		assert.equal(again.grant, "already_claimed");
		assert.equal(again.credits_remaining, 0);
	}
});

test("an id that is no secret never finds an account", async () => {
	const dot = phone();
	const ids = ["stable.id_0-1", "00000000-0000-1000-8000-000000000000"];

	for (const id of ids) {
		const [first, again] = [await dot.reinstall(id).enter(),
			await dot.enter()];
		assert.notEqual(again.user_id, first.user_id, id);
		assert.equal(again.is_new, true);
		assert.notEqual(again.grant, "granted");
	}
});

test("a phone whose ban bit is set is refused", async () => {
	const eve = phone("eve");
	const before = await countUsers();

	apple.setBits("eve", false, true);
	assertError(await eve.check(), 403, "device_rejected");
	assert.equal(await countUsers(), before);
	assert.deepEqual(apple.bits("eve"), { bit0: false, bit1: true });
});

test("setting the gift's bit keeps the other one", async (t) => {
	const own = await start({ env: { ...apple.env,
		RENDIO_DEVICECHECK_GRANT_BIT: "1",
		RENDIO_DEVICECHECK_BAN_BIT: "2" } });
	t.after(() => own.stop());
	const fay = new Phone(own, apple, "fay");

	// Another app of the team has given bit 0 a meaning of its own.
	apple.setBits("fay", true, false);
	assert.equal((await fay.enter()).grant, "granted");
	assert.deepEqual(apple.bits("fay"), { bit0: true, bit1: true });
	assert.equal((await fay.reinstall().enter()).grant, "already_claimed");
});

test("both bits cannot mean the gift", async () => {
	const { code, stderr } = await rendio.cliWith({ env: {
		RENDIO_DEVICECHECK_GRANT_BIT: "1" } }, "audit");
	assert.equal(code, 1);
	assert.match(stderr, /BAN_BIT must differ/);
});

// --- what Apple answers -------------------------------------------------------

test("a token that Apple does not know opens nothing", async () => {
	const before = await countUsers();

	assertError(await check(rendio, randomUUID(),
	    randomBytes(1500).toString("base64")), 403, "device_rejected");
	apple.fault({ status: 400, text: "missing or incorrectly formatted " +
	    "DEVICE TOKEN payload\n" });
	assertError(await phone().check(), 403, "device_rejected");
	assert.equal(await countUsers(), before);
});

test("rejections are remembered of the device id", async () => {
	const gus = phone();

	await gus.enter();
	assertError(await check(rendio, gus.device_id, "AAAA"), 403,
	    "device_rejected");
	const rows = await sql(rendio,
	    "SELECT rejections_count AS n FROM devices" +
	    " WHERE rejections_count > 0");
	assert.deepEqual(rows, [{ n: 1 }]);
});

const TROUBLES = {
	"an error of Apple's": { status: 500 },
	"too many questions": { status: 429, text: "Too Many Requests" },
	"out of service": { status: 503, text: "Service Unavailable" },
	"our token is refused": { status: 401,
		text: "Unable to verify authorization token" },
	"our token is malformed": { status: 400,
		text: "Missing or badly formatted authorization token" },
	"our clock is wrong": { status: 400,
		text: "Missing or incorrectly formatted time stamp" },
	"forbidden": { status: 403 },
	"method not allowed": { status: 405, text: "Method Not Allowed" },
	"a redirect": { status: 302 },
	"nothing": { status: 200, text: "" },
	"HTML": { status: 200, text: "<html>Sign in to the hotel</html>" },
	"a word": { status: 200, text: "OK" },
	"another JSON value": { status: 200, text: "[true,false]" },
	"bits that are words": { status: 200,
		text: '{"bit0":"yes","bit1":false}' },
	"bits that are numbers": { status: 200, text: '{"bit0":0,"bit1":0}' },
	"one bit": { status: 200, text: '{"bit0":false}' },
	"bits twice": { status: 200,
		text: '{"bit0":true,"bit0":false,"bit1":false}' },
	"half an answer": { status: 200, text: '{"bit0":false,"bit1":fal' },
	"ten megabytes": { status: 200, text: " ".repeat(10 << 20) },
	"a broken connection": { reset: true },
};

for (const [name, trouble] of Object.entries(TROUBLES)) {
	test(`${name}: a session, the gift later`, async () => {
		const who = phone();

		apple.fault({ path: QUERY, ...trouble });
		const first = await who.enter();
		assert.equal(first.grant, "pending");
		assert.equal(first.is_new, true);
		assert.equal(first.credits_remaining, 0);
		assert.deepEqual(apple.bits(who.name),
		    { bit0: false, bit1: false });

		const later = await who.enter();
		assert.equal(later.user_id, first.user_id);
		assert.equal(later.grant, "granted");
		assert.equal(later.credits_remaining, GIFT);
	});

	test(`${name}: nobody enters an account unverified`, async () => {
		const who = phone();
		const { user_id } = await who.enter();
		const [{ n }] = await sql(rendio,
		    "SELECT COUNT(*) AS n FROM sessions");

		apple.fault({ path: QUERY, ...trouble });
		assertError(await who.check(), 503, "service_unavailable");
		assert.deepEqual(await sql(rendio,
		    "SELECT COUNT(*) AS n FROM sessions"), [{ n }]);
		assert.equal((await who.enter()).user_id, user_id);
	});
}

for (const [name, trouble] of Object.entries({
	"silence": { hang: true },
	"a byte a second": { drip_ms: 1000,
		text: '{"bit0":false,"bit1":false,"last_update_time":"2026-01"}' },
})) {
	test(`${name} is waited for, but not for long`, async () => {
		const who = phone();

		apple.fault({ path: QUERY, ...trouble });
		const began_ms = Date.now();
		assert.equal((await who.enter()).grant, "pending");
		const took_ms = Date.now() - began_ms;
		assert.ok(took_ms >= TIMEOUT_MS - 100 &&
		    took_ms < TIMEOUT_MS + 1500, `${took_ms} ms`);
	});
}

for (const text of ["Failed to find bit state", "Bit State Not Found",
	"  failed to find BIT STATE \n"]) {
	test(`"${text.trim()}" means that the bits were never set`, async () => {
		const who = phone();

		apple.fault({ path: QUERY, status: 200, text, times: 2 });
		assert.equal((await who.enter()).grant, "granted");
	});
}

// --- the update ---------------------------------------------------------------

for (const status of [400, 401, 403, 405, 429, 500, 503]) {
	test(`an update refused with ${status} leaves the gift pending`,
	    async () => {
		const who = phone();

		apple.fault({ path: UPDATE, status, text: "no" });
		const first = await who.enter();
		assert.equal(first.grant, "pending");
		assert.equal(first.credits_remaining, 0);
		const later = await who.enter();
		assert.equal(later.grant, "granted");
		assert.equal(later.user_id, first.user_id);
	});
}

test("an update whose answer is lost is still one gift", async () => {
	const who = phone();

	// Apple has set the bit, and nobody has heard of it.
	apple.fault({ path: UPDATE, reset: true, effect: true });
	const first = await who.enter();
	assert.equal(first.grant, "pending");
	assert.equal(apple.bits(who.name).bit0, true);
	assert.equal((await who.enter()).grant, "granted");
	assert.equal((await who.enter()).grant, "already_claimed");
	assert.equal((await who.reinstall().enter()).grant, "already_claimed");
	assert.equal(await creditsOf(rendio, first), GIFT);
});

test("only the account that set out to set the bit may find it set",
    async () => {
	const who = phone();

	apple.fault({ path: UPDATE, reset: true, effect: true });
	const first = await who.enter();
	assert.equal((await who.reinstall().enter()).grant, "already_claimed");
	assert.equal(await creditsOf(rendio, first), 0);
});

test("accounts opened while Apple was away share one gift", async () => {
	const who = phone();
	const ids = Array.from({ length: 6 }, () => randomUUID());
	const grants = [];

	for (const id of ids) {
		apple.fault({ path: QUERY, status: 503 });
		assert.equal((await who.reinstall(id).enter()).grant, "pending");
	}
	for (const id of ids)
		grants.push((await who.reinstall(id).enter()).grant);
	assert.deepEqual(grants, ["granted",
		...Array(5).fill("already_claimed")]);
});

test("accounts opened while Apple refused updates share one gift", async () => {
	const who = phone();
	const ids = Array.from({ length: 6 }, () => randomUUID());
	const grants = [];

	for (const id of ids) {
		apple.fault({ path: UPDATE, status: 503 });
		assert.equal((await who.reinstall(id).enter()).grant, "pending");
	}
	for (const id of ids)
		grants.push((await who.reinstall(id).enter()).grant);
	assert.deepEqual(grants, ["granted",
		...Array(5).fill("already_claimed")]);
});

test("who is kept waiting by other new phones comes in, the gift later",
    async () => {
	const who = phone();
	const holder = spawn("flock", ["-F", rendio.file("run", "device-check.lock"),
		"sh", "-c", "echo held; exec sleep 60"]);
	await new Promise((resolve) => holder.stdout.once("data", resolve));

	try {
		const first = await who.enter();
		assert.equal(first.grant, "pending");
		assert.deepEqual(apple.bits(who.name),
		    { bit0: false, bit1: false });
		// It is known to be the same phone all the same.
		assert.equal((await who.enter()).user_id, first.user_id);
	} finally {
		holder.kill("SIGKILL");
		await new Promise((resolve) => holder.once("exit", resolve));
	}
	assert.equal((await who.enter()).grant, "granted");
	assert.equal(await creditsOf(rendio, await who.enter()), GIFT);
});

test("the operator sees whether Apple can be asked", async () => {
	const levelOf = async (env) => {
		const { stdout } = await rendio.cliWith({ env }, "doctor", "--offline",
		    "--json");
		return JSON.parse(stdout).checks
		    .find((row) => row.check === "devicecheck").level;
	};

	assert.equal(await levelOf({}), "ok");
	for (const name of ["RENDIO_APPLE_TEAM_ID",
		"RENDIO_DEVICECHECK_KEY_ID", "RENDIO_DEVICECHECK_KEY_FILE"])
		assert.equal(await levelOf({ [name]: "" }), "error", name);
	for (const file of ["/nowhere", rendio.file("anon-key")])
		assert.equal(await levelOf(
		    { RENDIO_DEVICECHECK_KEY_FILE: file }), "error");
	assert.equal(await levelOf({ RENDIO_DEVICECHECK_URL: "" }), "ok");
	assert.equal(await levelOf({ RENDIO_DEVICECHECK_URL: "",
		RENDIO_MODE: "live" }), "ok");
});

for (const name of ["device-check", "merge-guest-user"])
	test(`${name} does not start in live mode without its key`, async () => {
		const { code, stderr } = await new Promise((resolve) =>
		    execFile(path.join(build, "cgi-bin", name), [], {
			env: { ...rendio.env, RENDIO_MODE: "live",
				RENDIO_APPLE_TEAM_ID: "" } },
		    (error, stdout, text) => resolve({ code: error?.code,
			stderr: stdout + text })));
		assert.equal(code, 1);
		assert.match(stderr, /RENDIO_APPLE_TEAM_ID is missing/);
	});

test("a gift that is owed is seen by the operator", async () => {
	const who = phone();
	const seen = async () => {
		const { stdout } = await rendio.cli("doctor", "--offline", "--json");
		return JSON.parse(stdout).checks
		    .find(({ check: name }) => name === "gifts");
	};

	apple.fault({ path: QUERY, status: 503 });
	const { user_id } = await who.enter();
	assert.equal((await seen()).level, "warning");
	assert.match((await rendio.cli("user", "show", user_id)).stdout,
	    /gift +pending/);
	await who.enter();
});

// --- too many accounts --------------------------------------------------------

test("a device id that opened too many accounts gets no gift", async () => {
	const who = phone().reinstall("many-accounts");

	// Three accounts are allowed here; none of them got the gift.
	for (let i = 0; i < 3; i++) {
		apple.fault({ path: QUERY, status: 503 });
		assert.equal((await who.enter()).grant, "pending");
	}
	const last = await who.enter();
	assert.equal(last.grant, "withheld");
	assert.equal(last.credits_remaining, 0);
	assert.equal(apple.bits(who.name).bit0, false);
	assert.match((await rendio.cli("user", "show", last.user_id)).stdout,
	    /gift +withheld/);
});

test("a device id that Apple refused too often gets no gift", async () => {
	const who = phone();

	apple.fault({ path: QUERY, status: 503 });
	assert.equal((await who.enter()).grant, "pending");
	for (let i = 0; i < 3; i++)
		assertError(await check(rendio, who.device_id, "AAAA"), 403,
		    "device_rejected");
	assert.equal((await who.enter()).grant, "withheld");
	assert.equal(apple.bits(who.name).bit0, false);
});

test("a bit that changed by itself is remembered", async () => {
	const who = phone();
	const changes = async () => (await sql(rendio, "SELECT" +
	    " SUM(bit_changes_count) AS n FROM devices"))[0].n;

	await who.enter();
	await who.enter();
	const before = await changes();
	apple.setBits(who.name, false, false);
	await who.enter();
	assert.equal(await changes(), before + 1);
	await who.enter();
	assert.equal(await changes(), before + 1);
});

// --- input --------------------------------------------------------------------

test("a device id has 1 to 128 plain characters", async () => {
	const token = apple.token("input");

	for (const id of ["", "a".repeat(129), "../x", "a b", "a\u0000", "é",
		"😀", 7, null, undefined, ["a"]])
		assertError(await check(rendio, id, token), 400,
		    id === "a\u0000" ? "invalid_json" : "invalid_request");
	for (const id of ["a", "a".repeat(127), "a".repeat(128)])
		assert.equal((await check(rendio, id, token)).status, 200);
});

test("what is no base64 is refused before Apple is asked", async () => {
	const calls = apple.calls.length;

	for (const token of ["", "A".repeat(49), "A".repeat(5001), "AAA\nAAAA",
		"not base64!", `${"A".repeat(8192)}AAAA`])
		assertError(await check(rendio, randomUUID(), token), 400,
		    "invalid_device_token");
	for (const token of [undefined, null, 7])
		assertError(await check(rendio, randomUUID(), token), 400,
		    "invalid_request");
	assert.equal(apple.calls.length, calls);
});

test("members that the body may not have change nothing", async () => {
	const body = await phone().enter({ body: { credits: 1000,
		credits_remaining: 1000, tier: "premium", is_admin: true,
		user_id: randomUUID(), grant: "granted" } });
	const profile = await rendio.request("GET",
	    "/functions/v1/get-user-profile", { bearer: body.access_token });

	assert.equal(body.credits_remaining, GIFT);
	assert.equal(profile.json().tier, "free");
	assert.equal(profile.json().id, body.user_id);
});

test("it wants POST, the key and JSON", async () => {
	const target = "/functions/v1/device-check";

	for (const method of ["GET", "PUT", "DELETE"])
		assertError(await rendio.request(method, target), 405,
		    "method_not_allowed");
	for (const apikey of [null, "wrong"])
		assertError(await rendio.request("POST", target,
		    { apikey, body: {} }), 401, "invalid_api_key");
	for (const body of ["", "{", "[]", '"x"'])
		assertError(await rendio.request("POST", target, { body,
			headers: { "content-type": "application/json" } }), 400,
		    "invalid_json");
	assertError(await rendio.request("POST", target,
	    { body: "a=b", headers: { "content-type": "text/plain" } }), 415,
	    "unsupported_media_type");
});

// --- limits -------------------------------------------------------------------

test("a device id checks in ten times an hour, a refusal says when", async () => {
	const who = phone();
	const send = () => rendio.request("POST", "/functions/v1/device-check", {
		body: { device_id: who.device_id,
			device_token: apple.token(who.name) },
		localAddress: "127.0.0.2" });

	for (let i = 0; i < 10; i++)
		assert.equal((await send()).status, 200);
	const calls = apple.calls.length;
	const res = await send();
	assertError(res, 429, "rate_limited");
	assert.equal(res.headers["x-ratelimit-limit"], "10");
	assert.equal(res.headers["x-ratelimit-remaining"], "0");
	const reset_s = Number(res.headers["x-ratelimit-reset"]);
	assert.ok(reset_s > 3500 && reset_s <= 3600);
	// It fills up again one by one.
	const retry_s = Number(res.headers["retry-after"]);
	assert.ok(retry_s > 300 && retry_s <= 360);
	assert.equal(apple.calls.length, calls);

	// Another id from there, and this id from this machine, are not meant.
	assert.equal((await rendio.request("POST",
	    "/functions/v1/device-check", { localAddress: "127.0.0.2",
		body: { device_id: randomUUID(),
			device_token: apple.token(who.name) } })).status, 200);
	assert.equal((await who.check()).status, 200);

	// An hour later they are all there again.
	await sql(rendio, "UPDATE rate_limits SET" +
	    " hour_full_at_ms = hour_full_at_ms - 3600000");
	assert.equal((await send()).status, 200);
});

test("an address is limited over all device ids", async (t) => {
	const own = await start({ env: { ...apple.env,
		RENDIO_LIMIT_ADDRESS_CHECK_PER_H: "10",
		RENDIO_TRUSTED_PROXIES: "127.0.0.1/32" } });
	t.after(() => own.stop());
	const from = (address) => own.request("POST",
	    "/functions/v1/device-check", {
		headers: { "x-forwarded-for": address },
		body: { device_id: randomUUID(),
			device_token: apple.token(`from-${address}`) } });
	const calls = apple.calls.length;

	const answers = [];
	for (let i = 0; i < 20; i++)
		answers.push((await from("192.0.2.7")).status);
	assert.deepEqual(answers, [...Array(10).fill(200),
		...Array(10).fill(429)]);
	assert.ok(apple.calls.length - calls <= 12);
	assert.equal((await from("192.0.2.8")).status, 200);

	// A customer of IPv6 has a whole network.
	for (let i = 0; i < 10; i++)
		assert.equal((await from(`2001:db8:1:2::${i}`)).status, 200);
	assertError(await from("2001:db8:1:2:ffff::1"), 429, "rate_limited");
	assert.equal((await from("2001:db8:1:3::1")).status, 200);
	const rows = await sql(own, "SELECT hex(subject) AS hex" +
	    " FROM rate_limits WHERE kind = 'address'");
	assert.equal(rows.length, 4);
	for (const { hex } of rows)
		assert.notEqual(hex, createHash("sha256").update("192.0.2.7")
		    .digest("hex").toUpperCase());
});

test("racing visits over the limit are counted one by one", async () => {
	const device_id = randomUUID();
	const all = await Promise.all(Array.from({ length: 30 }, () =>
	    rendio.request("POST", "/functions/v1/device-check", {
		body: { device_id, device_token: apple.token("race") },
		localAddress: "127.0.0.3" })));

	const passed = all.filter(({ status }) => status === 200);
	assert.equal(passed.length, 10);
	assert.equal(new Set(passed.map((res) => res.json().user_id)).size, 1);
});

test("after all this the books are in order", async () => {
	await assertAuditClean(rendio);
});
