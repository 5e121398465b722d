// SPDX-License-Identifier: MIT
// POST /storage/v1/object/list/BUCKET; and the official client's storage,
// whole.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertError, assertPersonal, assertStatements, DATE, UUID }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { endOf, orderJob } from "./support/jobs.mjs";
import { JPEG, png, SECRET, telltaleJpeg, upload, WEBP }
    from "./support/pictures.mjs";

const PATH = "/storage/v1/object/list/";

let rendio, ada, bob;

before(async () => {
	rendio = await start();
	[ada, bob] = await Promise.all(["ada", "bob"]
	    .map((name) => rendio.guest(name)));
	for (const name of ["b.jpg", "a.jpg", "sub/x.jpg", "sub/y.jpg",
		"sub/deep/z.jpg", "c.png"])
		assert.equal((await upload(rendio, ada,
		    `${ada.user_id}/${name}`)).status, 200);
	assert.equal((await upload(rendio, bob,
	    `${bob.user_id}/his.jpg`)).status, 200);
});
after(() => rendio.stop());

async function list(body, bucket = "thumbnails", guest = ada) {
	return await rendio.request("POST", PATH + bucket,
	    { bearer: guest.access_token, body });
}

async function names(body, bucket) {
	return assertPersonal(await list(body, bucket))
	    .map((entry) => entry.name);
}

test("a folder's entries have their names and facts", async () => {
	const res = await list({ prefix: ada.user_id, limit: 100, offset: 0,
		sortBy: { column: "name", order: "asc" } });
	const entries = assertPersonal(res);
	assert.deepEqual(entries.map((entry) => entry.name),
	    ["a.jpg", "b.jpg", "c.png", "sub"]);
	assert.match(entries[0].id, UUID);
	assert.match(entries[0].created_at, DATE);
	assert.equal(entries[0].metadata.mimetype, "image/jpeg");
	assert.ok(entries[0].metadata.size > 100);
	assert.deepEqual(entries[3], { name: "sub", id: null, updated_at: null,
		created_at: null, last_accessed_at: null, metadata: null });
	await assertStatements(rendio, res, 2);
});

test("folders, pages, order and search", async () => {
	const prefix = ada.user_id;
	assert.deepEqual(await names({ prefix: "" }), [ada.user_id]);
	assert.deepEqual(await names({}), [ada.user_id]);
	assert.deepEqual(await names({ prefix: `${prefix}/sub` }),
	    ["deep", "x.jpg", "y.jpg"]);
	assert.deepEqual(await names({ prefix: `${prefix}/sub/` }),
	    ["deep", "x.jpg", "y.jpg"]);
	assert.deepEqual(await names({ prefix: `${prefix}/su` }), []);
	assert.deepEqual(await names({ prefix: prefix.toUpperCase(), limit: 1 }),
	    ["a.jpg"]);
	assert.deepEqual(await names({ prefix, limit: 2, offset: 1 }),
	    ["b.jpg", "c.png"]);
	assert.deepEqual(await names({ prefix, offset: 4 }), []);
	assert.deepEqual(await names({ prefix, search: "jpg",
		sortBy: { column: "name", order: "desc" } }), ["b.jpg", "a.jpg"]);
	assert.deepEqual(await names({ prefix,
		sortBy: { column: "created_at", order: "asc" } }),
	    ["sub", "b.jpg", "a.jpg", "c.png"]);
	assert.deepEqual(await names({ prefix: `${prefix}/su`,
		sortBy: { column: "created_at", order: "asc" } }), []);
});

test("of others nothing is seen", async () => {
	for (const prefix of [bob.user_id, `${bob.user_id}/`, "..",
		`${ada.user_id}/../${bob.user_id}`, "x", "%"])
		assert.deepEqual(await names({ prefix }), []);
	assertError(await rendio.request("POST", `${PATH}thumbnails`,
	    { body: { prefix: ada.user_id } }), 403, "AccessDenied", "storage");
});

test("a list that cannot be asked for is 400, a bucket that is not 404",
    async () => {
	for (const body of [{ limit: 0 }, { limit: 1001 }, { offset: -1 },
		{ prefix: 1 }, { sortBy: { column: "size" } },
		{ sortBy: { column: "name", order: "up" } }])
		assertError(await list({ prefix: ada.user_id, ...body }), 400,
		    "InvalidRequest", "storage");
	for (const bucket of ["nope", "thumbnails/x"])
		assertError(await list({ prefix: "" }, bucket), 404,
		    "NoSuchBucket", "storage");
});

test("the official client's storage", async () => {
	const dora = await rendio.guest("dora");
	const { storage } = await rendio.supabase(dora);
	const bucket = storage.from("thumbnails");
	const path = `${dora.user_id}/input.jpg`;
	const good = ({ data, error }) => {
		assert.equal(error, null);
		return data;
	};
	const bytes = async (blob) => Buffer.from(await blob.arrayBuffer());

	// As bytes, and as a form.
	const { id, fullPath } = good(await bucket.upload(path,
	    telltaleJpeg(), { contentType: "image/jpeg" }));
	assert.match(id, UUID);
	assert.equal(fullPath, `thumbnails/${path}`);
	const again = await bucket.upload(path, JPEG);
	assert.equal(again.error.statusCode, "409");
	good(await bucket.upload(path, new Blob([png()], { type: "image/png" }),
	    { upsert: true, cacheControl: "60" }));
	good(await bucket.update(path, new Blob([WEBP])));
	const picture = await bytes(good(await bucket.download(path)));
	assert.deepEqual(picture, WEBP);

	const url = bucket.getPublicUrl(path).data.publicUrl;
	assert.deepEqual((await rendio.request("GET",
	    url.slice(rendio.url.length), { apikey: null })).bytes, WEBP);
	const { signedUrl } = good(await bucket.createSignedUrl(path, 60));
	assert.deepEqual((await rendio.request("GET",
	    signedUrl.slice(rendio.url.length), { apikey: null })).bytes, WEBP);
	const [first, second] = good(await bucket.createSignedUrls([path,
		`${dora.user_id}/nope.jpg`], 60));
	assert.equal(first.error, null);
	assert.equal((await rendio.request("GET",
	    first.signedUrl.slice(rendio.url.length), { apikey: null })).status,
	    200);
	assert.ok(second.error);
	assert.equal(second.signedUrl, null);

	assert.equal(good(await bucket.exists(path)), true);
	assert.equal((await bucket.exists(`${dora.user_id}/x`)).data, false);
	assert.equal(good(await bucket.info(path)).contentType, "image/webp");
	assert.deepEqual(good(await bucket.list(dora.user_id))
	    .map((entry) => entry.name), ["input.jpg"]);
	assert.deepEqual(good(await bucket.remove([path]))
	    .map((entry) => entry.name), [path]);
	assert.deepEqual(good(await bucket.list(dora.user_id)), []);

	const foreign = await bucket.upload(`${ada.user_id}/x.jpg`, JPEG);
	assert.equal(foreign.error.statusCode, "403");
	const wrong = await bucket.upload(path, Buffer.from("hello"));
	assert.equal(wrong.error.statusCode, "415");
	const none = await storage.from("nope").upload(path, JPEG);
	assert.equal(none.error.statusCode, "404");
	assert.ok(!JSON.stringify([foreign, wrong, none]).includes(SECRET));

	assert.equal((await rendio.cli("user", "grant", dora.user_id, "10",
	    "--reason", "tests")).code, 0);
	const jobId = await orderJob(rendio, dora);
	assert.equal((await endOf(rendio, dora, jobId)).status, "completed");
	const videos = storage.from("videos");
	const video = `${dora.user_id}/${jobId}.mp4`;
	assert.deepEqual(good(await videos.list(dora.user_id))
	    .map((entry) => entry.name), [`${jobId}.mp4`]);
	assert.equal((await bytes(good(await videos.download(video))))
	    .toString("latin1", 4, 8), "ftyp");
	assert.equal((await videos.remove([video])).error.statusCode, "403");
});
