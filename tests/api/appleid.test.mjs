// SPDX-License-Identifier: MIT
// Sign in with Apple against a fake Apple: keys that rotate, outages, codes
// and consents.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { AppleId, now_s, publicPem } from "../fakes/appleid.mjs";
import { sql } from "./support/database.mjs";
import { assertAuditClean, assertError, assertNotLogged, assertPersonal }
    from "./support/expect.mjs";
import { assertRefused, merge, signIn } from "./support/identity.mjs";
import { start } from "./support/instance.mjs";

let dir, apple, rendio;

before(async () => {
	dir = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-"));
	apple = await AppleId.start({ dir });
	rendio = await start({ env: apple.env });
});
after(async () => {
	await rendio.stop();
	await apple.stop();
	fs.rmSync(dir, { recursive: true });
});
beforeEach(() => { apple.fault = null; });

const cache = () => rendio.file("run", "appleid-jwks.json");

/** Lets time pass since Apple was asked for its keys, or answered. */
function age(name, seconds) {
	const file = rendio.file("run", `appleid-jwks.${name}`);
	fs.utimesSync(file, now_s() - seconds, now_s() - seconds);
}

async function enter(claims, body = {}, options = {}) {
	return await signIn(rendio,
	    { id_token: apple.token(claims, options), ...body });
}

test("the keys are fetched once for all", async () => {
	assert.equal(apple.calls["/auth/keys"], 0);
	const all = await Promise.all(Array.from({ length: 20 }, () => enter()));
	for (const res of all)
		assertPersonal(res);
	assert.equal(apple.calls["/auth/keys"], 1);
});

test("a new key of Apple is fetched, at most once a minute", async () => {
	const before = apple.calls["/auth/keys"];

	apple.rotate();
	assertRefused(await enter(), "Bad ID token");
	assert.equal(apple.calls["/auth/keys"], before);
	age("lock", 59);
	assertRefused(await enter());
	age("lock", 61);
	for (const res of await Promise.all(Array.from({ length: 10 }, () =>
	    enter())))
		assertPersonal(res);
	assert.equal(apple.calls["/auth/keys"], before + 1);
	// Forged kids do not make us ask.
	for (let i = 0; i < 10; i++)
		assertRefused(await enter({}, {}, { header: { kid: `k${i}` } }));
	assert.equal(apple.calls["/auth/keys"], before + 1);
});

for (const fault of ["500", "429", "garbage", "reset", "keyless"])
	test(`the old keys serve while Apple answers ${fault}`, async () => {
		const kept = fs.readFileSync(cache(), "utf8");
		const before = apple.calls["/auth/keys"];

		apple.fault = fault;
		age("json", 3601);
		age("lock", 61);
		assertPersonal(await enter());
		assertPersonal(await enter());
		assert.equal(apple.calls["/auth/keys"], before + 1);
		assert.equal(fs.readFileSync(cache(), "utf8"), kept);
	});

test("Apple that never answers costs five seconds at most", async () => {
	apple.fault = "hang";
	age("json", 3601);
	age("lock", 61);
	const began = Date.now();
	assertPersonal(await enter());
	assert.ok(Date.now() - began < 5500);
});

test("without any keys nobody is let in, or turned away for good",
    async () => {
	const guest = await rendio.guest("keyless");
	const kept = fs.readFileSync(cache());

	fs.rmSync(cache());
	for (const fault of ["500", "keyless"]) {
		const before = apple.calls["/auth/keys"];

		apple.fault = fault;
		age("lock", 61);
		assertError(await enter(), 503, "service_unavailable", "auth");
		assert.equal(apple.calls["/auth/keys"], before + 1);
		assertError(await merge(rendio, guest,
		    { identity_token: apple.token({ sub: "keyless" }) }), 503,
		    "service_unavailable");
		assert.ok(!fs.existsSync(cache()));
	}
	fs.writeFileSync(cache(), kept);
});

test("other claims, keys and algorithms are refused", async () => {
	const [key] = apple.keys;
	const encode = (value) =>
	    Buffer.from(JSON.stringify(value)).toString("base64url");
	const text = `${encode({ alg: "HS256", kid: key.kid })}.` +
	    apple.token().split(".")[1];
	const hmac = createHmac("sha256", publicPem(key)).update(text)
	    .digest("base64url");
	const guest = await rendio.guest("abuse");
	const bad = {
		"another audience": apple.token({ aud: "com.example.stranger" }),
		"a list of audiences": apple.token({ aud: [apple.clientId] }),
		"expired": apple.token({ exp: now_s() - 1 }),
		"no expiry": apple.token({ exp: undefined }),
		"from the future": apple.token({ iat: now_s() + 600 }),
		"no subject": apple.token({ sub: undefined }),
		"an empty subject": apple.token({ sub: "" }),
		"HS256 over the public key": `${text}.${hmac}`,
		"alg none": apple.token({}, { header: { alg: "none" } }),
		"crit": apple.token({}, { header: { crit: ["exp"] } }),
		"a jku": apple.token({}, { header: { kid: "x",
			jku: "https://example.com/keys" } }),
	};

	for (const id_token of Object.values(bad))
		assertRefused(await signIn(rendio, { id_token }));
	for (const iss of ["https://accounts.google.com", undefined,
		"https://appleid.apple.com.example.com"])
		assertError(await enter({ iss }), 400, "validation_failed",
		    "auth");
	for (const identity_token of [...Object.values(bad),
		apple.token({ iss: "https://example.com" })])
		assertError(await merge(rendio, guest, { identity_token }), 401,
		    "unauthorized");
	assertPersonal(await enter({ iss: "https://account.apple.com" }));
	assertPersonal(await enter({ aud: "com.example.old" }));
	assertPersonal(await enter({ email_verified: true,
		is_private_email: false }));
	// What Apple adds for a while after an app has changed its team.
	assertPersonal(await enter({ transfer_sub: "760417.ebbf12acbc78" }));
});

test("an address counts when Apple has verified it", async () => {
	const emailOf = async (claims) => assertPersonal(
	    await enter({ sub: "mail", ...claims })).user.email;

	assert.equal(await emailOf({ email: "a@example.com",
		email_verified: "false" }), "");
	assert.equal(await emailOf({ email: "b@example.com",
		email_verified: true }), "b@example.com");
	assert.equal(await emailOf({ email_verified: undefined }),
	    "b@example.com");
	// Nobody is found by an address.
	const other = assertPersonal(await enter({ sub: "mail-2",
		email: "b@example.com" }));
	assert.notEqual(other.user.id,
	    assertPersonal(await enter({ sub: "mail" })).user.id);
});

test("a code is redeemed, and the consent kept under seal", async () => {
	const code = apple.code("coder");
	assertPersonal(await enter({ sub: "coder" },
	    { authorization_code: code }));
	const [[refresh_token]] = apple.consents;
	const rows = await sql(rendio,
	    "SELECT client_id, hex(sealed) AS sealed FROM apple_tokens");

	assert.equal(rows.length, 1);
	assert.equal(rows[0].client_id, apple.clientId);
	assert.ok(!rows[0].sealed.includes(
	    Buffer.from(refresh_token).toString("hex").toUpperCase()));
	for (const name of fs.readdirSync(rendio.stateDir)
	    .filter((name) => name.startsWith("rendio.db")))
		assert.ok(!fs.readFileSync(rendio.file(name))
		    .includes(refresh_token), name);
	await assertNotLogged(rendio, { "refresh token": refresh_token, code });
	// The newest consent is the one that counts.
	assertPersonal(await enter({ sub: "coder" },
	    { authorization_code: apple.code("coder") }));
	const [row] = await sql(rendio,
	    "SELECT COUNT(*) AS n, hex(sealed) AS sealed FROM apple_tokens");
	assert.equal(row.n, 1);
	assert.notEqual(row.sealed, rows[0].sealed);
});

for (const [what, code, fault] of [
	["used", () => "cused", null],
	["somebody else's", () => apple.code("stranger"), null],
	["too long", () => "c".repeat(1025), null],
	["for a failing Apple", () => apple.code("failing"), "500"],
	["for a garbling Apple", () => apple.code("failing"), "garbage"],
	["for a silent Apple", () => apple.code("failing"), "hang"],
	["for an Apple that is cut off", () => apple.code("failing"), "reset"],
	["answered too late", () => apple.code("failing"), "late"],
	...["invalid_request", "invalid_client", "invalid_grant",
		"unauthorized_client", "unsupported_grant_type",
		"invalid_scope", "401", "403", "405", "429", "503"]
	    .map((fault) => [`answered by ${fault}`,
		() => apple.code("failing"), fault]),
])
	test(`a code that is ${what} does not stop the sign-in`, async () => {
		apple.fault = fault;
		assertPersonal(await enter({ sub: "failing" },
		    { authorization_code: code() }));
		assert.deepEqual(await sql(rendio, `SELECT 1 FROM apple_tokens t
		    JOIN users u ON u.id = t.user_id
		    WHERE u.apple_sub = 'failing'`), []);
	});

test("the operator sees whether Apple can be asked", async () => {
	const levelsOf = async (env) => {
		const { stdout } = await rendio.cliWith({ env }, "doctor", "--offline",
		    "--json");
		return JSON.parse(stdout).checks
		    .filter((row) => row.check === "apple id")
		    .map((row) => row.level);
	};

	assert.deepEqual(await levelsOf({}), ["ok"]);
	for (const env of [{ RENDIO_APPLE_TEAM_ID: "" },
		{ RENDIO_APPLEID_KEY_ID: "" }, { RENDIO_APPLEID_KEY_FILE: "" },
		{ RENDIO_APPLEID_KEY_FILE: rendio.file("anon-key") }])
		assert.deepEqual(await levelsOf(env), ["error"]);
	assert.deepEqual(await levelsOf({ RENDIO_APPLEID_CLIENT_IDS: "" }),
	    ["ok", "warning"]);
});

test("in the end everything fits together", async () => {
	await assertAuditClean(rendio);
});

test("where no app is configured it is 400 provider_disabled", async () => {
	const other = await start({ env: { ...apple.env,
		RENDIO_APPLEID_CLIENT_IDS: "" } });

	try {
		assertError(await signIn(other, { id_token: apple.token() }),
		    400, "provider_disabled", "auth");
	} finally {
		await other.stop();
	}
});
