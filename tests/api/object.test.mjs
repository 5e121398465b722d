// SPDX-License-Identifier: MIT
// /storage/v1/object/…: a user's own objects by bearer.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { assertError, assertPersonal, assertStatements }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { endOf, orderJob } from "./support/jobs.mjs";
import { JPEG, upload } from "./support/pictures.mjs";

const PATH = "/storage/v1/object/";

let rendio, ada, bob, picture, video;

before(async () => {
	rendio = await start();
	[ada, bob] = await Promise.all(["ada", "bob"]
	    .map((name) => rendio.guest(name)));
	picture = `${ada.user_id}/input_${randomUUID()}.jpg`;
	assert.equal((await upload(rendio, ada, picture)).status, 200);
	const jobId = await orderJob(rendio, ada);
	assert.equal((await endOf(rendio, ada, jobId)).status, "completed");
	video = `${ada.user_id}/${jobId}.mp4`;
});
after(() => rendio.stop());

async function get(target, guest = ada, options = {}) {
	return await rendio.request(options.method ?? "GET", PATH + target,
	    { bearer: guest.access_token, ...options });
}

test("a user has his pictures and videos by his token", async () => {
	for (const [target, type] of [
		[`authenticated/thumbnails/${picture}`, "image/jpeg"],
		[`videos/${video}`, "video/mp4"],
		[`authenticated/videos/${video}`, "video/mp4"]]) {
		const res = await get(target);
		assert.equal(res.status, 200, res.text);
		assert.equal(res.headers["content-type"], type);
		await assertStatements(rendio, res, 2);
		const range = await get(target, ada,
		    { headers: { range: "bytes=0-0" } });
		assert.equal(range.status, 206);
		assert.equal((await get(target, ada, { headers: {
			range: `bytes=${res.bytes.length}-` } })).status, 416);
		assert.equal((await get(target, ada, { headers: {
			"if-none-match": res.headers.etag } })).status, 304);
		const head = await get(target, ada, { method: "HEAD" });
		assert.equal(head.headers["content-length"],
		    String(res.bytes.length));
	}
});

test("info says what is known of an object", async () => {
	const info = assertPersonal(await get(`info/thumbnails/${picture}`));
	assert.equal(info.name, picture);
	assert.equal(info.bucket_id, "thumbnails");
	assert.equal(info.content_type, "image/jpeg");
	assert.ok(info.size > 100 && info.size <= JPEG.length);
	assert.equal(assertPersonal(await get(
	    `info/authenticated/videos/${video}`)).content_type, "video/mp4");
});

test("nobody else has them", async () => {
	for (const door of ["", "authenticated/", "info/"]) {
		// As if it never was.
		for (const name of [video, `${ada.user_id}/never.mp4`])
			assertError(await get(`${door}videos/${name}`, bob), 404,
			    "NoSuchKey", "storage");
		assertError(await get(`${door}videos/${video}`, ada,
		    { bearer: undefined }), 403, "AccessDenied", "storage");
	}
	assertError(await get(`videos/${bob.user_id}/${video.slice(37)}`, bob),
	    404, "NoSuchKey", "storage");
});

test("what is not there is 404, what is no path 400", async () => {
	for (const [target, status, code] of [
		[`videos/${ada.user_id}/x.mp4`, 404, "NoSuchKey"],
		["nope/x.jpg", 404, "NoSuchBucket"],
		[`videos/${ada.user_id}/../x.mp4`, 400, "InvalidKey"],
		["videos//x", 400, "InvalidKey"],
	])
		assertError(await get(target), status, code, "storage");
});

test("only we write videos, and nobody to a bucket that is not there",
    async () => {
	for (const method of ["POST", "PUT", "DELETE"]) {
		assertError(await get(`videos/${video}`, ada, { method,
			body: JPEG }), 403, "AccessDenied", "storage");
		assertError(await get("nope/x.jpg", ada, { method, body: JPEG }),
		    404, "NoSuchBucket", "storage");
	}
	assertError(await get("videos", ada, { method: "DELETE",
		body: { prefixes: [video] } }), 403, "AccessDenied", "storage");
	assert.equal((await get(`videos/${video}`)).status, 200);
});
