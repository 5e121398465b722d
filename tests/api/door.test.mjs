// SPDX-License-Identifier: MIT
// What every endpoint does before its own work: method, size, apikey, token,
// body; and what every answer and log line has.  A new endpoint joins here by
// one line of `doors`.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { enter } from "./support/admin.mjs";
import { AppStore } from "./support/appstore.mjs";
import { sql, whileGone } from "./support/database.mjs";
import { endpoints } from "./support/endpoints.mjs";
import { assertError, assertNotLogged, assertTellsNothing, requestLine,
    stopClean } from "./support/expect.mjs";
import { fastcgi } from "./support/fastcgi.mjs";
import { start } from "./support/instance.mjs";
import { creditsOf, endOf, order, orderJob, startWorker, stopWorker }
    from "./support/jobs.mjs";
import { badTokens, expiredToken, forge, lostTokens }
    from "./support/tokens.mjs";

/*
 * auth: none, apikey, optional, user or admin.  target: its path with what makes it
 * answer well; body: likewise, and that it wants JSON.  isFinal: nobody can
 * call it twice, or it has two doors, so its own file looks at them.
 * hasOwnLimit: what the router lets through is not all taken.
 */
const doors = {
	"admin-catalog": { auth: "admin" },
	"admin-jobs": { auth: "admin" },
	"admin-session": { auth: "admin" },
	"admin-system": { auth: "admin" },
	"admin-users": { auth: "admin" },
	"apple-id-notifications": { auth: "none",
		body: () => ({ payload: identity }) },
	"apple-server-notifications": { auth: "none",
		body: () => store.notification("TEST") },
	"auth-jwks": { auth: "none", dialect: "auth", isPublic: true },
	"auth-logout": { auth: "user", dialect: "auth",
		target: "/auth/v1/logout?scope=others" },
	"auth-signup": { auth: "apikey", dialect: "auth" },
	"auth-token": { auth: "apikey", dialect: "auth",
		target: "/auth/v1/token?grant_type=refresh_token",
		body: () => ({ refresh_token: ada.refresh_token }) },
	"auth-user": { auth: "user", dialect: "auth" },
	"cancel-video-job": { auth: "user", body: () => ({ job_id }) },
	"delete-account": { isFinal: true, auth: "user", body: () => ({}) },
	"delete-video-job": { auth: "user", body: () => ({ job_id }) },
	"device-check": { auth: "apikey",
		body: () => ({ device_id: "x", device_token }) },
	"export-account": { auth: "user" },
	// It is there only with fal configured: its own file has its door.
	"fal-webhook": { isFinal: true },
	"generate-video": { auth: "user", body: () => ({ prompt: "A sea" }) },
	"get-credit-history": { auth: "user" },
	"get-models": { auth: "apikey", isPublic: true },
	"get-themes": { auth: "apikey", isPublic: true },
	"get-user-credits": { auth: "user" },
	"get-user-profile": { auth: "user" },
	"get-video-jobs": { auth: "user" },
	"get-video-status": { auth: "user",
		target: () => `/functions/v1/get-video-status?job_id=${job_id}` },
	"health": { auth: "none" },
	"metrics": { auth: "none" },
	"ready": { auth: "none" },
	"merge-guest-user": { auth: "user",
		// Another's name: it goes all the way, but merges nobody.
		body: () => ({ identity_token: identity, apple_sub: "x" }) },
	"object": { auth: "user", dialect: "storage",
		target: () => `/storage/v1/object/info/videos/${ada.user_id}/x` },
	"object-list": { auth: "user", dialect: "storage",
		target: "/storage/v1/object/list/thumbnails",
		body: () => ({ prefix: ada.user_id }) },
	"object-public": { auth: "none", dialect: "storage",
		target: "/storage/v1/object/public/thumbnails/a.jpg" },
	"object-remove": { auth: "user", dialect: "storage",
		body: () => ({ prefixes: [] }) },
	"object-sign": { isFinal: true, auth: "user", dialect: "storage",
		target: () => `/storage/v1/object/sign/videos/${ada.user_id}/x`,
		body: () => ({ expiresIn: 60 }) },
	"object-upload": { auth: "user", dialect: "storage", hasOwnLimit: true,
		target: () => `/storage/v1/object/thumbnails/${ada.user_id}/x` },
	"register-push-token": { auth: "user",
		body: () => ({ token: "ab".repeat(32),
		    environment: "production" }) },
	"replicate-webhook": { isFinal: true },
	"rest": { auth: "optional", dialect: "rest", target: "/rest/v1/themes" },
	"rest-users": { auth: "optional", dialect: "rest" },
	"stream-ticket": { auth: "user",
		body: () => ({ user_id: null }) },
	"update-consumption-consent": { auth: "user",
		body: () => ({ consent: false, text_version: "1" }) },
	"update-credits": { auth: "user",
		body: () => ({ signed_transaction:
		    store.sign(store.transaction()) }) },
	"update-user-settings": { auth: "user",
		body: () => ({ theme_preference: "dark" }) },
};

/** How an area of the API says it: [status, code]. */
const words = {
	functions: {
		method: [405, "method_not_allowed"],
		request: [400, "invalid_request"],
		json: [400, "invalid_json"],
		type: [415, "unsupported_media_type"],
		large: [413, "payload_too_large"],
		unauthorized: [401, "unauthorized"],
		expired: [401, "token_expired"],
		banned: [403, "user_banned"],
		forbidden: [403, "forbidden"],
	},
	auth: {
		method: [405, "method_not_allowed"],
		request: [400, "validation_failed"],
		json: [400, "bad_json"],
		type: [415, "unsupported_media_type"],
		large: [413, "payload_too_large"],
		unauthorized: [403, "bad_jwt"],
		expired: [403, "bad_jwt"],
		banned: [403, "user_banned"],
		forbidden: [403, "forbidden"],
	},
	rest: {
		method: [405, "PGRST117"],
		request: [400, "PGRST100"],
		large: [413, "payload_too_large"],
		unauthorized: [401, "PGRST301"],
		expired: [401, "PGRST301"],
		banned: [403, "user_banned"],
	},
	storage: {
		method: [405, "method_not_allowed"],
		request: [400, "InvalidKey"],
		json: [400, "invalid_json"],
		type: [415, "InvalidMimeType"],
		large: [413, "EntityTooLarge"],
		unauthorized: [403, "AccessDenied"],
		expired: [403, "AccessDenied"],
		banned: [403, "user_banned"],
		forbidden: [403, "AccessDenied"],
	},
};

const api = endpoints().filter((endpoint) => !endpoint.isSandboxOnly);
const withFinal = api.map((endpoint) => ({ dialect: "functions", ...endpoint,
	...doors[endpoint.name] }));
const all = withFinal.filter(({ isFinal }) => !isFinal);
const withUser = all.filter(({ auth }) => auth === "user");
const readingTokens = all.filter(({ auth }) => ["user", "optional"]
    .includes(auth));
const withJson = all.filter(({ body }) => body !== undefined);

let rendio, store, ada, bob, device_token, identity, job_id, admin;

before(async () => {
	rendio = await start();
	store = new AppStore(rendio);
	[ada, bob] = await Promise.all(["ada", "bob"]
	    .map((name) => rendio.guest(name)));
	device_token = (await rendio.cli("sandbox", "device", "a-phone"))
	    .stdout.trim();
	identity = (await rendio.cli("sandbox", "identity", "a-person"))
	    .stdout.trim();
	assert.equal((await rendio.cli("user", "grant", ada.user_id, "1000",
	    "--reason", "tests")).code, 0);
	job_id = await orderJob(rendio, ada);
	admin = await enter(rendio);
});
after(() => stopClean(rendio));

function targetOf({ path, target = path }) {
	return typeof target === "function" ? target() : target;
}

function methodOf({ methods }) {
	return methods[0];
}

/** Calls an endpoint as it wants to be called, but for the options. */
async function call(door, options = {}) {
	const body = methodOf(door) === "GET" ? undefined : door.body?.();

	return await rendio.request(options.method ?? methodOf(door),
	    options.target ?? targetOf(door), {
		bearer: { user: ada.access_token, admin: admin.token }[door.auth],
		body,
		...options,
		headers: { "idempotency-key": randomUUID(), ...options.headers },
	});
}

function assertRefused(res, door, what) {
	const [status, code] = words[door.dialect][what];
	assertError(res, status, code, door.dialect);
}

function query(door, text) {
	const target = targetOf(door);
	return `${target}${target.includes("?") ? "&" : "?"}${text}`;
}

test("every endpoint of the API has its line here", () => {
	assert.deepEqual(Object.keys(doors).sort(),
	    api.map(({ name }) => name).sort());
});

for (const door of all) {
	test(`${door.name} refuses other methods and says which it takes`,
	    async () => {
		for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH",
			"DELETE"].filter((name) => !door.methods.includes(name))) {
			const res = await call(door, { method, body: undefined });
			assert.equal(res.headers.allow, door.methods.join(", "));
			if (method === "HEAD")
				assert.equal(res.status, 405);
			else
				assertRefused(res, door, "method");
		}
	});

	test(`${door.name} refuses a body over its limit`, async () => {
		const limit = Math.max(1, door.bodyBytesMax);
		const headers = { "content-type": "application/json" };

		assertRefused(await call(door, { headers,
			body: " ".repeat(limit + 1) }), door, "large");
		if (!door.hasOwnLimit)
			assert.notEqual((await call(door, { headers,
				body: " ".repeat(limit) })).status, 413);
	});

	test(`${door.name} refuses a query that means two things`, async () => {
		for (const text of ["a=1&a=2", "a=%zz", "a=%", "a=%00", "a=%ff",
			"=1"])
			assertRefused(await call(door,
			    { target: query(door, text) }), door, "request");
	});

	test(`${door.name} refuses a header that comes twice`, async () => {
		assertRefused(await call(door, { headers:
			{ "idempotency-key": ["a", "b"] } }), door, "request");
		// nginx itself sees to this one.
		assertRefused(await call(door, { bearer: undefined, headers:
			{ authorization: ["Bearer a", "Bearer b"] } }), door,
		    "request");
	});

	test(`${door.name} names and logs the request`, async () => {
		const given = "0123456789abcdef0123456789abcdef";
		const res = await call(door,
		    { headers: { "x-request-id": given } });
		const id = res.headers["x-request-id"];
		assert.match(id, /^[0-9a-f]{32}$/);
		assert.notEqual(id, given);

		const line = await requestLine(rendio, res);
		assert.equal(line.program, door.name);
		assert.equal(line.request_id, id);
		assert.equal(line.status, res.status);
		assert.equal(line.code, res.status < 300 ? "ok" :
		    res.json().code);
		assert.equal(line.user, door.auth === "user" ? ada.user_id :
		    undefined);
		assert.ok(Number.isInteger(line.ms));
		assert.ok(Number.isInteger(line.sql));
	});

	test(`${door.name} says how long its answer is and who may keep it`,
	    async () => {
		const res = await call(door);
		// A 204 has no body, nor the length of one.
		assert.equal(Number(res.headers["content-length"] ??
		    (res.status === 204 ? 0 : NaN)), res.bytes.length);
		if (door.isPublic)
			assert.match(res.headers["cache-control"], /^public/);
		else
			assert.equal(res.headers["cache-control"], "no-store");
	});
}

for (const door of all.filter(({ auth }) => auth === "admin")) {
	test(`${door.name} wants an admin, whom no user is`, async () => {
		const { stdout } = await rendio.cli("token", ada.user_id);
		const methods = door.methods.filter((method) =>
		    door.name !== "admin-session" || method !== "POST");

		for (const method of methods)
			for (const bearer of [undefined, rendio.anonKey,
				ada.access_token, ada.refresh_token,
				stdout.trim(), "0".repeat(64)])
				assertError(await call(door, { method, bearer,
					body: method === "GET" ? undefined : {} }),
				    401, "unauthorized");
	});

	test(`${door.name} is answered to no other site`, async () => {
		const { headers } = await call(door,
		    { headers: { origin: "https://evil.example" } });
		assert.equal(headers["access-control-allow-origin"], undefined);
	});
}

for (const door of all.filter(({ auth }) =>
    auth !== "none" && auth !== "admin")) {
	test(`${door.name} wants the app's key`, async () => {
		for (const apikey of [null, "", "x", rendio.anonKey.slice(1),
			`${rendio.anonKey}x`, rendio.anonKey.toUpperCase(),
			ada.access_token])
			assertError(await call(door, { apikey }), 401,
			    "invalid_api_key", door.dialect);
		// A bearer is no key.
		assertError(await call(door, { apikey: null,
			bearer: rendio.anonKey }), 401, "invalid_api_key",
		    door.dialect);
	});
}

for (const door of withUser) {
	test(`${door.name} wants a user, whom the app's key is not`, async () => {
		const [status, code] = door.dialect === "auth" ?
		    [401, "no_authorization"] : words[door.dialect].unauthorized;

		for (const bearer of [undefined, rendio.anonKey])
			assertError(await call(door, { bearer }), status, code,
			    door.dialect);
	});

	test(`${door.name} serves nobody else than the token's user`, async () => {
		for (const other of [bob.user_id, randomUUID(), "", "me"])
			assertRefused(await call(door, { target:
				query(door, `user_id=${other}`) }), door,
			    "forbidden");
		assert.notEqual((await call(door, { target: query(door,
			`user_id=${ada.user_id.toUpperCase()}`) })).status, 403);
	});
}

for (const door of readingTokens) {
	test(`${door.name} lets no forged token in`, async () => {
		for (const [what, bearer] of
		    Object.entries(badTokens(rendio, ada))) {
			const res = await call(door, { bearer });
			const [status, code] = words[door.dialect].unauthorized;
			assert.equal(res.status, status, `${what}: ${res.text}`);
			assertError(res, status, code, door.dialect);
		}
		for (const authorization of [ada.access_token, "Bearer",
			`Basic ${ada.access_token}`, `Bearer=${ada.access_token}`,
			`Bearer ${ada.access_token} x`])
			assertRefused(await call(door, { bearer: undefined,
				headers: { authorization } }), door,
			    "unauthorized");
	});

	test(`${door.name} refuses a token that has expired`, async () => {
		assertRefused(await call(door,
		    { bearer: expiredToken(rendio, ada) }), door, "expired");
	});

	test(`${door.name} refuses a token without a living session`,
	    async () => {
		for (const [why, bearer] of
		    Object.entries(lostTokens(rendio, ada, bob))) {
			const res = await call(door, { bearer });
			if (door.dialect === "auth")
				assertError(res, 403, why === "another" ?
				    "session_not_found" : why, "auth");
			else
				assertRefused(res, door, "unauthorized");
		}
	});

	test(`${door.name} refuses who was suspended, at once`, async () => {
		const guest = await rendio.guest(`banned-${door.name}`);
		const bearer = guest.access_token;

		assert.ok(!(await call(door, { bearer })).text
		    .includes("user_banned"));
		assert.equal((await rendio.cli("user", "ban", guest.user_id))
		    .code, 0);
		assertRefused(await call(door, { bearer }), door, "banned");
	});

	test(`${door.name} takes a token however Bearer is written`, async () => {
		const good = (await call(door, { bearer: ada.access_token }))
		    .status;
		for (const scheme of ["bearer", "BEARER", "Bearer "])
			assert.equal((await call(door, { bearer: undefined,
				headers: { authorization:
				    `${scheme} ${ada.access_token}` } })).status,
			    good);
		// One we would give out only by another route.
		assert.equal((await call(door, { bearer:
			forge(rendio, ada, { aal: "aal2" }) })).status, good);
	});
}

/** An object in which values lie this many deep. */
function nested(depth) {
	return `{"a":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;
}

for (const door of withJson) {
	test(`${door.name} refuses what is not one JSON object`, async () => {
		const good = JSON.stringify(door.body());
		const bodies = {
			"nothing": "",
			"a blank": " ",
			"words": "nonsense",
			"half an object": good.slice(0, -1),
			"an array": "[]",
			"a string": '"x"',
			"null": "null",
			"a member twice": good.replace("{", '{"x":1,"x":1,'),
			"a member of a member twice":
			    good.replace("{", '{"x":{"y":1,"\\u0079":1},'),
			"bytes that are not UTF-8": Buffer.concat([
				Buffer.from(good.slice(0, -1)),
				Buffer.from(',"x":"\xff"}', "latin1")]),
			"a surrogate alone":
			    good.replace("{", '{"x":"\\ud800",'),
			"a raw NUL": good.replace("{", '{"x":"a\0b",'),
			"an escaped NUL": good.replace("{", '{"x":"\\u0000",'),
			"a raw newline in a string":
			    good.replace("{", '{"x":"a\nb",'),
			"33 levels": nested(33),
			"bytes after the end": `${good} x`,
			"two objects": good + good,
			"a byte order mark": `\ufeff${good}`,
			"a comment": `/**/${good}`,
			"a comma too many": good.replace(/}$/, ",}"),
			"single quotes": good.replaceAll('"', "'"),
			"a number that is none": good.replace("{", '{"x":01,'),
			"NaN": good.replace("{", '{"x":NaN,'),
		};

		for (const [what, body] of Object.entries(bodies)) {
			const res = await call(door, { body,
				headers: { "content-type": "application/json" } });
			const [status, code] = words[door.dialect].json;
			assert.equal(res.status, status, `${what}: ${res.text}`);
			assertError(res, status, code, door.dialect);
		}
		for (const depth of [31, 32]) {
			const res = await call(door, { body: nested(depth),
				headers: { "content-type": "application/json" } });
			assert.notEqual(res.json().code,
			    words[door.dialect].json[1]);
		}
	});

	test(`${door.name} refuses a body that says it is something else`,
	    async () => {
		const body = JSON.stringify(door.body());

		for (const type of ["text/plain", "application/octet-stream",
			"application/x-www-form-urlencoded", "application/jsonx",
			"multipart/form-data; boundary=application/json"])
			assertRefused(await call(door, { body,
				headers: { "content-type": type } }), door,
			    "type");
		for (const headers of [{}, { "content-type": "application/json" },
			{ "content-type": "Application/JSON ; charset=utf-8" }])
			assert.notEqual((await call(door, { body, headers }))
			    .status, 415);
	});
}

for (const door of withUser.filter(({ body }) => body !== undefined)) {
	test(`${door.name} believes no user_id in the body`, async () => {
		for (const user_id of [bob.user_id, randomUUID(), "", 7, [], {}])
			assertRefused(await call(door, { body:
				{ ...door.body(), user_id } }), door, "forbidden");
		for (const user_id of [null, ada.user_id.toUpperCase()])
			assert.notEqual((await call(door, { body:
				{ ...door.body(), user_id } })).status, 403);
	});
}

for (const door of all.filter(({ methods }) => methods.includes("GET"))) {
	test(`${door.name} does not mind the content type of a GET`, async () => {
		const plain = await call(door);

		for (const type of ["application/json", "text/plain"]) {
			const res = await call(door,
			    { headers: { "content-type": type } });
			assert.equal(res.status, plain.status);
		}
	});
}

test("an error is told in the language that is asked for", async () => {
	const text = async (language) => (await rendio.request("POST",
	    "/functions/v1/device-check", { body: {},
		headers: { "accept-language": language } })).json().error;
	const english = "The request is not valid";
	const turkish = "İstek geçerli değil";
	const spanish = "La solicitud no es válida";

	for (const [language, expected] of [["en", english], ["tr", turkish],
		["es", spanish], ["tr-TR,tr;q=0.9,en;q=0.8", turkish],
		["de, es-419;q=0.5", spanish], ["fr", english], ["", english],
		["en;q=0.1, TR;q=0.2", turkish], ["tr;q=0", english],
		["x".repeat(4000), english]])
		assert.equal(await text(language), expected, language);
});

test("a user's own language goes before the one that is asked for", async () => {
	const res = await rendio.request("POST", "/functions/v1/device-check", {
		body: { device_id: randomUUID(), device_token },
		headers: { "accept-language": "tr" },
	});
	const refused = await order(rendio, res.json(), { prompt: "" });
	assert.equal(refused.json().error,
	    "İstem 1 ile 5000 karakter arasında olmalı");
});

test("a request that waited too long is not carried out", async () => {
	const key = randomUUID();
	const body = '{"prompt":"A calm sea"}';
	const before = await creditsOf(rendio, ada);
	const send = async (age_ms) => await fastcgi(
	    rendio.file("run", "generate-video.sock"), {
		REQUEST_METHOD: "POST",
		REQUEST_URI: "/functions/v1/generate-video",
		QUERY_STRING: "",
		CONTENT_TYPE: "application/json",
		CONTENT_LENGTH: body.length,
		REQUEST_ID: "00000000000000000000000000000001",
		REQUEST_TIME_MSEC: Date.now() - age_ms,
		HTTP_APIKEY: rendio.anonKey,
		HTTP_AUTHORIZATION: `Bearer ${ada.access_token}`,
		HTTP_IDEMPOTENCY_KEY: key,
	}, body);

	const late = await send(11_000);
	assert.equal(late.status, 503);
	assert.equal(JSON.parse(late.text).code, "service_unavailable");
	assert.match(late.headers["retry-after"], /^\d+$/);
	assert.equal(await creditsOf(rendio, ada), before);
	assert.equal((await send(1000)).status, 200);
	assert.equal(await creditsOf(rendio, ada), before - 4);
});

test("a body that is shorter than it was said to be is refused", async () => {
	const res = await fastcgi(rendio.file("run", "device-check.sock"), {
		REQUEST_METHOD: "POST",
		REQUEST_URI: "/functions/v1/device-check",
		QUERY_STRING: "",
		CONTENT_LENGTH: 100,
		HTTP_APIKEY: rendio.anonKey,
	}, "{}");
	assert.equal(res.status, 400);
	assert.equal(JSON.parse(res.text).code, "invalid_request");
});

test("no log line tells a token, a prompt or a device id", async () => {
	const secrets = {
		"prompt": `canary-prompt-${randomUUID()}`,
		"failing prompt": `canary-fail-${randomUUID()}`,
		"device id": randomUUID(),
		"other device id": `canary-device-${randomUUID()}`,
		"device token": device_token,
		"Idempotency-Key": `canary-key-${randomUUID()}`,
		"query": `canary-query-${randomUUID()}`,
		"body": `canary-body-${randomUUID()}`,
		"forged token": `canary.token.${randomUUID()}`,
	};
	const post = async (name, options) => await rendio.request("POST",
	    `/functions/v1/${name}?x=${secrets.query}`, options);

	const visit = (await post("device-check", { body: { device_token,
		device_id: secrets["device id"] } })).json();
	await post("device-check", { body: { device_token,
		device_id: secrets["other device id"] } });
	secrets["access token"] = visit.access_token;
	secrets["signature"] = visit.access_token.split(".")[2];
	secrets["refresh token"] = visit.refresh_token;
	await rendio.request("POST", "/auth/v1/token?grant_type=refresh_token",
	    { body: { refresh_token: visit.refresh_token } });
	await order(rendio, ada, { prompt: secrets.prompt },
	    secrets["Idempotency-Key"]);
	await endOf(rendio, bob, await orderJob(rendio, bob,
	    { prompt: `${secrets["failing prompt"]}[fail:content]` }));
	await order(rendio, ada, { prompt: secrets.prompt,
		settings: { resolution: secrets.body } });
	await post("generate-video", { bearer: secrets["forged token"],
		body: `{"broken":"${secrets.body}` });
	await post("delete-video-job", { bearer: ada.access_token,
		body: { job_id: secrets.body, user_id: ada.user_id } });
	await rendio.request("GET",
	    `/storage/v1/object/sign/videos/a.mp4?token=${secrets.query}`);
	await assertNotLogged(rendio, secrets);
});

test("an error of ours tells nothing of us, whichever endpoint makes it",
    async () => {
	const tables = (await sql(rendio, "SELECT name FROM sqlite_schema" +
	    " WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"))
	    .map(({ name }) => name);
	// Who calls is looked at first: it is known, and then it is not.
	const who = ["users", "sessions", "admins", "admin_sessions"];
	const failed = new Set();
	const callAll = async () => {
		for (const door of withFinal)
			for (const method of door.methods) {
				const res = await call(door, { method,
					bearer: door.auth === "admin" ?
					    admin.token : ada.access_token,
					body: method === "GET" ? undefined :
					    door.body?.() });
				if (res.status < 500 || method === "HEAD")
					continue;
				assertTellsNothing(res, door.dialect);
				failed.add(door.name);
			}
	};

	await stopWorker(rendio);
	await whileGone(rendio, tables.filter((name) => !who.includes(name)),
	    callAll);
	await whileGone(rendio, tables, callAll);
	await startWorker(rendio);
	// Two have no database; the others verify first what their own files
	// sign.
	assert.deepEqual(api.map(({ name }) => name)
	    .filter((name) => !failed.has(name)), [
		"apple-id-notifications", "auth-jwks", "auth-signup",
		"fal-webhook", "replicate-webhook"]);
	assert.ok((await call(all.find(({ name }) => name === "get-video-jobs")))
	    .status === 200);
});
