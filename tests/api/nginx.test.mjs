// SPDX-License-Identifier: MIT
// What nginx answers by itself, and what it lets through.

import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";
import tls from "node:tls";
import { assertError as assertErrorOf, stopClean } from "./support/expect.mjs";
import { askHttp2 } from "./support/http2.mjs";
import { root, start, until } from "./support/instance.mjs";

const JSON_BYTES_MAX = 64 * 1024;
const GENERATE = "/functions/v1/generate-video";
const MODELS = "/functions/v1/get-models";

let rendio;

before(async () => {
	// A proxy on this machine may name the client's address.
	rendio = await start({ env: { RENDIO_TRUSTED_PROXIES: "127.0.0.3" } });
});
after(() => stopClean(rendio));

/** The answer has our form, this status and this code. */
function assertError(res, status, code) {
	assert.equal(res.status, status, res.text);
	assert.equal(res.headers["content-type"], "application/json");
	assert.equal(Number(res.headers["content-length"]), res.bytes.length);
	assert.equal(res.headers["cache-control"], "no-store");
	const body = res.json();
	assert.deepEqual(Object.keys(body),
	    ["error", "code", "error_code", "message", "request_id"]);
	assert.match(body.error_code, /^ERR_[45]00\d$/);
	assert.equal(body.code, code);
	assert.equal(body.message, body.error);
	assert.equal(body.request_id, res.headers["x-request-id"]);
}

function assertSafeHeaders(res) {
	assert.match(res.headers["x-request-id"], /^[0-9a-f]{32}$/);
	assert.equal(res.headers["x-content-type-options"], "nosniff");
	assert.match(res.headers["strict-transport-security"], /^max-age=\d+/);
	assert.equal(res.headers["referrer-policy"], "no-referrer");
	assert.match(res.headers["content-security-policy"],
	    /^default-src 'none'/);
	assert.equal(res.headers["x-frame-options"], "DENY");
	assert.equal(res.headers.server, "nginx");
	// Twice the same header would be two opinions.
	const names = res.rawHeaders.filter((_, i) => i % 2 === 0)
	    .map((name) => name.toLowerCase());
	assert.deepEqual(names, [...new Set(names)]);
}

/** The status of each answer in what a raw connection gave back. */
function statuses(raw) {
	return [...raw.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((m) => Number(m[1]));
}

test("every answer carries the safe headers once", async () => {
	for (const [method, path] of [["GET", "/health"], ["HEAD", "/health"],
		["GET", MODELS], ["GET", "/nowhere"], ["POST", GENERATE],
		["OPTIONS", MODELS], ["TRACE", "/health"]])
		assertSafeHeaders(await rendio.request(method, path));
});

test("an unknown path is 404 in our own form", async () => {
	for (const path of ["/index.html", "/playground/x", "/nowhere", "/functions/v1/", "/functions/v1/x",
		"/functions/v1/health", "/.git/config", "/rendio.db"])
		assertError(await rendio.request("GET", path), 404, "not_found");
	assertError(await rendio.request("POST", "/nowhere", { body: {} }), 404,
	    "not_found");
});

test("what is not there is told in the form of its area", async () => {
	for (const [path, code, area] of [
		["/auth/v1/otp", "not_found", "auth"],
		["/auth/v1/settings", "not_found", "auth"],
		["/rest/v1/", "PGRST205", "rest"],
		["/storage/v1/bucket", "NoSuchKey", "storage"],
		["/storage/v1/upload/resumable", "NoSuchKey", "storage"],
		["/functions/v1/hello", "not_found", "functions"]])
		assertErrorOf(await rendio.request("GET", path), 404, code,
		    area);
});

test("a path that only resembles an endpoint is not it", async () => {
	for (const path of [`/${MODELS}`, `${MODELS}/`, `${MODELS}%00`,
		"/functions/v1/./get-models", "/functions/v1/get%2dmodels",
		"/functions//v1/get-models", "/x/..%2ffunctions/v1/get-models",
		"/x/../functions/v1/get-models", "/functions/v1/GET-MODELS",
		"/functions/v1/get-models;x=1"]) {
		const raw = await rendio.raw(`GET ${path} HTTP/1.1\r\n` +
		    "Host: a\r\nConnection: close\r\n\r\n");
		const [status] = statuses(raw);
		assert.ok(status === 404 || status === 400, `${path}: ${status}`);
		assert.match(raw, /"code":"(not_found|invalid_request)"/);
	}
});

test("nginx's own errors speak the first language that we have", async () => {
	for (const [wish, text] of [["tr", "Bulunamadı"], ["es-MX,en", "No encontrado"],
		["de, tr;q=0.5", "Bulunamadı"], ["en,tr", "Not found"],
		["fr", "Not found"], ["x".repeat(500), "Not found"]])
		assert.equal((await rendio.request("GET", "/nowhere",
		    { headers: { "accept-language": wish } })).json().error,
		    text, wish);
});

test("what is inside cannot be reached from outside", async () => {
	for (const path of ["/_media/", "/_media/videos/x.mp4", "/_error",
		"/_error/range", "/_sandbox/", "/_sandbox/files/x.jpg"])
		assertError(await rendio.request("GET", path), 404, "not_found");
});

test("a body is taken up to its limit and no further", async () => {
	const send = (bytes) => rendio.request("POST", GENERATE,
	    { body: " ".repeat(bytes) });

	assertError(await send(JSON_BYTES_MAX + 1), 413, "payload_too_large");
	for (const bytes of [JSON_BYTES_MAX - 1, JSON_BYTES_MAX])
		assert.notEqual((await send(bytes)).status, 413);
});

test("over HTTP/2, which phones speak, it is told in the same form",
    async () => {
	const ask = (path, bytes) => askHttp2(rendio, "POST", path, {
		headers: { "content-type": "application/json" },
		body: Buffer.alloc(bytes, " ") });

	for (const bytes of [JSON_BYTES_MAX + 1, 4 * JSON_BYTES_MAX])
		assertError(await ask(GENERATE, bytes), 413,
		    "payload_too_large");
	assertErrorOf(await ask("/storage/v1/object/thumbnails/x/y.jpg",
	    12 * 1024 * 1024), 413, "EntityTooLarge", "storage");
});

test("a chunked body has the same limit", async () => {
	const chunk = "1000\r\n" + "x".repeat(4096) + "\r\n";
	const raw = await rendio.raw(`POST ${GENERATE} HTTP/1.1\r\nHost: a\r\n` +
	    `Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(17)}0\r\n\r\n`);

	assert.deepEqual(statuses(raw).slice(0, 1), [413]);
	assert.match(raw, /"code":"payload_too_large"/);
});

test("headers and addresses that are too long are refused", async () => {
	const header = await rendio.request("GET", "/health",
	    { headers: { "x-long": "x".repeat(9000) } });
	assertError(header, 431, "invalid_request");

	const address = await rendio.request("GET", `/${"x".repeat(9000)}`);
	assertError(address, 414, "invalid_request");
});

test("TRACE is refused", async () => {
	assertError(await rendio.request("TRACE", "/health"), 405,
	    "method_not_allowed");
});

test("HTTP on the HTTPS port is told so in our own form", async () => {
	const body = await new Promise((resolve, reject) =>
	    http.get({ host: "127.0.0.1", port: rendio.port, path: "/health" },
		(res) => {
			assert.equal(res.statusCode, 400);
			res.setEncoding("utf8").once("data", resolve);
		}).on("error", reject));
	assert.equal(JSON.parse(body).code, "invalid_request");
});

test("a dead process is 502 with Retry-After, and only once", async () => {
	// Stopped, it takes the request and never answers; then it dies.
	const pids = rendio.pids("health");
	pids.forEach((pid) => process.kill(pid, "SIGSTOP"));
	const waiting = rendio.request("GET", "/health");
	await new Promise((resolve) => setTimeout(resolve, 200));
	pids.forEach((pid) => process.kill(pid, "SIGKILL"));

	// One of the new ones may serve it, if none had accepted it yet.
	const res = await waiting;
	if (res.status !== 200) {
		assertError(res, 502, "service_unavailable");
		assert.equal(res.headers["retry-after"], "2");
	}
	assert.ok(await until(async () =>
	    (await rendio.request("GET", "/health")).status === 200));
});

test("no endpoint's socket: 502 in our own form", async () => {
	const socket = rendio.file("run", "health.sock");
	fs.renameSync(socket, `${socket}.away`);
	try {
		const res = await rendio.request("GET", "/health");
		assertError(res, 502, "service_unavailable");
		assert.equal(res.headers["retry-after"], "2");
		assertSafeHeaders(res);
	} finally {
		fs.renameSync(`${socket}.away`, socket);
	}
});

test("a browser of another site may ask and call", async () => {
	const origin = { origin: "https://example.com" };

	for (const area of ["functions/v1/generate-video", "auth/v1/token",
		"rest/v1/themes", "storage/v1/object/thumbnails/x"]) {
		const res = await rendio.request("OPTIONS", `/${area}`, {
			headers: { ...origin,
				"access-control-request-method": "POST" },
			apikey: null,
		});
		assert.equal(res.status, 204, area);
		assert.equal(res.headers["access-control-allow-origin"], "*");
		assert.match(res.headers["access-control-allow-methods"], /POST/);
		for (const name of ["authorization", "apikey", "content-type",
			"x-client-info", "x-supabase-api-version", "prefer",
			"accept-profile", "content-profile", "x-upsert",
			"idempotency-key", "range",
			// What the official clients send on top, if asked to.
			"x-retry-count", "x-metadata", "x-region",
			"traceparent", "tracestate", "baggage"])
			assert.ok(res.headers["access-control-allow-headers"]
			    .split(", ").includes(name), name);
	}

	const res = await rendio.request("GET", MODELS, { headers: origin });
	assert.equal(res.headers["access-control-allow-origin"], "*");
	assert.match(res.headers["access-control-expose-headers"],
	    /x-request-id/);
	// Errors too, or the page cannot read why.
	assert.equal((await rendio.request("GET", "/functions/v1/x"))
	    .headers["access-control-allow-origin"], "*");

	const health = await rendio.request("GET", "/health",
	    { headers: origin });
	assert.equal(health.headers["access-control-allow-origin"], undefined);
});

test("an answer has its length and a strong tag, whoever could unpack it",
    async () => {
	const themes = "/rest/v1/themes";

	for (const path of [MODELS, "/functions/v1/get-themes", themes]) {
		const res = await rendio.request("GET", path,
		    { headers: { "accept-encoding": "gzip, deflate, br" } });
		assert.equal(res.status, 200);
		assert.ok(res.bytes.length > 1024, "too short to be packed");
		assert.equal(res.headers["content-encoding"], undefined);
		assert.equal(Number(res.headers["content-length"]),
		    res.bytes.length);
		if (path !== themes)
			assert.match(res.headers.etag, /^"/);
	}
	// Pages are not of the API, and pack what belongs to them.
	assert.equal((await rendio.request("GET", "/playground/app.js",
	    { headers: { "accept-encoding": "gzip" } }))
	    .headers["content-encoding"], "gzip");
});

test("TLS 1.2 and 1.3 are spoken, 1.1 is not; HTTP/2 is offered", async () => {
	const connect = (version) => new Promise((resolve) => {
		const socket = tls.connect({ host: "127.0.0.1",
			port: rendio.port, ca: rendio.ca, minVersion: version,
			maxVersion: version, ALPNProtocols: ["h2", "http/1.1"],
			// Our own library must be willing to try the old one.
			ciphers: "DEFAULT:@SECLEVEL=0" }, () => {
			resolve([socket.getProtocol(), socket.alpnProtocol]);
			socket.end();
		});
		socket.on("error", () => resolve(null));
	});

	assert.deepEqual(await connect("TLSv1.3"), ["TLSv1.3", "h2"]);
	assert.deepEqual(await connect("TLSv1.2"), ["TLSv1.2", "h2"]);
	assert.equal(await connect("TLSv1.1"), null);
});

test("a request hidden in another is not served", async () => {
	const hidden = `GET ${MODELS} HTTP/1.1\r\nHost: a\r\n\r\n`;
	const probes = {
		"length and chunks": [400, "Content-Length: 5\r\n" +
		    `Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`],
		"two lengths": [400, "Content-Length: 0\r\n" +
		    `Content-Length: ${hidden.length}\r\n\r\n${hidden}`],
		"two equal lengths": [400,
		    `Content-Length: 0\r\nContent-Length: 0\r\n\r\n${hidden}`],
		"a signed length": [400, `Content-Length: +0\r\n\r\n${hidden}`],
		"a negative length": [400, `Content-Length: -1\r\n\r\n${hidden}`],
		"a length of 20 digits": [400,
		    `Content-Length: 99999999999999999999\r\n\r\n${hidden}`],
		"an unknown encoding": [501,
		    `Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`],
		"two encodings": [501,
		    `Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${hidden}`],
		"a blank before the colon": [400,
		    `Content-Length : 0\r\n\r\n${hidden}`],
		"a second host": [400, `Host: b\r\n\r\n${hidden}`],
		"a NUL": [400, `X: a\0b\r\n\r\n${hidden}`],
		"two tokens": [400, "Authorization: Bearer a\r\n" +
		    `Authorization: Bearer b\r\n\r\n${hidden}`],
	};

	for (const [name, [status, rest]] of Object.entries(probes)) {
		const raw = await rendio.raw(
		    `POST ${GENERATE} HTTP/1.1\r\nHost: a\r\n${rest}`);
		assert.deepEqual(statuses(raw), [status], `${name}:\n${raw}`);
		assert.match(raw, /\{"error":.*"request_id":"[0-9a-f]{32}"\}/, name);
	}

	// HTTP/1.0 knows no encodings.
	for (const encoding of ["chunked", "identity"]) {
		const old = await rendio.raw(`POST ${GENERATE} HTTP/1.0\r\n` +
		    `Host: a\r\nConnection: keep-alive\r\n` +
		    `Transfer-Encoding: ${encoding}\r\n\r\n0\r\n\r\n${hidden}`);
		assert.deepEqual(statuses(old), [400], old);
	}
	const noHost = await rendio.raw("GET /health HTTP/1.1\r\n\r\n");
	assert.deepEqual(statuses(noHost), [400]);
});

test("a half-sent request is cut off", async () => {
	const begin = Date.now();
	await rendio.raw("GET /health HTTP/1.1\r\nHost:", 30_000);
	assert.ok(Date.now() - begin < 25_000);
});

test("one address that floods is limited, its neighbours are not", async () => {
	const flood = { localAddress: "127.0.0.2" };
	const served = await Promise.all(Array.from({ length: 600 }, () =>
	    rendio.request("GET", "/health", flood)));
	const refused = served.filter((res) => res.status === 429);
	assert.ok(served.some((res) => res.status === 200));
	assert.ok(refused.length > 0);
	for (const res of refused.slice(0, 3)) {
		assertError(res, 429, "rate_limited");
		assertSafeHeaders(res);
		assert.equal(res.headers["retry-after"], "1");
		assert.equal(res.headers["x-ratelimit-limit"], "50");
		assert.equal(res.headers["x-ratelimit-remaining"], "0");
		assert.equal(res.headers["x-ratelimit-reset"], "1");
	}

	const neighbour = await rendio.request("GET", "/health",
	    { localAddress: "127.0.0.4" });
	assert.equal(neighbour.status, 200);
	const owner = await Promise.all(Array.from({ length: 600 }, () =>
	    rendio.request("GET", "/health")));
	assert.ok(owner.every((res) => res.status === 200));
});

test("the addresses of one IPv6 network are one client", async () => {
	const flood = async (address) => {
		const answers = await Promise.all(Array.from({ length: 400 },
		    (_, i) => rendio.request("GET", "/health", {
			localAddress: "127.0.0.3",
			headers: { "x-forwarded-for": address(i) },
		})));
		return answers.filter((res) => res.status === 429).length;
	};

	assert.ok(await flood((i) => `2001:db8:0:1::${i.toString(16)}`) > 0);
	assert.equal(await flood((i) => `2001:db8:1:${i.toString(16)}::1`), 0);
});

test("an address that nobody trusted is not believed", async () => {
	const res = await rendio.request("GET", "/health", {
		localAddress: "127.0.0.5",
		headers: { "x-forwarded-for": "192.0.2.1",
			"x-real-ip": "192.0.2.1", forwarded: "for=192.0.2.1" },
	});
	const line = await rendio.accessLogOf(res.headers["x-request-id"]);
	assert.equal(line.address, "127.0.0.5");

	// A flood under such names is the flooder's alone.
	const victim = "192.0.2.7";
	const addressOf = (i) => i % 2 === 0 ? victim :
	    `198.51.${i >> 8}.${i & 255}`;
	const answers = await Promise.all(Array.from({ length: 600 },
	    (_, i) => rendio.request("GET", "/health", {
		localAddress: "127.0.0.8",
		headers: { "x-forwarded-for": addressOf(i),
			"x-real-ip": addressOf(i),
			forwarded: `for=${addressOf(i)}` },
	})));
	// No address but the victim's is named twice.
	assert.ok(answers.some((res, i) => i % 2 === 1 && res.status === 429));
	// By the proxy that we trust the victim is all that it can be.
	const served = await Promise.all(Array.from({ length: 100 }, () =>
	    rendio.request("GET", "/health", { localAddress: "127.0.0.3",
		headers: { "x-forwarded-for": victim } })));
	assert.ok(served.every((res) => res.status === 200));
});

test("expensive calls are limited by token, wherever they come from",
    async () => {
	const call = (token, i) => rendio.request("POST", GENERATE, {
		localAddress: "127.0.0.3",
		headers: { "x-forwarded-for": `198.51.100.${i}` },
		bearer: `${"a".repeat(40)}.${token.repeat(43)}`,
		body: {},
	});
	const limited = async (token) => (await Promise.all(
	    Array.from({ length: 40 }, (_, i) => call(token, i))))
	    .filter((res) => res.status === 429).length;

	assert.ok(await limited("x") > 0);
	const other = await call("y", 200);
	assert.notEqual(other.status, 429);
});

test("a refresh that is limited is 503: no client signs out for it",
    async () => {
	const guest = await rendio.guest("flooded");
	const refresh = () => rendio.request("POST",
	    "/auth/v1/token?grant_type=refresh_token", {
		localAddress: "127.0.0.7",
		body: { refresh_token: guest.refresh_token },
	});
	const answers = await Promise.all(Array.from({ length: 120 }, refresh));

	const limited = answers.filter((res) => res.status !== 200);
	assert.ok(limited.length > 0);
	for (const res of limited)
		assertErrorOf(res, 503, "service_unavailable", "auth");
	assert.ok(answers.length > limited.length);
	assert.equal((await rendio.request("GET", "/auth/v1/user",
	    { bearer: guest.access_token })).status, 200);
});

test("the owner's own limits are used instead of ours", async (t) => {
	const ours = fs.readFileSync(path.join(root, "nginx", "limits.conf"),
	    "utf8");
	const strict = ours.replace("zone=address burst=200", "zone=address");
	assert.notEqual(strict, ours);
	const other = await start({ prepare: (stateDir) => fs.writeFileSync(
	    path.join(stateDir, "limits.conf"), strict) });
	t.after(() => other.stop());

	const from = { localAddress: "127.0.0.2" };
	const answers = await Promise.all(Array.from({ length: 4 }, () =>
	    other.request("GET", "/health", from)));
	assert.ok(answers.some((res) => res.status === 429));
});

test("metrics are for this machine", async () => {
	assertError(await rendio.request("GET", "/metrics",
	    { localAddress: "127.0.0.6" }), 404, "not_found");
});

test("no log line shows a query string or a token", async () => {
	const canary = "canary-5d1f";
	const paths = [`/health?token=${canary}`, `/nowhere?apikey=${canary}`,
		`${MODELS}?${canary}`, `/_media/x?${canary}`,
		`/functions/v1/replicate-webhook/${canary}`,
		`/functions/v1/fal-webhook/${canary}?${canary}`];
	let last;

	for (const path of paths)
		last = await rendio.request("GET", path,
		    { bearer: canary, headers: { referer:
			`https://example.com/?${canary}` } });
	// An error of nginx quotes the request line.
	await rendio.request("POST", `${GENERATE}?token=${canary}`,
	    { body: " ".repeat(JSON_BYTES_MAX + 1) });

	const line = await rendio.accessLogOf(last.headers["x-request-id"]);
	assert.equal(line.path, "/functions/v1/fal-webhook/");
	assert.ok(await until(() => rendio.log()
	    .some((text) => text.includes("too large body"))));
	assert.doesNotMatch(rendio.log().join("\n"), new RegExp(canary));
	assert.doesNotMatch(fs.readFileSync(rendio.file("log", "access.log"),
	    "utf8"), new RegExp(canary));
});

test("the stand-ins for companies answer on their own socket only", async () => {
	const ask = (path) => new Promise((resolve, reject) =>
	    http.get({ socketPath: rendio.file("run", "sandbox-http.sock"),
		path }, (res) => {
		res.resume();
		res.on("end", () => resolve(res.statusCode));
	}).on("error", reject));

	fs.mkdirSync(rendio.file("sandbox", "files"), { recursive: true });
	fs.writeFileSync(rendio.file("sandbox", "files", "probe.jpg"), "x");
	assert.equal(await ask("/_sandbox/files/probe.jpg"), 200);
	assert.equal(await ask("/_sandbox/files/../../anon-key"), 404);
	assert.equal(await ask("/health"), 404);
});
