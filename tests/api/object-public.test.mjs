// SPDX-License-Identifier: MIT
// /storage/v1/object/public/…: the URL that the app builds by itself.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { assertError, assertStatements } from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { endOf, orderJob } from "./support/jobs.mjs";
import { JPEG, telltaleJpeg, upload } from "./support/pictures.mjs";

const PATH = "/storage/v1/object/public/";

let rendio, ada, name;

before(async () => {
	rendio = await start();
	ada = await rendio.guest("ada");
	name = `${ada.user_id}/input_${randomUUID()}.jpg`;
	assert.equal((await upload(rendio, ada, name, telltaleJpeg())).status,
	    200);
});
after(() => rendio.stop());

/** Like AsyncImage: no key, no bearer. */
async function get(target, options = {}) {
	return await rendio.request(options.method ?? "GET", PATH + target,
	    { apikey: null, ...options });
}

test("who knows the name sees the picture", async () => {
	const res = await get(`thumbnails/${name}`);
	assert.equal(res.status, 200, res.text);
	assert.equal(res.headers["content-type"], "image/jpeg");
	assert.equal(Number(res.headers["content-length"]), res.bytes.length);
	assert.ok(res.headers.etag);
	assert.equal(res.headers["x-content-type-options"], "nosniff");
	await assertStatements(rendio, res, 1);
	assert.equal((await get(`thumbnails/${name}`, { method: "HEAD" }))
	    .headers["content-length"], String(res.bytes.length));
	const { etag } = res.headers;
	assert.equal((await get(`thumbnails/${name}`,
	    { headers: { "if-none-match": etag } })).status, 304);
});

test("ranges are answered", async () => {
	const { bytes } = await get(`thumbnails/${name}`);
	const res = await get(`thumbnails/${name}`,
	    { headers: { range: "bytes=2-9" } });
	assert.equal(res.status, 206);
	assert.deepEqual(res.bytes, bytes.subarray(2, 10));
	assert.equal((await get(`thumbnails/${name}`,
	    { headers: { range: `bytes=${bytes.length}-` } })).status, 416);
});

test("a download gets its name", async () => {
	const res = await get(`thumbnails/${name}?download=me.jpg`);
	assert.equal(res.headers["content-disposition"],
	    "attachment; filename=\"me.jpg\"");
});

test("videos and what shows a frame of them are not public", async () => {
	const jobId = await orderJob(rendio, ada);
	const job = await endOf(rendio, ada, jobId);
	assert.equal(job.status, "completed");
	assertError(await get(`videos/${ada.user_id}/${jobId}.mp4`), 404,
	    "NoSuchBucket", "storage");
	assertError(await get(`thumbnails/${ada.user_id}/${jobId}.jpg`), 404,
	    "NoSuchKey", "storage");
});

test("what is not there is 404, what is no path 400", async () => {
	for (const [target, status, code] of [
		[`thumbnails/${ada.user_id}/x.jpg`, 404, "NoSuchKey"],
		["nope/x.jpg", 404, "NoSuchBucket"],
		["thumbnails", 404, "NoSuchKey"],
		[`thumbnails/${ada.user_id}/../${name}`, 400, "InvalidKey"],
		["thumbnails/%2e%2e/rendio.db", 400, "InvalidKey"],
	])
		assertError(await get(target), status, code, "storage");
	assert.equal((await get(`thumbnails/${name}`, { method: "POST",
		body: JPEG })).status, 405);
});
