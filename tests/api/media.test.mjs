// SPDX-License-Identifier: MIT
// Pictures on their way to the provider, and how long files stay and how many
// fit.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { Fal } from "../fakes/fal.mjs";
import { id, sql } from "./support/database.mjs";
import { assertAuditClean, assertError, stopClean }
    from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { creditsOf, endOf, order, orderJob, statusOf }
    from "./support/jobs.mjs";
import { JPEG, SECRET, telltaleJpeg, upload, WEBP }
    from "./support/pictures.mjs";

const DAY_MS = 24 * 3600_000;

let fal, rendio, ada, bob;

before(async () => {
	fal = await Fal.start();
	rendio = await start({ env: fal.env });
	[ada, bob] = await Promise.all(["ada", "bob"]
	    .map((name) => rendio.guest(name)));
	for (const guest of [ada, bob])
		assert.equal((await rendio.cli("user", "grant", guest.user_id,
		    "500", "--reason", "tests")).code, 0);
});
after(() => stopClean(rendio, fal));

async function picture(guest, bytes = JPEG) {
	const name = `${guest.user_id}/input_${randomUUID()}.jpg`;
	assert.equal((await upload(rendio, guest, name, bytes)).status, 200);
	return name;
}

const publicUrl = (name) =>
    `${rendio.url}/storage/v1/object/public/thumbnails/${name}`;

/** Like the provider: no key, no bearer. */
async function get(url) {
	assert.ok(url.startsWith(rendio.url), url);
	return await rendio.request("GET", url.slice(rendio.url.length),
	    { apikey: null });
}

function requestOf(tag) {
	return [...fal.requests.values()]
	    .find((request) => request.script.tag === tag);
}

test("the provider gets a link of ours to a clean picture, for long enough",
    async () => {
	const name = await picture(ada, telltaleJpeg());
	const jobId = await orderJob(rendio, ada, { image_url: publicUrl(name),
		prompt: fal.script({ hook: "off", tag: "long", run_ms: 1500 }) });
	const { image_url } = (await until(() => requestOf("long"))).input;

	assert.ok(image_url.startsWith(
	    `${rendio.url}/storage/v1/object/sign/thumbnails/`), image_url);
	assert.ok(!image_url.includes(ada.user_id));
	const token = new URL(image_url).searchParams.get("token");
	// It may start after 15 minutes and run for longer.
	assert.ok(Number(Buffer.from(token, "base64url").readBigUInt64BE(1)) >
	    Date.now() + 60 * 60_000);
	const res = await get(image_url);
	assert.equal(res.status, 200, res.text);
	assert.ok(!res.bytes.includes(SECRET));

	// Its user may remove or replace it: the job goes on with the same.
	assert.equal((await upload(rendio, ada, name, WEBP, { method: "PUT" }))
	    .status, 200);
	assert.deepEqual((await get(publicUrl(name))).bytes, WEBP);
	assert.deepEqual((await get(image_url)).bytes, res.bytes);
	assert.equal((await endOf(rendio, ada, jobId)).status, "completed");
	assert.ok(await until(async () =>
	    (await get(image_url)).status === 404));
});

test("each form of an own picture is taken, and nobody else's", async () => {
	const name = await picture(ada);
	const sign = (await rendio.request("POST",
	    `/storage/v1/object/sign/thumbnails/${name}`, {
		bearer: ada.access_token, body: { expiresIn: 60 } })).json();
	const body = (image_url) => ({ image_url,
		prompt: fal.script({ hook: "off" }) });

	for (const url of [publicUrl(name), publicUrl(name).replace("/public", ""),
		publicUrl(name).replace("/public/", "/authenticated/"),
		`${rendio.url}/storage/v1${sign.signedURL}`, `thumbnails/${name}`,
		publicUrl(name.replace(ada.user_id, ada.user_id.toUpperCase())),
	]) {
		const res = await order(rendio, ada, body(url));
		assert.equal(res.status, 200, `${url} ${res.text}`);
	}
	const his = await picture(bob);
	for (const url of [publicUrl(his), `thumbnails/${his}`, name,
		`videos/${name}`, publicUrl(`${ada.user_id}/nope.jpg`),
		publicUrl(`${ada.user_id}/../${his}`),
		`https://evil.example/storage/v1/object/public/thumbnails/${name}`,
		`${rendio.url}.evil.example/storage/v1/object/public/thumbnails/` +
		    name,
		publicUrl(name).replace("https:", "http:"), "", "x",
		`${rendio.url}@evil.example/thumbnails/${name}`,
		"http://169.254.169.254/", "file:///etc/passwd",
		"data:image/jpeg;base64,AAAA"])
		assertError(await order(rendio, ada, body(url)), 400,
		    "invalid_image_url");
});

test("after their days results and pictures are gone, with their jobs",
    async () => {
	const name = await picture(ada), young = await picture(ada);
	const used = await picture(ada);
	const jobId = await orderJob(rendio, ada,
	    { prompt: fal.script({ hook: "off" }) });
	const job = await endOf(rendio, ada, jobId);
	const open = await orderJob(rendio, ada, { image_url: publicUrl(used),
		prompt: fal.script({ hook: "off", run_ms: 3000 }) });
	await sql(rendio, `UPDATE objects SET created_at_ms =
	    ${Date.now() - 7 * DAY_MS + 60_000}
	    WHERE name = '${young}'`);
	await sql(rendio, `UPDATE objects SET created_at_ms =
	    ${Date.now() - 7 * DAY_MS - 1}
	    WHERE job_id = ${id(jobId)} OR name IN ('${name}', '${used}')`);

	assert.ok(await until(async () =>
	    (await statusOf(rendio, ada, jobId)).status === 404, 15_000));
	assert.equal((await get(job.video_url)).status, 404);
	assert.ok(await until(async () =>
	    (await get(publicUrl(name))).status === 404, 15_000));
	assert.ok(await until(async () => (await sql(rendio, `SELECT 1 FROM
	    objects WHERE job_id = ${id(jobId)}`)).length === 0));
	assert.equal((await get(publicUrl(young))).status, 200);
	// Not before the job that shows it has ended.
	assert.equal((await get(publicUrl(used))).status, 200);
	await endOf(rendio, ada, open);
	assert.ok(await until(async () =>
	    (await get(publicUrl(used))).status === 404, 15_000));
	await assertAuditClean(rendio);
});

test("an upload that never ended is forgotten", async () => {
	const objectId = randomUUID();
	const file = rendio.file("media", "thumbnails", objectId.slice(-2));
	fs.mkdirSync(file, { recursive: true });
	await sql(rendio, `INSERT INTO objects (id, bucket, name, user_id, state,
	    content_type, size_bytes, created_at_ms) VALUES (${id(objectId)},
	    'thumbnails', '${objectId}', ${id(ada.user_id)}, 'storing',
	    'image/jpeg', 4, ${Date.now() - 3600_001})`);
	fs.writeFileSync(`${file}/${objectId}`, "left");
	assert.ok(await until(() => !fs.existsSync(`${file}/${objectId}`),
	    15_000));
	assert.ok(await until(async () => (await sql(rendio, `SELECT 1 FROM
	    objects WHERE id = ${id(objectId)}`)).length === 0));
});

test("what fills the disk is said early, and refused before it is paid",
    async (t) => {
	const full = await start({ env: { RENDIO_MEDIA_MIB_MAX: "10" } });
	t.after(() => full.stop());
	const carol = await full.guest("carol");
	const level = async () => (await sql(full,
	    "SELECT level, limit_bytes FROM storage_level"))[0];
	const fill = async (bytes) => {
		await sql(full, `DELETE FROM objects; INSERT INTO objects (id,
		    bucket, name, user_id, state, content_type, size_bytes,
		    sha256, created_at_ms) VALUES (randomblob(16),
		    'thumbnails', 'x', ${id(carol.user_id)}, 'stored',
		    'image/jpeg', ${bytes}, zeroblob(32), ${Date.now()})`);
	};
	const limit = 10 * 1024 * 1024;
	assert.ok(await until(async () => (await level()).limit_bytes === limit,
	    10_000));
	for (const [bytes, wanted] of [[limit / 10 * 8 - 1, "ok"],
		[limit / 10 * 8, "warning"], [limit / 10 * 9, "alarm"],
		[limit, "full"]]) {
		await fill(bytes);
		assert.ok(await until(async () =>
		    (await level()).level === wanted, 10_000), wanted);
	}
	assert.ok(full.log().some((line) => line.includes('"storage_level"') &&
	    line.includes('"alarm"')));
	const before = await creditsOf(full, carol);
	assertError(await order(full, carol), 503, "service_unavailable");
	assert.equal(await creditsOf(full, carol), before);
	const res = await upload(full, carol, `${carol.user_id}/a.jpg`);
	assertError(res, 503, "service_unavailable", "storage");

	await sql(full, "DELETE FROM objects");
	assert.ok(await until(async () =>
	    (await order(full, carol)).status === 200, 10_000));
});
