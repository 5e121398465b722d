// SPDX-License-Identifier: MIT
//
// H, what is tried against the door of every endpoint, and O, against the host
// behind it.  docs/abuse.md says where the rest of these rows is tested.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import tls from "node:tls";
import { DeviceCheck } from "../../fakes/devicecheck.mjs";
import { id, sql } from "../support/database.mjs";
import { description, endpoints } from "../support/endpoints.mjs";
import { assertAuditClean, assertError } from "../support/expect.mjs";
import { build, freePort, root, start, until } from "../support/instance.mjs";
import { creditsOf, order } from "../support/jobs.mjs";
import { Phone } from "../support/phone.mjs";

const GIFT = 10;
const F = "/functions/v1";

let apple, rendio, ada, bob;

before(async () => {
	apple = await DeviceCheck.start();
	rendio = await start({ env: apple.env });
	ada = await new Phone(rendio, apple, "ada").enter();
	bob = await new Phone(rendio, apple, "bob").enter();
});
after(async () => {
	await rendio.stop();
	await apple.stop();
});

const get = (target, options) => rendio.request("GET", target,
    { bearer: ada.access_token, ...options });

const post = (target, body, options) => rendio.request("POST", target,
    { bearer: ada.access_token, body, ...options });

async function count(table) {
	return (await sql(rendio, `SELECT COUNT(*) AS n FROM ${table}`))[0].n;
}

/** What is said of processes that died; none may of what is sent to it. */
function deaths() {
	return rendio.log().filter((line) => line.includes("process_died"));
}

/** Opens a connection and sends so much; tells when it was closed. */
function half(text) {
	const socket = tls.connect({ host: "127.0.0.1", port: rendio.port,
		ca: rendio.ca }, () => socket.write(text));
	socket.on("error", () => {});
	return { socket, closed: new Promise((resolve) =>
	    socket.on("close", resolve)) };
}

test("H04 a body in chunks is a body", async () => {
	const body = '{"language":"en"}';
	const raw = await rendio.raw(`POST ${F}/update-user-settings HTTP/1.1\r\n` +
	    `Host: a\r\napikey: ${rendio.anonKey}\r\n` +
	    `Authorization: Bearer ${ada.access_token}\r\n` +
	    "Content-Type: application/json\r\nConnection: close\r\n" +
	    `Transfer-Encoding: chunked\r\n\r\n5\r\n${body.slice(0, 5)}\r\n` +
	    `${(body.length - 5).toString(16)}\r\n${body.slice(5)}\r\n0\r\n\r\n`,
	    5000);
	assert.match(raw, /^HTTP\/1\.1 200 /);
});

test("H06 a body without an end is cut at the limit", async () => {
	const chunk = `1000\r\n${"x".repeat(4096)}\r\n`;
	const raw = await rendio.raw(`POST ${F}/device-check HTTP/1.1\r\n` +
	    `Host: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(64)}`);
	assert.match(raw, /^HTTP\/1\.1 413 /);
});

test("H07 a body that never comes whole is not carried out", async () => {
	const jobs = await count("jobs");
	const { socket, closed } = half(`POST ${F}/generate-video HTTP/1.1\r\n` +
	    `Host: a\r\napikey: ${rendio.anonKey}\r\n` +
	    `Authorization: Bearer ${ada.access_token}\r\n` +
	    `Idempotency-Key: half\r\nContent-Length: 1000\r\n\r\n{"p`);
	await new Promise((resolve) => setTimeout(resolve, 200));
	socket.end();
	await closed;
	assert.equal(await count("jobs"), jobs);
	assert.equal(await creditsOf(rendio, ada), GIFT);
});

test("H08 H09 who is slow is cut off, and nobody waits for it", async () => {
	const slow = Array.from({ length: 200 }, (_, i) => half(i % 2 === 0 ?
	    "GET /health HTTP/1.1\r\nHost:" :
	    `POST ${F}/device-check HTTP/1.1\r\nHost: a\r\n` +
		"Content-Length: 1000\r\n\r\n{"));
	for (let i = 0; i < 50; i++)
		assert.equal((await get(`${F}/get-user-credits`)).status, 200);
	await Promise.all(slow.map(({ closed }) => closed));
	assert.equal((await get("/health")).status, 200);
});

test("H10 headers beyond measure", async () => {
	assertError(await get("/health", { headers:
		{ "x-long": "x".repeat(40_000) } }), 431, "invalid_request");
	const many = Object.fromEntries(Array.from({ length: 200 },
	    (_, i) => [`x-${i}`, "y"]));
	assert.ok([200, 431].includes((await get(`${F}/get-user-credits`,
	    { headers: many })).status));
});

test("H11 a Proxy header sends nothing another way", async () => {
	const eve = new Phone(rendio, apple, "eve");
	const asked = apple.calls.length;
	const { grant } = await eve.enter({ request: { headers:
		{ proxy: "http://127.0.0.1:1" } } });
	assert.equal(grant, "granted");
	assert.ok(apple.calls.length > asked);
});

test("H12 no header but the token says who it is", async () => {
	await order(rendio, bob);
	const left = await creditsOf(rendio, bob);
	assert.notEqual(left, GIFT);
	for (const name of ["X-User-Id", "X_User_Id", "User-Id", "X-Sub",
		"X-Forwarded-User", "Remote-User"])
		assert.equal((await get(`${F}/get-user-credits`, { headers:
			{ [name]: bob.user_id } })).json().credits_remaining, GIFT);
	// nginx drops what could pass for another header.
	assertError(await order(rendio, ada, {}, null), 400,
	    "idempotency_key_required");
	assertError(await post(`${F}/generate-video`, { prompt: "A sea" },
	    { headers: { Idempotency_Key: "x" } }), 400,
	    "idempotency_key_required");
});

test("H16 other methods do nothing, whatever they are called", async () => {
	for (const name of ["generate-video", "update-credits",
		"delete-account", "delete-video-job"]) {
		for (const method of ["HEAD", "OPTIONS"])
			assert.ok([405, 204].includes((await rendio.request(
			    method, `${F}/${name}`,
			    { bearer: ada.access_token })).status));
		for (const header of ["x-http-method-override",
			"x-method-override", "x-http-method"])
			assertError(await get(`${F}/${name}`, { headers:
				{ [header]: "POST" } }), 405,
			    "method_not_allowed");
		assertError(await get(`${F}/${name}?_method=POST`), 405,
		    "method_not_allowed");
	}
	assert.equal(await creditsOf(rendio, ada), GIFT);
});

test("H18 another character set", async () => {
	const res = await post(`${F}/update-user-settings`,
	    Buffer.from('{"language":"tr"}', "utf16le"), { headers:
		{ "content-type": "application/json; charset=utf-16" } });
	assertError(res, 415, "unsupported_media_type");
	// It may also only be called so.
	assertError(await post(`${F}/update-user-settings`,
	    '{"language":"tr"}', { headers:
		{ "content-type": "application/json; charset=utf-16" } }), 415,
	    "unsupported_media_type");
});

test("H19 H23 deep and wide JSON kills nobody and stays in nobody's memory",
    async () => {
	const wide = `{${Array.from({ length: 5000 }, (_, i) => `"k${i}":0`)}}`;
	for (let i = 0; i < 20; i++) {
		for (const body of ["[".repeat(60_000),
			`{"a":${"[".repeat(30_000)}${"]".repeat(30_000)}}`,
			`{"a":${'{"a":'.repeat(10_000)}`]) {
			assertError(await post(`${F}/update-user-settings`, body,
			    { headers: { "content-type": "application/json" } }),
			    400, "invalid_json");
		}
		for (const body of [wide, `{"a":[${"0,".repeat(30_000)}0]}`])
			assert.equal((await post(`${F}/update-user-settings`,
			    body, { headers: { "content-type":
				"application/json" } })).status, 400);
	}
	assert.deepEqual(deaths(), []);
});

test("H20 H21 members that are not asked for change nothing", async () => {
	const more = { credits_remaining: 1e6, credits: 1e6, tier: "premium",
		is_admin: true, role: "service_role", __proto__x: 1,
		constructor: { a: 1 }, USER_ID: bob.user_id };
	const body = JSON.stringify({ prompt: "A sea", ...more })
	    .replace("__proto__x", "__proto__");
	// The shipped app may send what it likes; it is not read.
	const res = await post(`${F}/generate-video`, body, { headers: {
		"content-type": "application/json",
		"idempotency-key": randomUUID() } });
	assert.equal(res.json().credits_remaining, GIFT - 4);
	// New functions take only what they know.
	for (const name of ["update-user-settings", "stream-ticket",
		"update-consumption-consent"])
		assertError(await post(`${F}/${name}`, more), 400,
		    "invalid_request");
	assert.deepEqual(await sql(rendio, "SELECT tier FROM users WHERE id =" +
	    id(ada.user_id)), [{ tier: "free" }]);
});

/** Each puts a text where one can be put, and gives the answer. */
const places = {
	"a word of the settings": (text) => post(`${F}/update-user-settings`,
	    { language: text }),
	"a prompt": (text) => order(rendio, bob, { prompt: text }),
	"an Idempotency-Key": (text) => order(rendio, ada, { prompt: "" },
	    headerOf(text)),
	"a setting": (text) => order(rendio, ada,
	    { settings: { resolution: text } }),
	"an image": (text) => order(rendio, ada, { image_url: text }),
	"a device id": (text) => post(`${F}/device-check`,
	    { device_id: text, device_token: "AAAA" }),
	"a refresh token": (text) => post(
	    "/auth/v1/token?grant_type=refresh_token", { refresh_token: text }),
	"an identity token": (text) => post(`${F}/merge-guest-user`,
	    { identity_token: text }),
	"a transaction": (text) => post(`${F}/update-credits`,
	    { transaction_id: text }),
	"a job id": (text) => get(`${F}/get-video-status?job_id=${
	    encodeURIComponent(text)}`),
	"a cursor": (text) => get(`${F}/get-video-jobs?before=${
	    encodeURIComponent(text)}`),
	"a filter": (text) => get(`/rest/v1/themes?name=eq.${
	    encodeURIComponent(text)}`),
	"a column": (text) => get(`/rest/v1/themes?select=${
	    encodeURIComponent(text)}`),
	"a name of a file": (text) => get("/storage/v1/object/public/" +
	    `thumbnails/${encodeURIComponent(text)}`),
	"a name to download as": (text) => get("/storage/v1/object/public/" +
	    `thumbnails/x.jpg?download=${encodeURIComponent(text)}`),
	"a path": (text) => get(`/${encodeURIComponent(text)}`),
	"a language": (text) => post(`${F}/device-check`, {},
	    { headers: { "accept-language": headerOf(text) } }),
	"a client": (text) => get(`${F}/get-user-credits`,
	    { headers: { "user-agent": headerOf(text),
		"x-client-info": headerOf(text) } }),
	"an ETag": (text) => get(`${F}/get-models`,
	    { headers: { "if-none-match": headerOf(text) } }),
	"a prefix": (text) => post("/storage/v1/object/list/thumbnails",
	    { prefix: text }),
};

/** What node would not send in a header. */
function headerOf(text) {
	return text.replace(/[^\x20-\x7e]/g, "") || "x";
}

const texts = {
	H25: ["%s%s%s%n", "%x%x%x%x", "%1000000d", "${7*7}", "{{7*7}}"],
	H26: ["a\r\nX-Accel-Redirect: /_media/x", "a\nSet-Cookie: x=1",
		"a\rX: y", "a\0b", "a%0d%0aX-Evil: 1"],
	H27: ["'); DROP TABLE users;--", "' OR '1'='1", "1 UNION SELECT 1",
		"%' ESCAPE '\\", "_%_%", "\"; PRAGMA user_version = 99;"],
};

for (const [row, list] of Object.entries(texts))
	test(`${row} in every place that takes a text`, async () => {
			const schema = await sql(rendio, "SELECT sql FROM sqlite_schema");
		for (const text of list)
			for (const [place, put] of Object.entries(places)) {
				const res = await put(text);
				const what = `${JSON.stringify(text)} as ${place}`;
				assert.ok(res.status < 500, `${what}: ${res.text}`);
				for (const name of ["x-accel-redirect", "set-cookie",
					"x-evil", "x"])
					assert.equal(res.headers[name], undefined, what);
				assert.ok(!/sqlite|syntax error|0x[0-9a-f]{6}|SELECT /i
				    .test(res.text.replaceAll(text, "")), what);
			}
		assert.deepEqual(deaths(), []);
		assert.deepEqual(await sql(rendio,
		    "SELECT sql FROM sqlite_schema"), schema);
		assert.equal((await sql(rendio, "SELECT COUNT(*) AS n FROM users"))
		    [0].n >= 3, true);
	});

/** A second router before the same programs, as they are published. */
async function publish(t, port) {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-"));
	const config = path.join(dir, "nginx");
	for (const name of ["run", "log"])
		fs.mkdirSync(path.join(dir, name));
	for (const name of ["tls", "anon-key", ...fs.readdirSync(
	    rendio.file("run")).filter((name) => name.endsWith(".sock"))
	    .map((name) => `run/${name}`)])
		fs.symlinkSync(rendio.file(name), path.join(dir, name));
	execFileSync(path.join(root, "deploy", "nginx-config"), [config], {
		input: endpoints().map(({ source }) => description(source))
		    .join(""),
		env: { ...process.env, RENDIO_MODE: "live",
			RENDIO_STATE_DIR: dir, RENDIO_PORT: String(port),
			RENDIO_PUBLIC_URL: "https://api.example.com" },
	});
	const nginx = spawn("nginx", ["-e", "stderr", "-p", config, "-c",
		path.join(config, "nginx.conf"), "-g", "daemon off;"], {
		env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
		stdio: ["ignore", "ignore", "inherit"] });
	const ended = new Promise((resolve) => nginx.once("close", resolve));
	t.after(async () => {
		nginx.kill();
		await ended;
		fs.rmSync(dir, { recursive: true });
	});
	return { __proto__: rendio, port };
}

test("H29 another host is not served where it is known who we are",
    async (t) => {
	const live = await publish(t, await freePort());
	const ask = async (target, host) => await live.raw(
	    `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n` +
	    "Connection: close\r\n\r\n", 5000);
	assert.ok(await until(() => ask("/health", "api.example.com")
	    .then((raw) => /^HTTP\/1\.1 200 /.test(raw), () => false)));

	for (const [target, host] of [["/health", "evil.example"],
		["/health", "api.example.com.evil.example"],
		["/health", "x.api.example.com"], ["/health", "192.0.2.1"],
		["/nowhere", "evil.example"],
		// The target's host is the one that counts.
		["https://evil.example/health", "evil.example"],
		["https://evil.example/health", "api.example.com"],
		["http://evil.example/health", "api.example.com"]]) {
		const raw = await ask(target, host);
		assert.match(raw, /^HTTP\/1\.1 421 /, `${target} ${host}`);
		assert.match(raw, /"code":"invalid_request"/);
	}
	for (const target of ["/health", "https://api.example.com/health"])
		assert.match(await ask(target, "api.example.com"),
		    /^HTTP\/1\.1 200 /, target);
});

test("O01 O02 what is on the disk is for us alone", async () => {
	for (const { name } of endpoints()) {
		const { mode } = fs.statSync(rendio.file("run", `${name}.sock`));
		assert.equal(mode & 0o007, 0, `${name}.sock`);
	}
	for (const name of ["rendio.db", "rendio.db-wal", "keys", "media",
		"tls/key.pem", "anon-key"]) {
		const { mode } = fs.statSync(rendio.file(name));
		assert.equal(mode & 0o007, 0, name);
	}
});

/** Starts a program and tells whether its files in /proc become root's. */
async function isHidden(ms, command, ...args) {
	// Who starts it is not root, or of another group than root's.
	const child = spawn(command, args, { env: rendio.env, stdio: "ignore",
		...process.getuid() === 0 ? { gid: 65534 } : {} });
	const ended = new Promise((resolve) => child.once("close", resolve));
	try {
		return await until(() => {
			const { uid, gid } =
			    fs.statSync(`/proc/${child.pid}/environ`);
			return uid === 0 && gid === 0;
		}, ms) !== null;
	} finally {
		child.kill();
		await ended;
	}
}

test("O03 no process shows its secrets", async () => {
	const secrets = fs.readdirSync(rendio.file("keys")).map((name) =>
	    fs.readFileSync(rendio.file("keys", name), "utf8").trim())
	    .flatMap((text) => text.split(/\s+/)).filter((word) =>
		word.length >= 32);
	assert.ok(secrets.length >= 2);
	for (const pid of rendio.members()) {
		let shown = "";
		for (const name of ["cmdline", "environ"])
			try {
				shown += fs.readFileSync(`/proc/${pid}/${name}`,
				    "latin1");
			} catch {
				/* It has ended, or shows nothing to us. */
			}
		for (const secret of secrets)
			assert.ok(!shown.includes(secret), shown);
	}
	// The kernel gives to root what it shows to nobody else and never dumps.
	assert.equal(await isHidden(0, "sleep", "60"), false);
	for (const name of ["cgi-bin/auth-token", "rendio-realtime"])
		assert.equal(await isHidden(30_000, "spawn-fcgi", "-n", "-s",
		    rendio.file("run", "other.sock"), "--",
		    path.join(build, name)), true, name);
	assert.equal(await isHidden(30_000, path.join(build, "rendio-worker")),
	    true);
});

test("O05 no field breaks out of its log line", async () => {
	const mark = randomUUID();
	for (const field of [`${mark}\x1b[31mred`, `${mark}"},{"level":"x`,
		`${mark}\\`, `${mark}${"x".repeat(7000)}`]) {
		const raw = await rendio.raw(`GET ${F}/get-models?a=${
		    encodeURIComponent(field).slice(0, 1000)} HTTP/1.1\r\n` +
		    `Host: a\r\nUser-Agent: ${field}\r\n` +
		    `apikey: ${rendio.anonKey}\r\nConnection: close\r\n\r\n`);
		assert.match(raw, /^HTTP\/1\.1 (200|400|431)/);
	}
	assert.ok(await until(() => rendio.accessLog().filter((line) =>
	    line.user_agent.includes(mark)).length >= 2));
	// Each line is one JSON object (or nginx's own), and no byte of it
	// moves a terminal.
	for (const line of rendio.log().filter((line) => line.includes(mark) ||
	    line.startsWith("{")))
		assert.ok(line.startsWith("20") || JSON.parse(line));
	for (const name of ["access.log", "rendio/current"])
		assert.ok(!fs.readFileSync(rendio.file("log", name), "latin1")
		    .includes("\x1b"));
});

test("O12 the ledger is changed by nobody unseen", async () => {
	for (const text of ["UPDATE ledger_entries SET created_at_ms = 1",
		"DELETE FROM ledger_entries"])
		await assert.rejects(sql(rendio, text));
	// Who holds the file can take the lock off; the chain tells of it.
	const [{ text }] = await sql(rendio, "SELECT sql AS text FROM" +
	    " sqlite_schema WHERE name = 'ledger_entries_are_final'");
	const move = async (ms) => await sql(rendio, "DROP TRIGGER" +
	    " ledger_entries_are_final; UPDATE ledger_entries SET" +
	    ` created_at_ms = created_at_ms + ${ms} WHERE kind = 'grant' AND` +
	    ` user_id = ${id(ada.user_id)}; ${text}`);
	await move(1);
	const { code, stdout } = await rendio.cli("audit");
	assert.equal(code, 1, stdout);
	await move(-1);
	await assertAuditClean(rendio);
});

test("O13 O14 nothing is there that should not be", async () => {
	assertError(await get("/metrics", { localAddress: "127.0.0.9" }), 404,
	    "not_found");
	for (const path of [`${F}/sandbox-provider`, `${F}/admin`,
		"/debug", "/server-status", "/.env", "/rendio.db", "/keys/jwt"])
		assertError(await get(path), 404, "not_found");
	// No fault point or test switch was built in.
	for (const name of fs.readdirSync(path.join(build, "cgi-bin"))
	    .filter((name) => !name.includes(".")))
		assert.doesNotMatch(execFileSync("nm", ["--defined-only",
			path.join(build, "cgi-bin", name)],
		    { encoding: "utf8", maxBuffer: 1 << 26 }),
		    /\b(fault_|FAULT|test_only|inject_)/, name);
});

test("after all this the books are in order", async () => {
	await assertAuditClean(rendio);
});
