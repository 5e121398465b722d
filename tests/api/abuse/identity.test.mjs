// SPDX-License-Identifier: MIT
//
// What is tried against identity, line by line: D devices and guests, T
// sessions and tokens, M merges and Apple IDs, U profile and account.  Each is
// refused as documented, and nobody has gained anything by it.  What takes
// longer is in files of its own: dying at any moment (D13, M10, T16) in
// tests/faults, deleting (U10, U11) in delete-account.test.mjs, two things at
// once (U14) in concurrency.test.mjs.

import assert from "node:assert/strict";
import { createHash, createHmac, randomBytes, randomUUID } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AppleId, now_s, publicPem } from "../../fakes/appleid.mjs";
import { DeviceCheck, QUERY, UPDATE } from "../../fakes/devicecheck.mjs";
import { AppStore, buy } from "../support/appstore.mjs";
import { id, sql, whileLocked } from "../support/database.mjs";
import { endpoints } from "../support/endpoints.mjs";
import { assertAuditClean, assertError, assertNotLogged } from "../support/expect.mjs";
import { assertDead, assertRefused, merge, signIn }
    from "../support/identity.mjs";
import { build, start, until } from "../support/instance.mjs";
import { creditsOf, historyOf, order, startWorker, stopWorker }
    from "../support/jobs.mjs";
import { check, Phone } from "../support/phone.mjs";
import { badTokens, claimsOf, expiredToken, flipBit, forge, lostTokens, signingKey } from "../support/tokens.mjs";

const GIFT = 10;
const SESSIONS_MAX = 10;

/** From here an address can be pretended. */
const PROXY = "127.0.0.3";

let dir, apple, appleId, rendio, number = 0;

before(async () => {
	dir = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-"));
	apple = await DeviceCheck.start();
	appleId = await AppleId.start({ dir,
		teamId: apple.env.RENDIO_APPLE_TEAM_ID });
	rendio = await start({ env: { ...apple.env, ...appleId.env,
		RENDIO_TRUSTED_PROXIES: PROXY } });
});
afterEach(() => {
	apple.heal();
	apple.delay_ms = 0;
});
after(async () => {
	await rendio.stop();
	await apple.stop();
	await appleId.stop();
	fs.rmSync(dir, { recursive: true });
});

const phone = (name = `phone-${++number}`) => new Phone(rendio, apple, name);

/** A phone that is in: its body and itself. */
async function comer(name) {
	const who = phone(name);
	return { phone: who, ...await who.enter() };
}

const get = (target, bearer, options = {}) =>
    rendio.request("GET", target, { bearer, ...options });

const post = (target, bearer, body = {}, options = {}) =>
    rendio.request("POST", target, { bearer, body, ...options });

const CREDITS = "/functions/v1/get-user-credits";

async function refresh(refresh_token) {
	return await rendio.request("POST",
	    "/auth/v1/token?grant_type=refresh_token",
	    { body: { refresh_token } });
}

async function count(table, condition = "1") {
	return (await sql(rendio, `SELECT COUNT(*) AS n FROM ${table}` +
	    ` WHERE ${condition}`))[0].n;
}

/** What wants no user: one that lost its check must not leave in silence. */
const OPEN = ["apple-id-notifications", "apple-server-notifications",
	"auth-jwks", "auth-signup", "auth-token", "device-check", "get-models",
	"get-themes", "health", "metrics", "ready"];

/** Programs that want a user, as method and path. */
async function privateCalls() {
	const calls = [];
	const open = new Set();
	for (const endpoint of endpoints()) {
		for (const method of endpoint.methods) {
			if (["OPTIONS", "HEAD"].includes(method) ||
			    endpoint.isPrefix ||
			    endpoint.name.startsWith("admin"))
				continue;
			const body = method === "GET" ? undefined : {};
			const res = await rendio.request(method, endpoint.path,
			    { body });
			if ([401, 403].includes(res.status))
				calls.push([method, endpoint.path, body]);
			else
				open.add(endpoint.name);
		}
	}
	assert.deepEqual([...open], OPEN);
	return calls;
}

// --- devices ------------------------------------------------------------------

test("D01 a token that Apple never gave out", async () => {
	const before = await count("users");
	for (let i = 0; i < 5; i++)
		assertError(await check(rendio, randomUUID(),
		    randomBytes(1024).toString("base64")), 403,
		    "device_rejected");
	assert.equal(await count("users"), before);
});

test("D02 Apple is down: never a gift", async () => {
	const grants = await count("ledger_entries", "kind = 'grant'");
	for (const fault of [{ status: 500 }, { reset: true }]) {
		apple.fault({ ...fault, times: 3 });
		for (let i = 0; i < 3; i++)
			assert.equal((await phone().enter())
			    .credits_remaining, 0);
	}
	assert.equal(await count("ledger_entries", "kind = 'grant'"), grants);
});

test("D03 D04 the first time ten credits, with the bit set none", async () => {
	const ada = await comer("d03");
	assert.equal(ada.credits_remaining, GIFT);
	assert.equal(apple.bits("d03").bit0, true);
	apple.setBits("d04", true, false);
	const bea = await comer("d04");
	assert.equal(bea.credits_remaining, 0);
	assert.equal(bea.grant, "already_claimed");
});

test("D05 the ban bit", async () => {
	apple.setBits("d05", true, true);
	assertError(await phone("d05").check(), 403, "device_rejected");
});

test("D06 the same token again", async () => {
	const token = apple.token("d06");
	const device_id = randomUUID();
	const first = (await check(rendio, device_id, token)).json();
	const same = (await check(rendio, device_id, token)).json();
	const other = (await check(rendio, randomUUID(), token)).json();
	assert.deepEqual([first.grant, same.grant, other.grant],
	    ["granted", "already_claimed", "already_claimed"]);
	assert.equal(same.credits_remaining, GIFT);
	assert.equal(other.credits_remaining, 0);
});

test("D07 twenty at once, one phone, twenty ids: one gift", async () => {
	apple.delay_ms = 5;
	const all = await Promise.all(Array.from({ length: 20 }, () =>
	    check(rendio, randomUUID(), apple.token("d07"))));
	const bodies = all.filter((res) => res.status === 200)
	    .map((res) => res.json());
	for (const res of all)
		assert.ok([200, 503].includes(res.status), res.text);
	assert.equal(bodies.filter(({ grant }) => grant === "granted").length, 1);
	assert.equal(bodies.reduce((sum, body) =>
	    sum + body.credits_remaining, 0), GIFT);
});

test("D08 twenty at once, one id: one account, one gift", async () => {
	const who = phone();
	apple.delay_ms = 5;
	const all = await Promise.all(Array.from({ length: 20 }, () =>
	    who.check()));
	const bodies = all.filter((res) => res.status === 200)
	    .map((res) => res.json());
	assert.ok(bodies.length >= 1);
	assert.equal(new Set(bodies.map(({ user_id }) => user_id)).size, 1);
	assert.equal(bodies.filter(({ grant }) => grant === "granted").length, 1);
	assert.equal((await who.enter()).credits_remaining, GIFT);
});

test("D09 another's device id is no key", async () => {
	const victim = phone().reinstall("d09-known-to-many");
	const { user_id, access_token } = await victim.enter();
	const thief = phone().reinstall("d09-known-to-many");
	const loot = await thief.enter();

	assert.notEqual(loot.user_id, user_id);
	assert.notEqual(claimsOf(loot.access_token).sub, user_id);
	assert.equal(await creditsOf(rendio, { access_token }), GIFT);
	// A secret id is told in no answer, and alone opens nothing.
	const ada = await comer();
	for (const target of ["/functions/v1/get-user-profile", "/auth/v1/user",
		"/rest/v1/users", "/functions/v1/export-account"])
		assert.ok(!(await get(target, ada.access_token)).text
		    .includes(ada.phone.device_id), target);
	assertError(await check(rendio, ada.phone.device_id, "AAAA"), 403,
	    "device_rejected");
	await assertNotLogged(rendio, { "device id": ada.phone.device_id });
});

test("D10 D11 D16 are in device-check-apple.test.mjs; Apple is not asked", async () => {
	const calls = apple.calls.length;
	for (const [device_id, token] of [["../../x", apple.token("x")],
		[randomUUID(), "A".repeat(5001)]])
		assert.equal((await check(rendio, device_id, token)).status, 400);
	assert.equal(apple.calls.length, calls);
});

test("D12 half an answer is no gift, whichever call it was of", async () => {
	for (const path of [QUERY, UPDATE])
		for (const text of ['{"bit0":"yes","bit1":false}',
			'{"bit0":false}', "<html></html>", "x".repeat(10 << 20)]) {
			const who = phone();
			apple.fault({ path, status: path === QUERY ? 200 : 500,
				text });
			assert.equal((await who.enter()).grant, "pending");
			assert.equal((await who.enter()).grant, "granted");
		}
});

/** Kills the process that serves a call while Apple thinks about `url`. */
async function dieDuring(who, url, { afterMs }) {
	const before = apple.count(url, who.name);
	const busy = who.check().catch(() => null);
	assert.ok(await until(() => apple.count(url, who.name) > before));
	await sleep(afterMs);
	for (const pid of rendio.pids("device-check"))
		process.kill(pid, "SIGKILL");
	await busy;
	assert.ok(await until(() => rendio.pids("device-check").length > 0));
}

test("D13 dying after Apple set the bit: this account's retry alone", async () => {
	const who = phone();
	apple.fault({ path: UPDATE, hang: true, effect: true });
	await dieDuring(who, UPDATE, { afterMs: 50 });
	assert.equal(apple.bits(who.name).bit0, true);

	const own = who.device_id;
	apple.heal();
	assert.equal((await until(async () => {
		const res = await who.reinstall().check();
		return res.status === 200 && res;
	})).json().grant, "already_claimed");
	assert.equal((await who.reinstall(own).enter()).grant, "granted");
	assert.equal((await who.enter()).grant, "already_claimed");
});

test("D14 an answer that is lost: the same user, no second gift", async () => {
	const who = phone();
	const first = await who.enter();
	const again = await who.enter();
	assert.equal(again.user_id, first.user_id);
	assert.equal(await creditsOf(rendio, again), GIFT);
	assert.equal((await historyOf(rendio, again)).entries.length, 1);
});

test("D15 one phone, or one address, over and over", async () => {
	const who = phone();
	const from = (address) => ({ request: { localAddress: PROXY,
		headers: { "x-forwarded-for": address } } });
	const answers = [];

	for (let i = 0; i < 25; i++)
		answers.push(await who.check(from(`203.0.113.${i}`)));
	assert.deepEqual(answers.map(({ status }) => status),
	    [...Array(10).fill(200), ...Array(15).fill(429)]);
	assertError(answers[24], 429, "rate_limited");
	assert.ok(Number(answers[24].headers["retry-after"]) > 60);
	// Who is refused costs Apple nothing.
	assert.ok(apple.count(QUERY, who.name) <= 11);
});

test("D17 deleting and coming back", async () => {
	const ada = await comer();
	await post("/functions/v1/delete-account", ada.access_token);
	for (let i = 0; i < 2; i++) {
		assert.equal((await ada.phone.enter()).credits_remaining, 0);
		ada.phone.reinstall();
	}
});

test("D18 a token of the other environment, and no other host", async () => {
	// Apple's hosts do not know each other's tokens.
	const before = await count("users");
	const grants = await count("ledger_entries", "kind = 'grant'");
	const calls = apple.calls.length;
	apple.fault({ path: QUERY, status: 400, times: Infinity,
		text: "Missing or incorrectly formatted device token payload" });
	for (let i = 0; i < 3; i++)
		assertError(await phone().check(), 403, "device_rejected");
	assert.equal(await count("users"), before);
	assert.equal(await count("ledger_entries", "kind = 'grant'"), grants);
	// Each was asked about once, and there is nobody else to be asked.
	assert.deepEqual(apple.calls.slice(calls)
	    .map(({ path, status }) => [path, status]),
	    Array(3).fill([QUERY, 400]));
	const program = fs.readFileSync(path.join(build, "cgi-bin",
	    "device-check"), "latin1");
	assert.deepEqual([...new Set(program.match(
	    /[\w.-]*devicecheck\.apple\.com/g))],
	    ["api.devicecheck.apple.com"]);
});

// --- sessions and tokens ------------------------------------------------------

test("T01 T02 T03 T19 no token, the app's key, old, early, elsewhere",
    async () => {
	const ada = await comer();
	const now_s = Math.floor(Date.now() / 1000);
	const expired = expiredToken(rendio, ada);
	const early = forge(rendio, ada, { iat: now_s + 120,
		exp: now_s + 3600 });

	for (const [method, path, body] of await privateCalls()) {
		for (const bearer of [undefined, rendio.anonKey, expired, early]) {
			const res = await rendio.request(method, path,
			    { body, bearer });
			assert.ok([401, 403].includes(res.status),
			    `${method} ${path}: ${res.status}`);
			assert.ok(res.status === 401 ||
			    /^\/(auth|storage)\/v1\//.test(path), path);
		}
		const token = ada.access_token;
		const astray = await rendio.request(method,
		    `${path}?access_token=${token}`, {
			body: body && { access_token: token, bearer: token },
			headers: { cookie: `access_token=${token}` } });
		assert.equal(astray.status,
		    path.startsWith("/storage/v1/") ? 403 : 401, path);
	}
	await assertNotLogged(rendio, { token: ada.access_token });
});

test("T04 T05 T06 T10 forged tokens", async () => {
	const ada = await comer();
	const more = {
		"a path as kid": forge(rendio, ada, {},
		    { header: { kid: "../../dev/null" }, secret: "" }),
		"SQL as kid": forge(rendio, ada, {},
		    { header: { kid: "' OR 1=1 --" } }),
		"4 KB of kid": forge(rendio, ada, {},
		    { header: { kid: "k".repeat(4096) } }),
		"RS256": forge(rendio, ada, {}, { header: { alg: "RS256" } }),
		"HS256 in small letters": forge(rendio, ada, {},
		    { header: { alg: "hs256" } }),
		"jwk": forge(rendio, ada, {}, { header: { jwk: { kty: "oct",
			k: Buffer.alloc(32).toString("base64url") } },
			secret: Buffer.alloc(32) }),
		"x5u": forge(rendio, ada, {},
		    { header: { x5u: "https://example.com" } }),
		"a refresh token": ada.refresh_token,
	};

	for (const [name, bearer] of
	    Object.entries({ ...badTokens(rendio, ada), ...more })) {
		assertError(await get(CREDITS, bearer), 401, "unauthorized");
		assert.equal((await get("/auth/v1/user", bearer)).status, 403,
		    name);
	}
	assertError(await refresh(ada.access_token), 400, "validation_failed",
	    "auth");
	assert.equal(await creditsOf(rendio, ada), GIFT);
});

// Each bit of a whole token is in tests/unit/wire/jwt.c.
test("T05 a bit anywhere in a token", async () => {
	const ada = await comer();
	const [head, claims, mac] = ada.access_token.split(".")
	    .map((part) => Buffer.from(part, "base64url"));
	const flipped = [];

	for (const [part, bytes] of [[0, head], [1, claims], [2, mac]])
		for (let bit = 0; bit < bytes.length * 8;
		    bit += part === 1 ? 7 : 1) {
			const copy = Buffer.from(bytes);
			copy[bit >> 3] ^= 1 << (bit & 7);
			const parts = ada.access_token.split(".");
			parts[part] = copy.toString("base64url");
			flipped.push(parts.join("."));
		}
	assert.ok(flipped.length > 700);
	for (let i = 0; i < flipped.length; i += 16)
		await Promise.all(flipped.slice(i, i + 16).map(async (bearer) =>
		    assert.equal((await get(CREDITS, bearer)).status, 401)));
	assert.equal((await get(CREDITS, flipBit(ada.access_token, 2))).status,
	    401);
});

test("T07 T08 the token of who was deleted is never another's", async () => {
	const ada = await comer();
	await post("/functions/v1/delete-account", ada.access_token);
	assertError(await get(CREDITS, ada.access_token), 401, "unauthorized");
	assertError(await get("/auth/v1/user", ada.access_token), 403,
	    "user_not_found", "auth");
	const next = await comer();
	assert.notEqual(next.user_id, ada.user_id);
	assertError(await get(CREDITS, ada.access_token), 401, "unauthorized");
});

test("T09 the operator ends sessions", async () => {
	const ada = await comer();
	const { code, stdout } = await rendio.cli("user", "sessions",
	    ada.user_id, "--json");
	assert.equal(code, 0);
	const [session] = JSON.parse(stdout);
	assert.equal(session.id, claimsOf(ada.access_token).session_id);
	assert.equal(session.method, "anonymous");
	assert.match((await rendio.cli("user", "sessions", ada.user_id)).stdout,
	    new RegExp(session.id));

	assert.equal((await rendio.cli("user", "logout", ada.user_id)).code, 0);
	assertError(await get(CREDITS, ada.access_token), 401, "unauthorized");
	assertError(await order(rendio, ada), 401, "unauthorized");
	assertError(await get("/auth/v1/user", ada.access_token), 403,
	    "session_not_found", "auth");
	assertError(await refresh(ada.refresh_token), 400,
	    "refresh_token_not_found", "auth");
	assert.deepEqual(JSON.parse((await rendio.cli("user", "sessions",
	    ada.user_id, "--json")).stdout), []);
	assert.equal((await ada.phone.enter()).user_id, ada.user_id);

	for (const command of ["sessions", "logout"]) {
		assert.equal((await rendio.cli("user", command,
		    randomUUID())).code, 1);
		assert.equal((await rendio.cli("user", command, "x")).code, 2);
		assert.equal((await rendio.cli("user", command)).code, 2);
	}
});

test("T11 T12 T13 racers, parents and grandparents", async () => {
	const ada = await comer();
	const first = ada.refresh_token;
	const all = await Promise.all(Array.from({ length: 20 }, () =>
	    refresh(first)));
	for (const res of all)
		assert.equal(res.status, 200, res.text);
	const [second, ...others] = new Set(all.map((res) =>
	    res.json().refresh_token));
	assert.deepEqual(others, []);
	assert.notEqual(second, first);

	// The answer was lost: the parent is good for the same again.
	assert.equal((await refresh(first)).json().refresh_token, second);
	const third = (await refresh(second)).json().refresh_token;
	assert.notEqual(third, second);
	const session = id(claimsOf(ada.access_token).session_id);
	await sql(rendio, "UPDATE sessions SET refreshed_at_ms =" +
	    ` refreshed_at_ms - 11000 WHERE id = ${session}`);
	assertError(await refresh(first), 400, "refresh_token_already_used",
	    "auth");
	assert.equal(await count("sessions", `id = ${session}`), 0);
	assertError(await refresh(third), 400, "refresh_token_not_found", "auth");
	assertError(await get(CREDITS, ada.access_token), 401, "unauthorized");
});

/** A refresh token with a right checksum; the MAC is the caller's. */
function refreshToken(session_id, counter, mac) {
	const bytes = Buffer.concat([Buffer.from([0]),
		Buffer.from(session_id.replaceAll("-", ""), "hex"),
		Buffer.from([counter]), mac]);
	const sum = createHash("sha256").update(bytes).digest().subarray(0, 4);
	return Buffer.concat([bytes, sum]).toString("base64url");
}

test("T14 T18 refresh tokens that we did not give out", async () => {
	const [ada, bob] = [await comer(), await comer()];
	const session_id = claimsOf(ada.access_token).session_id;
	const bytes = Buffer.from(ada.refresh_token, "base64url");
	const mac = bytes.subarray(-20, -4);
	const rows = await sql(rendio, "SELECT * FROM sessions ORDER BY id");

	for (const [token, code] of [
		[refreshToken(session_id, 1, mac), "validation_failed"],
		[refreshToken(session_id, 100, mac), "validation_failed"],
		[refreshToken(session_id, 0, randomBytes(16)),
			"validation_failed"],
		[refreshToken(claimsOf(bob.access_token).session_id, 0, mac),
			"validation_failed"],
		[refreshToken(randomUUID(), 0, mac), "refresh_token_not_found"],
		[`${ada.refresh_token}=`, "validation_failed"],
		[ada.refresh_token.slice(0, -1), "validation_failed"],
		[ada.refresh_token.slice(0, 11), "validation_failed"],
		["", "validation_failed"],
		["abcdefghijkl", "validation_failed"],
	])
		assertError(await refresh(token), 400, code, "auth");
	for (let i = 0; i < 1000; i += 20)
		await Promise.all(Array.from({ length: 20 }, async () =>
		    assert.equal((await refresh(randomBytes(42)
			.toString("base64url"))).status, 400)));
	// For each bit of a good one there is a bad one.
	for (let bit = 0; bit < bytes.length * 8; bit += 3) {
		const copy = Buffer.from(bytes);
		copy[bit >> 3] ^= 1 << (bit & 7);
		assertError(await refresh(copy.toString("base64url")), 400,
		    "validation_failed", "auth");
	}
	assert.deepEqual(await sql(rendio,
	    "SELECT * FROM sessions ORDER BY id"), rows);
	assert.equal((await refresh(ada.refresh_token)).status, 200);
});

test("T15 a locked database signs nobody out", async () => {
	const ada = await comer();
	let token = ada.refresh_token;

	for (const [locked_ms, statuses] of [[2000, [200]],
		[7000, [200, 503]]]) {
		let slow;
		await whileLocked(rendio, async () => {
			slow = refresh(token);
			await sleep(locked_ms);
		});
		const res = await slow;
		assert.ok(statuses.includes(res.status), `${res.status}`);
		if (res.status === 503)
			assert.match(res.headers["retry-after"], /^\d+$/);
	}
	const res = await refresh(token);
	assert.equal(res.status, 200);
	token = res.json().refresh_token;
	assert.equal((await refresh(token)).status, 200);
});

test("T16 an answer that died with its process: the parent is good", async () => {
	const ada = await comer();
	const lost = (await refresh(ada.refresh_token)).json();
	for (const pid of rendio.pids("auth-token"))
		process.kill(pid, "SIGKILL");
	const again = await until(async () => {
		const res = await refresh(ada.refresh_token);
		return res.status === 200 && res.json();
	});
	assert.equal(again.refresh_token, lost.refresh_token);
});

test("T17 a clock that is an hour off ends no session", async () => {
	const ada = await comer();
	const session = id(claimsOf(ada.access_token).session_id);
	let token = ada.refresh_token;

	for (const shift of [3600000, -7200000]) {
		await sql(rendio, "UPDATE sessions SET refreshed_at_ms =" +
		    ` refreshed_at_ms + ${shift}, created_at_ms =` +
		    ` created_at_ms + ${shift} WHERE id = ${session}`);
		const res = await refresh(token);
		assert.equal(res.status, 200, res.text);
		token = res.json().refresh_token;
	}
});

test("T20 T21 a chosen subject or session", async () => {
	const [ada, bob] = [await comer(), await comer()];
	for (const bearer of Object.values(lostTokens(rendio, ada, bob)))
		assertError(await get(CREDITS, bearer), 401, "unauthorized");
	const session_id = randomUUID();
	const body = await ada.phone.enter({ body: { session_id, sub: bob.user_id,
		user_id: bob.user_id, access_token: bob.access_token } });
	assert.equal(body.user_id, ada.user_id);
	assert.notEqual(claimsOf(body.access_token).session_id, session_id);
	const res = await rendio.request("POST",
	    "/auth/v1/token?grant_type=refresh_token", { body: {
		refresh_token: ada.refresh_token, user_id: bob.user_id,
		session_id } });
	assert.equal(res.status, 200);
	assert.equal(res.json().user.id, ada.user_id);
});

test("T22 more sessions than are kept", async () => {
	const ada = await comer();
	const all = [ada];
	while (all.length < 50)
		all.push(await ada.phone.enter());
	assert.equal(await count("sessions", `user_id = ${id(ada.user_id)}`),
	    SESSIONS_MAX);
	for (const [i, { access_token }] of all.entries())
		assert.equal((await get(CREDITS, access_token)).status,
		    i >= all.length - SESSIONS_MAX ? 200 : 401);
});

test("keys are rotated: the first signs, all verify", async () => {
	const ada = await comer();
	const path = rendio.file("keys", "jwt");
	const old = fs.readFileSync(path, "utf8");
	const next = randomBytes(32).toString("hex");

	fs.writeFileSync(path, `k2 ${next}\n${old}`);
	for (const name of ["get-user-credits", "auth-token", "device-check"])
		for (const pid of rendio.pids(name))
			process.kill(pid, "SIGKILL");
	const newest = await until(async () => {
		try {
			return await ada.phone.enter();
		} catch {
			return null;	/* they are just starting */
		}
	});
	assert.equal(signingKey(rendio).kid, "k2");
	const [head] = newest.access_token.split(".");
	assert.equal(JSON.parse(Buffer.from(head, "base64url")).kid, "k2");
	for (const { access_token } of [ada, newest])
		assert.equal((await until(async () => {
			const res = await get(CREDITS, access_token);
			return res.status === 200 && res;
		}))?.status, 200);

	fs.writeFileSync(path, old);
	for (const name of ["get-user-credits", "auth-token", "device-check"])
		for (const pid of rendio.pids(name))
			process.kill(pid, "SIGKILL");
	assert.ok(await until(async () =>
	    (await get(CREDITS, newest.access_token)).status === 401));
	assert.equal((await get(CREDITS, ada.access_token)).status, 200);
});

test("a copy of the database yields no token", async () => {
	const ada = await comer();
	const [row] = await sql(rendio, "SELECT hex(refresh_salt) AS salt" +
	    " FROM sessions WHERE id =" +
	    ` ${id(claimsOf(ada.access_token).session_id)}`);
	const session_id = claimsOf(ada.access_token).session_id;
	const prefix = Buffer.concat([Buffer.from([0]),
		Buffer.from(session_id.replaceAll("-", ""), "hex"),
		Buffer.from([0])]);
	const mac = createHmac("sha256", Buffer.from(row.salt, "hex"))
	    .update(prefix).digest().subarray(0, 16);
	assertError(await refresh(refreshToken(session_id, 0, mac)), 400,
	    "validation_failed", "auth");
});

// --- merges and Apple IDs -----------------------------------------------------

/** An account of an Apple ID. */
async function owner(sub) {
	const res = await signIn(rendio, { id_token: appleId.token({ sub }) });
	assert.equal(res.status, 200, res.text);
	return { ...res.json(), user_id: res.json().user.id };
}

/** Identity tokens that prove nothing, by what is wrong with them. */
function badProofs(sub) {
	const [key] = appleId.keys;
	const good = appleId.token({ sub });
	const encode = (value) =>
	    Buffer.from(JSON.stringify(value)).toString("base64url");
	const text = `${encode({ alg: "HS256", kid: key.kid })}.` +
	    good.split(".")[1];
	const hmac = createHmac("sha256", publicPem(key)).update(text)
	    .digest("base64url");
	const header = (members) => appleId.token({ sub }, { header: members });

	return {
		"another audience": appleId.token({ sub, aud: "com.example.x" }),
		"a list of audiences": appleId.token({ sub,
			aud: [appleId.clientId] }),
		"expired": appleId.token({ sub, exp: now_s() - 1 }),
		"no end": appleId.token({ sub, exp: undefined }),
		"from the future": appleId.token({ sub, iat: now_s() + 600 }),
		"no subject": appleId.token({ sub: undefined }),
		"HS256 over the public key": `${text}.${hmac}`,
		"none": `${encode({ alg: "none", kid: key.kid })}.` +
		    `${good.split(".")[1]}.`,
		"none in the header": header({ alg: "none" }),
		"an unknown kid": header({ kid: "unknown" }),
		"a path as kid": header({ kid: "../../dev/null" }),
		"no kid": header({ kid: undefined }),
		"a key of its own": header({ kid: "x",
			jwk: key.publicKey.export({ format: "jwk" }) }),
		"a jku": header({ kid: "x", jku: "https://example.com" }),
		"crit": header({ crit: ["exp"] }),
		"a bit of the claims": flipBit(good, 1),
		"a bit of the signature": flipBit(good, 2),
	};
}

test("M01 M02 M04 a merge without proof, or with a bad one", async () => {
	const [victim, thief] = [await owner("001.victim"), await comer()];
	const identity_token = appleId.token({ sub: "001.thief" });

	for (const body of [{}, { apple_sub: "001.victim" },
		{ identity_token: "" }, { identity_token: null },
		{ identity_token, apple_sub: "001.victim" }]) {
		const res = await merge(rendio, thief, body);
		assert.ok([400, 401].includes(res.status), res.text);
	}
	const fetched = appleId.calls["/auth/keys"];
	for (const [name, token] of Object.entries(badProofs("001.victim"))) {
		const res = await merge(rendio, thief, { identity_token: token });
		assertError(res, 401, "unauthorized");
		assertRefused(await signIn(rendio, { id_token: token }));
		assertRefused(await signIn(rendio, { id_token: token,
			link_identity: true }, { bearer: thief.access_token }));
		assert.ok(name);
	}
	for (const iss of ["https://appleid.apple.com.example.com",
		"https://accounts.google.com", undefined]) {
		const token = appleId.token({ sub: "001.victim", iss });
		assertError(await merge(rendio, thief,
		    { identity_token: token }), 401, "unauthorized");
		assertError(await signIn(rendio, { id_token: token }), 400,
		    "validation_failed", "auth");
	}
	assert.ok(appleId.calls["/auth/keys"] <= fetched + 1);
	assert.equal(await creditsOf(rendio, thief), GIFT);
	assert.equal(await creditsOf(rendio, victim), 0);
});

test("M03 a nonce that is missing, wrong, as Apple has it, or used",
    async () => {
	const nonce = "drawn once";
	const token = appleId.token({ sub: "001.nonce", nonce });
	const hashed = claimsOf(token).nonce;

	for (const wrong of [undefined, "", "another", hashed]) {
		assertRefused(await signIn(rendio, { id_token: token,
			nonce: wrong }), "invalid nonce");
		assertError(await merge(rendio, await comer(),
		    { identity_token: token, nonce: wrong }), 401,
		    "unauthorized");
	}
	assertRefused(await signIn(rendio, { nonce,
		id_token: appleId.token({ sub: "001.nonce" }) }), "invalid nonce");
	const all = await Promise.all(Array.from({ length: 10 }, () =>
	    signIn(rendio, { id_token: token, nonce })));
	assert.equal(all.filter(({ status }) => status === 200).length, 1);
	assertRefused(await signIn(rendio, { id_token: token, nonce }),
	    "ID token was used before");
	assertError(await merge(rendio, await comer(),
	    { identity_token: token, nonce }), 401, "unauthorized");
});

test("M05 another's ids beside one's own proof", async () => {
	const [victim, thief] = [await comer(), await comer()];
	const identity_token = appleId.token({ sub: "001.m05" });

	assertError(await merge(rendio, thief, { identity_token,
		user_id: victim.user_id }), 403, "forbidden");
	const res = await merge(rendio, thief, { identity_token,
		device_id: victim.phone.device_id,
		guest_user_id: victim.user_id });
	assert.equal(res.json().user.id, thief.user_id);
	assert.equal(await creditsOf(rendio, victim), GIFT);
});

test("M06 M07 M11 what is merged is neither lost nor doubled", async () => {
	const guest = await comer();
	const identity_token = appleId.token({ sub: "001.m07" });
	const up = (await merge(rendio, guest, { identity_token })).json();
	assert.equal(up.user.id, guest.user_id);
	assert.equal(await creditsOf(rendio, guest), GIFT);
	assertError(await merge(rendio, up, { identity_token }), 409, "conflict");
	assertError(await merge(rendio, up, { identity_token:
		appleId.token({ sub: "001.m07-other" }) }), 409, "conflict");

	const second = await comer();
	await rendio.cli("user", "grant", second.user_id, "5", "--reason", "x");
	const heir = (await merge(rendio, second, { identity_token })).json();
	assert.equal(heir.user.id, guest.user_id);
	assert.equal(await creditsOf(rendio, heir), GIFT + 5);
	await assertDead(rendio, second);
	assert.equal(await count("users", `id = ${id(second.user_id)} AND` +
	    ` merged_into_id = ${id(guest.user_id)} AND credits_remaining = 0`),
	    1);
});

test("M08 M12 merging in parallel, and farming gifts", async () => {
	const farmer = await owner("001.farmer");
	const identity_token = appleId.token({ sub: "001.farmer" });

	for (let i = 0; i < 5; i++) {
		const guest = await comer();
		const all = await Promise.all(Array.from({ length: 8 }, () =>
		    merge(rendio, guest, { identity_token })));
		assert.equal(all.filter(({ status }) => status === 200).length, 1);
		for (const { status } of all)
			assert.ok([200, 401, 409].includes(status));
	}
	assert.equal(await creditsOf(rendio, farmer), GIFT);
	// Nor does an Apple ID that leaves and returns bring one.
	await post("/functions/v1/delete-account", farmer.access_token);
	assert.equal(await creditsOf(rendio, await owner("001.farmer")), 0);
});

test("M13 news of Apple that are not of Apple", async () => {
	const ada = await owner("001.news");
	const send = (payload) => rendio.request("POST",
	    "/functions/v1/apple-id-notifications",
	    { apikey: null, body: { payload } });
	const event = { type: "consent-revoked", sub: "001.news" };

	for (const payload of [
		flipBit(appleId.notification(event), 2),
		appleId.notification(event, { aud: "com.example.x" }),
		appleId.notification(event, { iss: "https://example.com" }),
		appleId.notification(event, { exp: now_s() - 1 }),
		appleId.notification(event, {}, { header: { alg: "none" } }),
		appleId.token({ sub: "001.news" }),
		ada.access_token, "x", ""])
		assertError(await send(payload), 400, "invalid_request");
	assert.equal(await creditsOf(rendio, ada), 0);
	assert.equal((await send(appleId.notification(event))).status, 200);
	await assertDead(rendio, ada);
});

test("a foreign Apple ID is linked to nobody", async () => {
	const [victim, thief] = [await owner("001.linked"), await comer()];
	for (const bearer of [thief.access_token, victim.access_token])
		assertError(await signIn(rendio, { link_identity: true,
			id_token: appleId.token({ sub: "001.linked" }) },
		    { bearer }), 422, "identity_already_exists", "auth");
	assertError(await signIn(rendio, { link_identity: true,
		id_token: appleId.token({ sub: "001.new" }) }), 401,
	    "no_authorization", "auth");
	const banned = await owner("001.banned");
	await rendio.cli("user", "ban", banned.user_id);
	assertError(await signIn(rendio, { id_token:
		appleId.token({ sub: "001.banned" }) }), 403, "user_banned",
	    "auth");
	assertError(await merge(rendio, thief, { identity_token:
		appleId.token({ sub: "001.banned" }) }), 403, "user_banned");
	assert.equal(await creditsOf(rendio, thief), GIFT);
});

// --- profile and account ------------------------------------------------------

test("U01 U09 another's id, known or not", async () => {
	const [ada, bob] = [await comer(), await comer()];
	for (const [method, path] of await privateCalls()) {
		if (!path.startsWith("/functions/v1/"))
			continue;
		const answers = [];
		for (const user_id of [bob.user_id, randomUUID()]) {
			answers.push(await rendio.request(method,
			    `${path}?user_id=${user_id}`, {
				bearer: ada.access_token,
				body: method === "GET" ? undefined : {} }));
			if (method !== "GET")
				answers.push(await rendio.request(method, path, {
					bearer: ada.access_token,
					body: { user_id } }));
		}
		for (const res of answers)
			assertError(res, 403, "forbidden");
	}
	assert.equal(await creditsOf(rendio, bob), GIFT);
});

test("U02 looking through ids finds nobody", async () => {
	const [ada, bob] = [await comer(), await comer()];
	const texts = new Set();

	for (let i = 0; i < 200; i++) {
		const user_id = i === 100 ? bob.user_id : randomUUID();
		const res = await get(`${CREDITS}?user_id=${user_id}`,
		    ada.access_token);
		assertError(res, 403, "forbidden");
		texts.add(JSON.stringify({ ...res.json(), request_id: "" }));
	}
	assert.equal(texts.size, 1);
});

test("U04 U05 columns that are not the user's, words that do not exist",
    async () => {
	const ada = await comer();
	const [before] = await sql(rendio, "SELECT credits_remaining, tier," +
	    " is_guest, apple_sub, email, language, theme_preference FROM users" +
	    ` WHERE id = ${id(ada.user_id)}`);
	const patch = (body) => rendio.request("PATCH",
	    `/rest/v1/users?id=eq.${ada.user_id}`,
	    { bearer: ada.access_token, body });

	for (const body of [{ credits_remaining: 1e6 }, { tier: "premium" },
		{ id: randomUUID() }, { apple_sub: "001.x" }, { is_guest: false },
		{ email: "a@b.c" }, { device_id: "x" }, { is_admin: true },
		{ language: "tr", tier: "premium" }])
		assertError(await patch(body), 403, "42501", "rest");
	for (const body of [{ credits: 1 }])
		assertError(await patch(body), 400, "PGRST204", "rest");
	for (const body of [{ language: "xx" }, { theme_preference: "x" },
		{ language: "x".repeat(10_000) }, { language: null }])
		assert.equal((await patch(body)).status, 400);
	for (const body of [{ language: "xx" }, { theme_preference: "x" },
		{ credits_remaining: 1 }, { is_admin: true }])
		assertError(await post("/functions/v1/update-user-settings",
		    ada.access_token, body), 400, "invalid_request");
	assert.deepEqual(await sql(rendio, "SELECT credits_remaining, tier," +
	    " is_guest, apple_sub, email, language, theme_preference FROM users" +
	    ` WHERE id = ${id(ada.user_id)}`), [before]);
});

test("U03 the profile is these members and no others", async () => {
	const ada = await comer();
	assert.deepEqual(Object.keys((await get("/functions/v1/get-user-profile",
	    ada.access_token)).json()), ["id", "email", "device_id",
		"apple_sub", "is_guest", "tier", "credits_remaining",
		"credits_total", "initial_grant_claimed", "language",
		"theme_preference", "app_account_token", "created_at",
		"updated_at"]);
});

test("U06 U07 pages out of bounds", async () => {
	const ada = await comer();
	for (const query of ["limit=0", "limit=101", "limit=-1",
		"limit=1000000000", "limit=1e1", "limit=0x10", "limit= 1",
		"offset=-1", "offset=9223372036854775808"])
		assertError(await get(`/functions/v1/get-video-jobs?${
		    query.replace(" ", "%20")}`, ada.access_token), 400,
		    "invalid_request");
	const began = Date.now();
	assert.deepEqual((await get("/functions/v1/get-video-jobs" +
	    "?offset=1000000000", ada.access_token)).json().jobs, []);
	assert.ok(Date.now() - began < 500);
});

test("U08 U18 no canary of another is seen", async () => {
	const [ada, bob] = [await comer(), await comer()];
	await order(rendio, bob, { prompt: "canary of bob",
		settings: { duration: 4 } });
	for (const target of ["/functions/v1/get-video-jobs",
		"/functions/v1/get-credit-history",
		"/functions/v1/export-account", "/rest/v1/users"]) {
		const { text } = await get(target, ada.access_token);
		assert.ok(!text.includes("canary of bob"), target);
		assert.ok(!text.includes(bob.user_id), target);
	}
});

test("U12 a balance is never cleaned away", async (t) => {
	const ada = await comer();
	const store = new AppStore(rendio);
	await buy(rendio, ada, store, store.transaction());
	const age = async (table, ...columns) => await sql(rendio,
	    `UPDATE ${table} SET ${columns.map((column) =>
	    `${column} = ${column} - 400 * 86400000`).join(", ")}
	    WHERE ${table === "users" ? "id" : "user_id"} = ${id(ada.user_id)}`);
	await stopWorker(rendio);
	t.after(() => startWorker(rendio));
	await age("users", "created_at_ms", "updated_at_ms");
	await age("sessions", "refreshed_at_ms", "created_at_ms");
	await age("credit_lots", "created_at_ms");
	await age("purchases", "created_at_ms", "credited_at_ms",
	    "purchased_at_ms");
	const sessions = () => count("sessions",
	    `user_id = ${id(ada.user_id)}`);
	assert.equal(await sessions(), 1);

	// Its session is cleaned away; a worker that ends ends its round.
	await startWorker(rendio);
	assert.ok(await until(async () => await sessions() === 0, 30_000));
	await stopWorker(rendio);
	assert.equal((await rendio.cli("audit")).code, 0);
	assert.deepEqual(await sql(rendio, "SELECT status, credits_remaining," +
	    " (SELECT SUM(remaining_credits) FROM credit_lots l" +
	    "  WHERE l.user_id = u.id) AS in_lots FROM users u" +
	    ` WHERE id = ${id(ada.user_id)}`), [{ status: "active",
		credits_remaining: GIFT + 25, in_lots: GIFT + 25 }]);
	const again = await ada.phone.enter();
	assert.equal(again.user_id, ada.user_id);
	assert.equal(again.credits_remaining, GIFT + 25);
});

test("U15 deleting again and again", async () => {
	const ada = await comer();
	const answers = await Promise.all(Array.from({ length: 20 }, () =>
	    post("/functions/v1/delete-account", ada.access_token)));
	const statuses = answers.map(({ status }) => status).sort();
	assert.equal(statuses.filter((status) => status === 200).length, 1);
	assert.equal(statuses.filter((status) => status === 401).length, 19);
});

test("U16 U17 there is no SQL to be spoken", async () => {
	const ada = await comer();
	for (const path of ["rpc/add_credits", "credit_lots", "ledger_entries",
		"jobs", "video_jobs", "sessions", "devices"]) {
		const res = await get(`/rest/v1/${path}`, ada.access_token);
		assertError(res, 404, "PGRST205", "rest");
		for (const method of ["POST", "PATCH", "PUT", "DELETE"])
			assertError(await rendio.request(method,
			    `/rest/v1/${path}`, { bearer: ada.access_token,
				body: { p_user_id: ada.user_id,
					p_amount: 1000000 } }), 404,
			    "PGRST205", "rest");
	}
	assert.equal(await creditsOf(rendio, ada), GIFT);
});

test("after all this the books are in order", async () => {
	await assertAuditClean(rendio);
});
