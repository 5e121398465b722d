// SPDX-License-Identifier: MIT
//
// What is tried with files (F).  docs/abuse.md says where the rest of these
// rows is tested.

import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { id, sql } from "../support/database.mjs";
import { assertAuditClean, assertError } from "../support/expect.mjs";
import { start, until } from "../support/instance.mjs";
import { endOf, orderJob, remove } from "../support/jobs.mjs";
import { JPEG, png, upload } from "../support/pictures.mjs";

const S = "/storage/v1/object";

let rendio, ada, bob, video;

before(async () => {
	rendio = await start();
	[ada, bob] = [await rendio.guest("ada"), await rendio.guest("bob")];
	const end = await endOf(rendio, ada, await orderJob(rendio, ada));
	const url = new URL(end.video_url);
	video = { job_id: end.job_id, path: url.pathname,
		token: url.searchParams.get("token") };
});
after(() => rendio.stop());

const get = (target, options) => rendio.request("GET", target,
    { apikey: null, ...options });

const named = (guest = ada) => `${guest.user_id}/${randomUUID()}.jpg`;

/** A link that expires then, by the key of this installation. */
function signed(name, expires_at_ms, bucket = "videos") {
	const time = Buffer.alloc(9);
	time[0] = 1;
	time.writeBigInt64BE(BigInt.asIntN(64, BigInt(expires_at_ms)), 1);
	const mac = createHmac("sha256", Buffer.from(fs.readFileSync(
	    rendio.file("keys", "storage"), "utf8").trim(), "hex"));
	for (const part of [time, Buffer.from(bucket), Buffer.from(name)]) {
		const length = Buffer.alloc(8);
		length.writeBigUInt64BE(BigInt(part.length));
		mac.update(length).update(part);
	}
	return Buffer.concat([time, mac.digest()]).toString("base64url");
}

const nameOf = (path) => path.slice(`${S}/sign/videos/`.length);

test("F01 F02 F04 whose folder it is", async () => {
	const name = named();
	assert.equal((await upload(rendio, ada, name)).status, 200);
	for (const [guest, options] of [[{}, {}], [bob, {}],
		[bob, { headers: { "x-upsert": "true" } }],
		[bob, { method: "PUT" }]])
		assertError(await upload(rendio, guest, name, JPEG, options), 403,
		    "AccessDenied", "storage");
	// Nobody writes results, not even over one's own.
	for (const method of ["POST", "PUT", "DELETE"])
		assert.ok([403, 404, 405].includes((await rendio.request(method,
		    `${S}/videos/${nameOf(video.path)}`, {
			bearer: ada.access_token, body: JPEG, headers:
			    { "x-upsert": "true" } })).status), method);
	assert.equal((await get(`${video.path}?token=${video.token}`)).status,
	    200);
});

test("F03 names that are one and the same to somebody", async () => {
	for (const file of ["CON", "a.jpg ", ".htaccess", "..", "...", "~",
		"a\u0301.jpg", "\u00e1.jpg", "a:b", "a|b", "-rf", "$HOME"]) {
		const res = await upload(rendio, ada,
		    `${ada.user_id}/${encodeURIComponent(file)}`);
		assert.ok([200, 400].includes(res.status), `${file} ${res.text}`);
		if (res.status === 400)
			assertError(res, 400, "InvalidKey", "storage");
	}
	// Whatever it is called, the file is called by an id of ours.
	for (const name of fs.readdirSync(rendio.file("media", "thumbnails"),
	    { recursive: true }))
		assert.match(String(name), /^[0-9a-f-]{2}(\/[0-9a-f-]{36})?$/);
});

test("F06 F07 a page that looks like a picture is served as one", async () => {
	const script = "<html><script>alert(1)</script></html>";
	for (const bytes of [Buffer.concat([JPEG, Buffer.from(script)]),
		png(16, 24, [])]) {
		const name = named();
		const res = await upload(rendio, ada, name, bytes);
		if (res.status !== 200) {
			assertError(res, 415, "InvalidMimeType", "storage");
			continue;
		}
		const back = await get(`${S}/public/thumbnails/${name}`);
		assert.match(back.headers["content-type"], /^image\//);
		assert.equal(back.headers["x-content-type-options"], "nosniff");
		assert.match(back.headers["content-security-policy"],
		    /default-src 'none'/);
		assert.ok(!back.text.includes("<script>"));
	}
});

test("F08 pixels that nobody should decode", async () => {
	for (const [width, height] of [[65_535, 65_535], [30_000, 30_000],
		[2 ** 31 - 1, 1], [1, 2 ** 31 - 1]]) {
		const res = await upload(rendio, ada, named(),
		    png(width, height));
		assert.ok([413, 415].includes(res.status), res.text);
	}
});

test("F11 a link opens what it names, for reading", async () => {
	const { path, token } = video;
	for (const method of ["PUT", "POST", "DELETE", "PATCH"]) {
		const res = await rendio.request(method, `${path}?token=${token}`);
		assert.ok(res.status >= 400 && res.status < 500, method);
	}
	// A list, a removal and an upload want their user's own token.
	assert.equal((await rendio.request("DELETE", `${S}/videos`, { body:
		{ prefixes: [nameOf(path)] }, bearer: token })).status, 403);
	const other = path.replace(ada.user_id, bob.user_id);
	assertError(await get(`${other}?token=${token}`), 400,
	    "InvalidSignature", "storage");
	assert.equal((await get(`${path}?token=${token}`)).status, 200);
});

test("F12 F13 times and queries that mean something else", async () => {
	const name = nameOf(video.path);
	for (const at of [0, -1, 1, Date.now() - 1000, -(2n ** 63n)])
		assertError(await get(`${video.path}?token=${signed(name, at)}`),
		    400, "ExpiredToken", "storage");
	const good = signed(name, Date.now() + 60_000);
	for (const query of [`token=${good}&token=${good}`,
		`token=${good}&token=x`, `x=1&token=x&token=${good}`])
		assert.equal((await get(`${video.path}?${query}`)).status, 400);
	for (const query of [`x=1&token=${good}`, `token=${good}&x=1`,
		`token=${good}&expires=1`])
		assert.equal((await get(`${video.path}?${query}`)).status, 200,
		    query);
	for (const expiresIn of [0, -1, 604_801, 1e12, "60", 1.5, null, [60]])
		assert.equal((await rendio.request("POST", video.path, {
			bearer: ada.access_token, body: { expiresIn } })).status,
		    400, String(expiresIn));
});

test("F17 ranges beyond measure", async () => {
	const target = `${video.path}?token=${video.token}`;
	const { bytes } = await get(target);
	for (const range of [`bytes=${Array(1000).fill("0-").join(",")}`,
		`bytes=${Array.from({ length: 500 }, (_, i) => `${i}-${i}`)}`,
		"bytes=0-18446744073709551616", "bytes=18446744073709551616-",
		"bytes=-18446744073709551616", "bytes=5-2", "bytes=-0", "bytes=",
		"bytes=a-b", "lines=1-2", "bytes=0-0,0-0,0-0",
		`bytes=${bytes.length}-`]) {
		const res = await get(target, { headers: { range } });
		assert.ok([200, 206, 416].includes(res.status),
		    `${range.slice(0, 40)} ${res.status}`);
		assert.ok(res.bytes.length <= bytes.length + 4096);
	}
	assert.equal((await get(target)).status, 200);
});

test("F18 a list shows one's own folder", async () => {
	const canary = `${bob.user_id}/canary-${randomUUID()}.jpg`;
	assert.equal((await upload(rendio, bob, canary)).status, 200);
	for (const prefix of ["", "/", "%", "_", "..", "../", bob.user_id,
		`${bob.user_id}/`, `${ada.user_id}/../${bob.user_id}`,
		ada.user_id.slice(0, 8), "*", "' OR '1'='1"]) {
		const res = await rendio.request("POST", `${S}/list/thumbnails`, {
			bearer: ada.access_token, body: { prefix, limit: 100,
			    search: "canary" } });
		assert.ok(res.status < 500, res.text);
		assert.ok(!res.text.includes("canary"), prefix);
		assert.ok(!res.text.includes(bob.user_id) ||
		    prefix.includes(bob.user_id) || res.status >= 400, prefix);
	}
});

test("F19 a link on the disk leads nowhere", async () => {
	const name = named();
	assert.equal((await upload(rendio, ada, name)).status, 200);
	const [row] = await sql(rendio, "SELECT lower(hex(id)) AS h FROM objects" +
	    ` WHERE name = '${name}'`);
	const file = fs.readdirSync(rendio.file("media", "thumbnails"),
	    { recursive: true }).map(String)
	    .find((path) => path.replaceAll("-", "").endsWith(row.h));
	const path = rendio.file("media", "thumbnails", file);
	fs.renameSync(path, `${path}.away`);
	fs.symlinkSync(rendio.file("anon-key"), path);
	try {
		const res = await get(`${S}/public/thumbnails/${name}`);
		assert.ok(res.status === 403 || res.status === 404, res.text);
		assert.ok(!res.text.includes(rendio.anonKey));
	} finally {
		fs.unlinkSync(path);
		fs.renameSync(`${path}.away`, path);
	}
	assert.equal((await get(`${S}/public/thumbnails/${name}`)).status, 200);
});

test("F05 a quota in bytes and in files is in object-upload.test.mjs; nothing " +
    "is left of what was refused", async () => {
	const before = fs.readdirSync(rendio.file("media", "thumbnails"),
	    { recursive: true }).length;
	for (const bytes of ["x".repeat(11 << 20), "hello", JPEG.subarray(0, 90)])
		assert.ok((await upload(rendio, ada, named(), bytes)).status >= 400);
	assert.ok(await until(() => fs.readdirSync(rendio.file("media",
	    "thumbnails"), { recursive: true }).length <= before, 20_000));
	assert.ok(await until(async () => (await sql(rendio, "SELECT 1 FROM" +
	    " objects WHERE state <> 'stored' AND user_id = " +
	    id(ada.user_id))).length === 0, 20_000));
});

test("F25 a link of what was deleted is dead at once", async () => {
	assert.equal((await remove(rendio, ada, video.job_id)).status, 200);
	assert.equal((await get(`${video.path}?token=${video.token}`)).status,
	    404);
	const eve = await rendio.guest("eve");
	const name = named(eve);
	assert.equal((await upload(rendio, eve, name)).status, 200);
	await rendio.request("POST", "/functions/v1/delete-account",
	    { bearer: eve.access_token, body: {} });
	assert.equal((await get(`${S}/public/thumbnails/${name}`)).status, 404);
	assert.ok(await until(async () => (await rendio.cli("audit", "--files"))
	    .code === 0, 20_000));
});

test("after all this the books are in order", async () => {
	await assertAuditClean(rendio);
});
