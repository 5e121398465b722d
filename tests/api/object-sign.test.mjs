// SPDX-License-Identifier: MIT
// /storage/v1/object/sign/…: the way of a finished video to its owner.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { assertBudget, stopClean } from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";

const SIGN = "/storage/v1/object/sign";
const HOUR_MS = 3600_000;

let rendio, ada, jobs;

before(async () => {
	rendio = await start();
	ada = await rendio.guest("object-ada");
	jobs = [await finishedJob("A calm sea"), await finishedJob("A storm")];
});
after(() => stopClean(rendio));

/** Orders a video and waits until it can be fetched. */
async function finishedJob(prompt) {
	const bearer = ada.access_token;
	const order = await rendio.request("POST", "/functions/v1/generate-video", {
		bearer,
		headers: { "idempotency-key": randomUUID() },
		body: { prompt, settings: { duration: 4 } },
	});
	assert.equal(order.status, 200, order.text);
	const { job_id } = order.json();
	const job = await until(async () => {
		const res = await rendio.request("GET",
		    `/functions/v1/get-video-status?job_id=${job_id}`, { bearer });
		return res.json().status === "completed" && res.json();
	}, 60_000);
	assert.ok(job, "the video was not finished");
	const url = new URL(job.video_url);
	return {
		job_id,
		url,
		path: url.pathname,
		name: url.pathname.slice(`${SIGN}/videos/`.length),
		token: url.searchParams.get("token"),
	};
}

/** Like AVPlayer: no key, no bearer. */
async function fetchObject(target, { method = "GET", headers } = {}) {
	return await rendio.request(method, target, { headers, apikey: null });
}

function link(job, query = "") {
	return `${job.path}?token=${job.token}${query}`;
}

/** What links.c signs, with the key of this installation. */
function sign(bucket, name, expiresAt_ms) {
	const key = Buffer.from(fs.readFileSync(rendio.file("keys", "storage"),
	    "utf8").trim(), "hex");
	const head = Buffer.alloc(9);
	head.writeUInt8(1);
	head.writeBigUInt64BE(BigInt(expiresAt_ms), 1);
	const mac = createHmac("sha256", key);
	for (const field of [head, Buffer.from(bucket), Buffer.from(name)]) {
		const length = Buffer.alloc(8);
		length.writeBigUInt64BE(BigInt(field.length));
		mac.update(length).update(field);
	}
	return Buffer.concat([head, mac.digest()]).toString("base64url");
}

function assertRefused(res, status, code) {
	assert.equal(res.status, status, res.text);
	assert.equal(res.headers["content-type"], "application/json");
	assert.equal(res.headers["cache-control"], "no-store");
	assert.equal(res.headers["content-disposition"], undefined);
	const body = res.json();
	assert.deepEqual(Object.keys(body),
	    ["statusCode", "error", "message", "code"]);
	assert.equal(body.statusCode, String(status));
	assert.equal(body.code, code);
}

// --- the bytes ----------------------------------------------------------------

test("the link gives the whole video", async () => {
	const res = await fetchObject(link(jobs[0]));
	assert.equal(res.status, 200, res.text);
	assert.equal(res.headers["content-type"], "video/mp4");
	assert.equal(Number(res.headers["content-length"]), res.bytes.length);
	assert.equal(res.headers["accept-ranges"], "bytes");
	assert.equal(res.headers["cache-control"], "private, max-age=3600");
	assert.equal(res.headers["x-content-type-options"], "nosniff");
	assert.equal(res.headers["content-disposition"], undefined);
	assert.equal(res.headers["x-accel-redirect"], undefined);
	assert.ok(res.headers.etag);
	assert.ok(res.headers["x-request-id"]);
	const names = res.rawHeaders.filter((_, i) => i % 2 === 0)
	    .map((name) => name.toLowerCase());
	assert.deepEqual(names, [...new Set(names)]);
});

test("what arrives is a video that plays", async () => {
	const res = await fetchObject(link(jobs[0]));
	const probe = spawnSync("ffprobe", ["-v", "error", "-show_entries",
		"stream=codec_type", "-of", "csv=p=0", "-"], { input: res.bytes });
	assert.ifError(probe.error);
	assert.equal(probe.status, 0, String(probe.stderr));
	assert.match(String(probe.stdout), /video/);
});

test("the link is on our public address and lives one hour to three", () => {
	const expiresAt_ms = Number(Buffer.from(jobs[0].token, "base64url")
	    .readBigUInt64BE(1));
	assert.equal(jobs[0].url.origin, rendio.url);
	assert.ok(expiresAt_ms > Date.now() + HOUR_MS);
	assert.ok(expiresAt_ms <= Date.now() + 3 * HOUR_MS);
});

test("a range is answered with that range", async () => {
	const { bytes } = await fetchObject(link(jobs[0]));
	const n = bytes.length;
	for (const [range, from, to] of [
		["bytes=0-0", 0, 0],
		["bytes=0-1", 0, 1],	// how AVPlayer begins
		["bytes=10-99", 10, 99],
		[`bytes=${n - 1}-`, n - 1, n - 1],
		["bytes=-5", n - 5, n - 1],
		[`bytes=0-${n * 2}`, 0, n - 1],
	]) {
		const res = await fetchObject(link(jobs[0]), { headers: { range } });
		assert.equal(res.status, 206, range);
		assert.equal(res.headers["content-range"],
		    `bytes ${from}-${to}/${n}`);
		assert.equal(res.headers["content-type"], "video/mp4");
		assert.equal(Number(res.headers["content-length"]),
		    to - from + 1);
		assert.deepEqual(res.bytes, bytes.subarray(from, to + 1));
	}
});

test("a range outside of the file is 416", async () => {
	const { bytes } = await fetchObject(link(jobs[0]));
	const res = await fetchObject(link(jobs[0]),
	    { headers: { range: `bytes=${bytes.length}-` } });
	assert.equal(res.status, 416);
	assert.equal(res.json().code, "InvalidRange");
	assert.equal(res.json().statusCode, "416");
	assert.equal(res.headers["content-range"], `bytes */${bytes.length}`);
});

test("who has it already is told so", async () => {
	const { etag } = (await fetchObject(link(jobs[0]))).headers;
	for (const tag of [etag, `W/${etag.replace(/^W\//, "")}`, "*",
		`"x", ${etag}`]) {
		const res = await fetchObject(link(jobs[0]),
		    { headers: { "if-none-match": tag } });
		assert.equal(res.status, 304, tag);
		assert.equal(res.bytes.length, 0);
	}
	const other = await fetchObject(link(jobs[0]),
	    { headers: { "if-none-match": "\"x\"" } });
	assert.equal(other.status, 200);
});

test("HEAD says the same without the bytes", async () => {
	const got = await fetchObject(link(jobs[0]));
	const head = await fetchObject(link(jobs[0]), { method: "HEAD" });
	assert.equal(head.status, 200);
	assert.equal(head.bytes.length, 0);
	for (const name of ["content-length", "content-type", "etag",
		"accept-ranges"])
		assert.equal(head.headers[name], got.headers[name], name);
});

test("a key or bearer, even a bad one, changes nothing", async () => {
	const res = await rendio.request("GET", link(jobs[0]),
	    { apikey: "wrong", bearer: "x" });
	assert.equal(res.status, 200);
});

test("a download costs one statement", async () => {
	const res = await fetchObject(link(jobs[0]));
	const [line] = await rendio.logOf(res.headers["x-request-id"]);
	assert.equal(JSON.parse(line).sql, 1);
});

test("the token stands in no log", async () => {
	await fetchObject(link(jobs[0]));
	await until(() => rendio.accessLog()
	    .some((line) => line.path === jobs[0].path));
	assert.ok(!JSON.stringify(rendio.accessLog()).includes(jobs[0].token));
	assert.ok(!rendio.log().join("\n").includes(jobs[0].token));
});

// --- the token ----------------------------------------------------------------

test("no character of the token can be changed", async () => {
	const { path, token } = jobs[0];
	for (let i = 0; i < token.length; i++) {
		for (const c of ["A", "_", "b"].filter((c) => c !== token[i])) {
			const changed = token.slice(0, i) + c + token.slice(i + 1);
			const res = await fetchObject(`${path}?token=${changed}`);
			assert.equal(res.status, 400, changed);
			assert.match(res.json().code, /^Invalid(Signature|JWT)$/);
		}
	}
});

test("what is not a token is InvalidJWT", async () => {
	const { path, token } = jobs[0];
	for (const query of ["", "?token", "?token=", "?Token=x", "?token=a.b.c",
		"?token=%3D", `?token=${token}%3D`, `?token=${token}%20`,
		`?token=+${token}`, `?token=${"A".repeat(4000)}`])
		assertRefused(await fetchObject(path + query), 400, "InvalidJWT");
});

test("a longer or shorter token is refused", async () => {
	const { path, token } = jobs[0];
	for (const other of [token.slice(0, -1), token.slice(1), `${token}A`,
		`A${token}`, token + token]) {
		const res = await fetchObject(`${path}?token=${other}`);
		assert.equal(res.status, 400);
	}
});

test("a token opens its own object only", async () => {
	const [one, two] = jobs;
	assertRefused(await fetchObject(`${one.path}?token=${two.token}`), 400,
	    "InvalidSignature");
	assertRefused(await fetchObject(
	    `${SIGN}/thumbnails/${one.name}?token=${one.token}`), 400,
	    "InvalidSignature");
	assertRefused(await fetchObject(`${one.path}x?token=${one.token}`), 400,
	    "InvalidSignature");
	assertRefused(await fetchObject(
	    `${one.path.toUpperCase().replace(SIGN.toUpperCase(), SIGN)
		.replace("VIDEOS", "videos")}?token=${one.token}`), 400,
	    "InvalidSignature");
});

test("a token given twice is refused", async () => {
	const { path, token } = jobs[0];
	const res = await fetchObject(`${path}?token=${token}&token=${token}`);
	assert.equal(res.status, 400);
});

test("a token ends at its time", async () => {
	const { path, name } = jobs[0];
	const expired = sign("videos", name, Date.now() - 1);
	assertRefused(await fetchObject(`${path}?token=${expired}`), 400,
	    "ExpiredToken");
	const valid = sign("videos", name, Date.now() + 60_000);
	assert.equal((await fetchObject(`${path}?token=${valid}`)).status, 200);
});

test("an object that is not there is told only to who may know", async () => {
	const name = `${ada.user_id}/${randomUUID()}.mp4`;
	const token = sign("videos", name, Date.now() + 60_000);
	assertRefused(await fetchObject(`${SIGN}/videos/${name}?token=${token}`),
	    404, "NoSuchKey");
	assertRefused(await fetchObject(`${SIGN}/videos/${name}?token=` +
	    jobs[0].token), 400, "InvalidSignature");
});

// --- the path -----------------------------------------------------------------

test("an unknown bucket is NoSuchBucket", async () => {
	for (const bucket of ["nope", "Videos", "keys", "videos%20"])
		assertRefused(await fetchObject(
		    `${SIGN}/${bucket}/${jobs[0].name}?token=${jobs[0].token}`),
		    404, "NoSuchBucket");
	assert.equal((await fetchObject(SIGN)).status, 404);
});

test("a token opens no other door", async () => {
	for (const door of ["public/videos", "authenticated/videos",
		"info/videos", "videos", "Sign/videos"]) {
		const res = await fetchObject(`/storage/v1/object/${door}/` +
		    `${jobs[0].name}?token=${jobs[0].token}`);
		assert.ok([401, 404].includes(res.status), `${door} ${res.status}`);
	}
});

test("an escaped letter is that letter", async () => {
	const escaped = jobs[0].path.replace("/videos/", "/v%69deos/")
	    .replace(".mp4", "%2Emp%34");
	const res = await fetchObject(`${escaped}?token=${jobs[0].token}`);
	assert.equal(res.status, 200, res.text);
});

test("a path is decoded once", async () => {
	const twice = jobs[0].path.replace("/videos/", "/v%2569deos/");
	assertRefused(await fetchObject(`${twice}?token=${jobs[0].token}`), 404,
	    "NoSuchBucket");
});

test("a path with tricks is InvalidKey", async () => {
	const { name, token } = jobs[0];
	const [user, file] = name.split("/");
	for (const path of [
		`${SIGN}/videos/${user}/../${user}/${file}`,
		`${SIGN}/videos/./${user}/${file}`,
		`${SIGN}/videos/${user}//${file}`,
		`${SIGN}//videos/${user}/${file}`,
		`${SIGN}/videos/${user}/${file}/`,
		`${SIGN}/videos/${user}/%2e%2e/${user}/${file}`,
		`${SIGN}/videos/${user}/%2E/${file}`,
		`${SIGN}/videos/${user}%2f%2f${file}`,
		`${SIGN}/videos/x%2f..%2f${user}/${file}`,
		`${SIGN}/videos/${user}%5c${file}`,
		`${SIGN}/videos/${user}\\${file}`,
		`${SIGN}/videos/${user}/${file}%0d%0aX-Accel-Redirect:%20/x`,
		`${SIGN}/videos/${user}/${file}%7f`,
		`${SIGN}/videos/${user}/${file}%ff`,
		`${SIGN}/videos/`,
	])
		assertRefused(await fetchObject(`${path}?token=${token}`), 400,
		    "InvalidKey");
});

test("no path leads out of the storage", async () => {
	for (const path of [
		`${SIGN}/videos/../../../../rendio.db`,
		`${SIGN}/videos/..%2f..%2f..%2frendio.db`,
		`${SIGN}/videos/%2e%2e/%2e%2e/keys/storage`,
		`${SIGN}/..%2f..%2f..%2f..%2f_media/videos`,
		`${SIGN}/videos/a%00.mp4`,
	]) {
		const res = await fetchObject(`${path}?token=${jobs[0].token}`);
		assert.ok([400, 401, 404].includes(res.status),
		    `${path} ${res.status}`);
	}
});

test("the router's own door is closed from outside", async () => {
	const files = fs.readdirSync(rendio.file("media", "videos"),
	    { recursive: true }).filter((name) => name.length > 36);
	assert.ok(files.length >= 2);
	for (const path of ["/_media/", `/_media/videos/${files[0]}`,
		`/%5fmedia/videos/${files[0]}`, `/x/../_media/videos/${files[0]}`,
		`//_media/videos/${files[0]}`,
		`${SIGN}/../../../../_media/videos/${files[0]}`]) {
		const res = await fetchObject(path);
		assert.ok([400, 404].includes(res.status), `${path} ${res.status}`);
		assert.notEqual(res.headers["content-type"], "video/mp4");
	}
});

// --- the name of a download ---------------------------------------------------

test("a download gets the name that was asked for", async () => {
	for (const [query, wanted] of [
		["&download", "attachment"],
		["&download=", "attachment"],
		["&download=clip.mp4", "attachment; filename=\"clip.mp4\""],
		["&download=my+clip.mp4",
			"attachment; filename*=UTF-8''my%20clip.mp4"],
		["&download=%C3%BC.mp4",
			"attachment; filename*=UTF-8''%C3%BC.mp4"],
		[`&download=${"a".repeat(8000 - 700)}`, "attachment"],
	]) {
		const res = await fetchObject(link(jobs[0], query));
		assert.equal(res.status, 200, res.text);
		assert.equal(res.headers["content-disposition"], wanted);
		assert.equal(res.headers["content-type"], "video/mp4");
	}
});

test("no name breaks out of its header", async () => {
	for (const name of ["a\"; filename=\"b", "a;b=c", "a\\\"b", "../../etc",
		"%", "a'b''c", "*", "\u202egpj.exe"]) {
		const res = await fetchObject(link(jobs[0],
		    `&download=${encodeURIComponent(name)}`));
		assert.equal(res.status, 200, res.text);
		assert.match(res.headers["content-disposition"],
		    /^attachment; filename\*=UTF-8''[A-Za-z0-9._~%-]+$/);
		assert.equal(decodeURIComponent(res.headers["content-disposition"]
		    .split("''")[1]), name);
	}
	for (const name of ["a%0d%0aX-Evil:%201", "a%00b", "a%0ab", "%ff"]) {
		const res = await fetchObject(link(jobs[0], `&download=${name}`));
		assert.equal(res.status, 400);
		assert.equal(res.headers["x-evil"], undefined);
	}
});

// --- signing ------------------------------------------------------------------

async function post(target, body, guest = ada) {
	return await rendio.request("POST", `${SIGN}/${target}`,
	    { bearer: guest?.access_token, body });
}

test("a user gets a link to his own object, for as long as he wants",
    async () => {
	const res = await post(`videos/${jobs[0].name}`, { expiresIn: 60 });
	assert.equal(res.status, 200, res.text);
	const { signedURL } = res.json();
	assert.match(signedURL, new RegExp(
	    `^/object/sign/videos/${jobs[0].name}\\?token=[\\w-]+$`));
	const token = signedURL.split("token=")[1];
	const left_ms = Number(Buffer.from(token, "base64url")
	    .readBigUInt64BE(1)) - Date.now();
	assert.ok(left_ms > 50_000 && left_ms <= 60_000, String(left_ms));
	assert.equal((await fetchObject(`/storage/v1${signedURL}`)).status, 200);
});

test("a life is 1 to 604800 seconds", async () => {
	for (const [expiresIn, status] of [[1, 200], [604800, 200], [0, 400],
		[604801, 400], ["60", 400], [undefined, 400], [1.5, 400]]) {
		const res = await post(`videos/${jobs[0].name}`, { expiresIn });
		assert.equal(res.status, status, String(expiresIn));
		if (status === 400)
			assertRefused(res, 400, "InvalidRequest");
	}
	assertRefused(await post("videos", { expiresIn: 60,
		paths: Array(101).fill("x") }), 400, "InvalidRequest");
	assertRefused(await post("videos", { expiresIn: 60 }), 400,
	    "InvalidRequest");
});

test("nobody gets a link to what is not his", async () => {
	const bob = await rendio.guest("object-bob");
	assertRefused(await post(`videos/${jobs[0].name}`, { expiresIn: 60 }, bob),
	    404, "NoSuchKey");
	assertRefused(await post(`videos/${jobs[0].name}`, { expiresIn: 60 },
	    null), 403, "AccessDenied");
	const res = await post("videos", { expiresIn: 60,
		paths: [jobs[0].name, "../x", ""] }, bob);
	assert.deepEqual(res.json().map((entry) => [entry.path, entry.signedURL]),
	    [[jobs[0].name, ""], ["../x", ""], ["", ""]]);
	assert.ok(res.json().every((entry) => entry.error !== null));
});

// --- the end ------------------------------------------------------------------

test("the link of a deleted video is dead at once", async () => {
	const res = await rendio.request("POST", "/functions/v1/delete-video-job", {
		bearer: ada.access_token,
		body: { job_id: jobs[1].job_id },
	});
	assert.equal(res.status, 200, res.text);
	assertRefused(await fetchObject(link(jobs[1])), 404, "NoSuchKey");
});

test("no request costs more statements than its budget", () => {
	assertBudget(rendio, "object-sign", 101);
});
