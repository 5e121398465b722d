// SPDX-License-Identifier: MIT
// /functions/v1/admin-session: two factors open a session, and nothing else.

import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { addAdmin, codeOf, enter, PASSWORD, signIn, trySignIn }
    from "./support/admin.mjs";
import { sql } from "./support/database.mjs";
import { assertError, assertNotLogged, assertPersonal, assertStatements, DATE }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";

const TARGET = "/functions/v1/admin-session";
const MINUTE_MS = 60_000;

let rendio, root, user;
// A limit counts by address: each test that fails comes from its own.
let host = 10;
const elsewhere = () => `127.0.0.${host++}`;

before(async () => {
	rendio = await start({ env: { RENDIO_ADMIN_ADDRESSES:
	    "127.0.0.0/25, 2001:db8::/32", RENDIO_LIMIT_ADMIN_SIGN_IN_PER_H:
	    "12" } });
	root = await addAdmin(rendio, "root");
	user = await rendio.guest("ada");
});
after(() => rendio.stop());

async function whoami(bearer, options = {}) {
	return await rendio.request("GET", TARGET,
	    { apikey: null, bearer, ...options });
}

function hashOf(token) {
	return `x'${createHash("sha256").update(token).digest("hex")}'`;
}

/** Moves a session's times back. */
async function age(token, created_ms, used_ms) {
	await sql(rendio, `UPDATE admin_sessions
	    SET created_at_ms = created_at_ms - ${created_ms},
	    used_at_ms = used_at_ms - ${used_ms}
	    WHERE token_hash = ${hashOf(token)}`);
}

test("the operator is shown the secret once, as apps want it", async () => {
	assert.match(root.url, new RegExp("^otpauth://totp/Rendio:root\\?" +
	    `secret=${root.secret}&issuer=Rendio$`));
	const [row] = await sql(rendio,
	    "SELECT password_hash, hex(totp_sealed) AS sealed FROM admins");
	assert.match(row.password_hash, /^\$argon2id\$v=19\$m=32768,t=3,p=1\$/);
	assert.equal(row.sealed.length, 2 * 60);
});

test("name, password and code open a session", async () => {
	const res = await trySignIn(rendio, root);
	const body = assertPersonal(res);

	assert.match(body.token, /^[0-9a-f]{64}$/);
	assert.equal(body.name, "root");
	assert.equal(body.idle_timeout_s, 900);
	assert.match(body.ends_at, DATE);
	const mine = await whoami(body.token);
	assert.deepEqual(Object.keys(assertPersonal(mine)),
	    ["name", "idle_timeout_s", "ends_at"]);
	await assertStatements(rendio, mine, 1);
	// What stands in the database opens nothing.
	const [row] = await sql(rendio,
	    "SELECT hex(token_hash) AS hash FROM admin_sessions");
	assertError(await whoami(row.hash.toLowerCase()), 401, "unauthorized");
	await assertNotLogged(rendio, { token: body.token, password: PASSWORD,
		secret: root.secret });
});

test("a code is taken once", async () => {
	const localAddress = elsewhere();
	// The next one: the clock may be a step ahead.
	const code = codeOf(root.secret, Date.now() + 30_000);
	const [first, second] = await Promise.all([0, 1].map(() =>
	    trySignIn(rendio, root, { code, localAddress })));

	assert.deepEqual([first.status, second.status].sort(), [200, 401]);
	assertError(await trySignIn(rendio, root, { code, localAddress }), 401,
	    "unauthorized");
	// Nor one from before it.
	assertError(await trySignIn(rendio, root, { localAddress,
		code: codeOf(root.secret) }), 401, "unauthorized");
});

test("neither factor alone opens anything, and all refusals are alike",
    async () => {
	const localAddress = elsewhere();
	await sql(rendio, "UPDATE admins SET totp_step = 0");
	const far = codeOf(root.secret, Date.now() - 10 * MINUTE_MS);
	const wrong = {
		name: { name: "nobody" },
		password: { password: `${PASSWORD}!` },
		"no password": { password: "" },
		code: { code: codeOf(root.secret) === "000000" ? "000001" :
		    "000000" },
		"no code": { code: "" },
		"an old code": { code: far },
		everything: { name: "nobody", password: "x", code: "1" },
	};

	for (const [what, members] of Object.entries(wrong)) {
		const res = await trySignIn(rendio, root,
		    { localAddress, ...members });
		assertError(res, 401, "unauthorized");
		assert.equal(res.json().error, "Please sign in", what);
	}
	// The code of a failed try was not used up.
	assert.equal((await trySignIn(rendio, root, { localAddress })).status,
	    200);
});

test("what is no sign-in is 400", async () => {
	for (const body of [{}, { name: "root", password: PASSWORD },
		{ name: 1, password: PASSWORD, code: "123456" },
		{ name: "root", password: "x".repeat(257), code: "123456" },
		{ name: "x".repeat(65), password: PASSWORD, code: "123456" },
		{ name: "root", password: PASSWORD, code: "123456", more: 1 }])
		assertError(await rendio.request("POST", TARGET,
		    { apikey: null, body }), 400, "invalid_request");
});

test("a user's token, the app's key and a made-up token open nothing",
    async () => {
	const { stdout } = await rendio.cli("token", user.user_id);
	for (const bearer of [user.access_token, user.refresh_token,
		stdout.trim(), rendio.anonKey, "0".repeat(64), "", undefined,
		randomUUID()])
		assertError(await whoami(bearer), 401, "unauthorized");
	// Nor is an admin a user.
	const token = await signIn(rendio, root);
	assertError(await rendio.request("GET",
	    "/functions/v1/get-user-credits", { bearer: token }), 401,
	    "unauthorized");
});

test("a session that was idle for 15 minutes is over", async () => {
	const token = await signIn(rendio, root);
	await age(token, 14 * MINUTE_MS, 14 * MINUTE_MS);
	assert.equal((await whoami(token)).status, 200);
	// That was use.
	await age(token, 14 * MINUTE_MS, 14 * MINUTE_MS);
	assert.equal((await whoami(token)).status, 200);
	await age(token, 0, 15 * MINUTE_MS);
	assertError(await whoami(token), 401, "unauthorized");
});

test("no session is older than 8 hours, however it is used", async () => {
	const token = await signIn(rendio, root);
	await age(token, 479 * MINUTE_MS, 0);
	assert.equal((await whoami(token)).status, 200);
	await age(token, MINUTE_MS, 0);
	assertError(await whoami(token), 401, "unauthorized");
});

test("signing out ends the session at once", async () => {
	const token = await signIn(rendio, root);
	const out = async () => await rendio.request("DELETE", TARGET,
	    { apikey: null, bearer: token, body: {} });

	assert.deepEqual(assertPersonal(await out()), { success: true });
	assertError(await whoami(token), 401, "unauthorized");
	assertError(await out(), 401, "unauthorized");
});

test("from an address that is not allowed nothing is answered but 403",
    async () => {
	const token = await signIn(rendio, root);
	const localAddress = "127.0.0.200";

	assertError(await whoami(token, { localAddress }), 403, "forbidden");
	assertError(await trySignIn(rendio, root, { localAddress }), 403,
	    "forbidden");
	// Nobody can say that he comes from elsewhere.
	assertError(await whoami(token, { localAddress, headers:
		{ "x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1" } }),
	    403, "forbidden");
});

test("another site's page can neither call nor be answered", async () => {
	const token = await signIn(rendio, root);
	const headers = { origin: "https://evil.example" };
	const preflight = await rendio.request("OPTIONS", TARGET, { apikey: null,
		headers: { ...headers, "access-control-request-method": "POST",
			"access-control-request-headers": "authorization" } });

	assert.equal(preflight.headers["access-control-allow-origin"],
	    undefined);
	assert.equal(preflight.status, 405);
	const res = await whoami(token, { headers });
	assert.equal(res.headers["access-control-allow-origin"], undefined);
	// What a browser sends by itself, cookies, is no proof of anything.
	for (const cookie of [`token=${token}`, `admin=${token}`,
		`__Host-admin=${token}`, `authorization=Bearer ${token}`])
		assertError(await whoami(undefined,
		    { headers: { ...headers, cookie } }), 401, "unauthorized");
	assert.equal((await trySignIn(rendio, root,
	    { localAddress: elsewhere() })).headers["set-cookie"], undefined);
});

test("an admin who is disabled is out at once, until a reset", async () => {
	const eve = await enter(rendio, "eve");
	assert.equal((await rendio.cli("admin", "disable", "eve")).code, 0);
	assertError(await whoami(eve.token), 401, "unauthorized");
	await sql(rendio, "UPDATE admins SET totp_step = 0 WHERE name = 'eve'");
	const localAddress = elsewhere();
	assertError(await trySignIn(rendio, eve, { localAddress }), 401,
	    "unauthorized");

	const again = await addAdmin(rendio, "eve", "another long password",
	    "reset");
	assert.notEqual(again.secret, eve.secret);
	assertError(await trySignIn(rendio, eve, { localAddress }), 401,
	    "unauthorized");
	assert.equal((await trySignIn(rendio, again, { localAddress,
		password: "another long password" })).status, 200);
	assert.deepEqual(await sql(rendio, `SELECT action, actor, field
	    FROM admin_log WHERE field = 'eve' ORDER BY number`), [
		{ action: "admin_add", actor: "console", field: "eve" },
		{ action: "admin_disable", actor: "console", field: "eve" },
		{ action: "admin_reset", actor: "console", field: "eve" }]);
});

test("the tool refuses short passwords, bad names and second admins",
    async () => {
	const add = async (name, input, verb = "add") =>
	    (await rendio.cliWith({ input }, "admin", verb, name)).code;

	assert.equal(await add("bob", "x".repeat(11) + "\n"), 1);
	assert.equal(await add("bob", ""), 1);
	assert.equal(await add("bob", "x".repeat(257) + "\n"), 1);
	for (const name of ["", "Bob", "b b", "x".repeat(65), "bob\n", "b/b"])
		assert.equal(await add(name, `${PASSWORD}\n`), 2, name);
	assert.equal(await add("root", `${PASSWORD}\n`), 1);
	assert.equal(await add("bob", `${PASSWORD}\n`, "reset"), 1);
	assert.equal((await rendio.cli("admin", "disable", "bob")).code, 1);
	const list = JSON.parse((await rendio.cli("admin", "list", "--json"))
	    .stdout);
	assert.deepEqual(list.map(({ name }) => name), ["eve", "root"]);
	assert.match((await rendio.cli("admin", "list")).stdout,
	    /^root +last sign-in \d{4}-/m);
});

test("what stands in the admin log stays as it is", async () => {
	for (const text of ["UPDATE admin_log SET actor = 'x'",
		"DELETE FROM admin_log"])
		await assert.rejects(sql(rendio, text), /admin log/);
});

test("tries are limited by address and by name, whoever makes them",
    async () => {
	const localAddress = elsewhere();
	const tries = [];
	for (let i = 0; i < 13; i++)
		tries.push(await trySignIn(rendio, root, { localAddress,
			name: `nobody-${i}`, password: "x" }));
	assert.deepEqual(tries.map(({ status }) => status),
	    [...Array(12).fill(401), 429]);
	assertError(tries[12], 429, "rate_limited");
	assert.ok(Number(tries[12].headers["retry-after"]) > 0);
	// The right word does not help any more, here.
	assert.equal((await trySignIn(rendio, root, { localAddress })).status,
	    429);

	// A name is tried twice as often, from many addresses, and no more.
	let refused;
	for (let i = 0; i < 25 && refused?.status !== 429; i++)
		refused = await trySignIn(rendio, root,
		    { localAddress: elsewhere(), name: "mallory" });
	assertError(refused, 429, "rate_limited");
	assert.equal(refused.headers["x-ratelimit-limit"], "24");
});
