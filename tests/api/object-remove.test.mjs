// SPDX-License-Identifier: MIT
// DELETE /storage/v1/object/thumbnails: a user removes his pictures.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { assertAuditClean, assertError, assertPersonal, assertStatements }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { endOf, orderJob } from "./support/jobs.mjs";
import { upload } from "./support/pictures.mjs";

const PATH = "/storage/v1/object/thumbnails";

let rendio, ada, bob;

before(async () => {
	rendio = await start();
	[ada, bob] = await Promise.all(["ada", "bob"]
	    .map((name) => rendio.guest(name)));
});
after(() => rendio.stop());

async function picture(guest) {
	const name = `${guest.user_id}/input_${randomUUID()}.jpg`;
	assert.equal((await upload(rendio, guest, name)).status, 200);
	return name;
}

async function remove(prefixes, guest = ada) {
	return await rendio.request("DELETE", PATH,
	    { bearer: guest.access_token, body: { prefixes } });
}

const isThere = async (name) => (await rendio.request("HEAD",
    `/storage/v1/object/public/thumbnails/${name}`)).status === 200;

test("what was removed is told and gone", async () => {
	const [one, two, three] = [await picture(ada), await picture(ada),
		await picture(ada)];
	const res = await remove([one, two, one, `${ada.user_id}/nope.jpg`]);
	const removed = assertPersonal(res);
	assert.deepEqual(removed.map((object) => object.name).sort(),
	    [one, two].sort());
	assert.equal(removed[0].bucket_id, "thumbnails");
	assert.equal(removed[0].metadata.mimetype, "image/jpeg");
	await assertStatements(rendio, res, 8);
	assert.deepEqual([await isThere(one), await isThere(two),
		await isThere(three)], [false, false, true]);
	// The name is free again.
	assert.equal((await upload(rendio, ada, one)).status, 200);
});

test("of others' and of what only we write nothing is removed", async () => {
	const his = await picture(bob);
	const jobId = await orderJob(rendio, ada);
	const job = await endOf(rendio, ada, jobId);
	assert.deepEqual(assertPersonal(await remove([his,
		`${ada.user_id}/${jobId}.jpg`, `${ada.user_id}/../x`, "", "/",
		ada.user_id])), []);
	assert.ok(await isThere(his));
	assert.equal((await rendio.request("HEAD",
	    job.video_url.slice(rendio.url.length))).status, 200);
	assertError(await rendio.request("DELETE", PATH,
	    { body: { prefixes: [his] } }), 403, "AccessDenied", "storage");
});

test("256 names are taken, one more is 400", async () => {
	const names = Array.from({ length: 256 }, (_, i) =>
	    `${ada.user_id}/${i}.jpg`);
	assert.deepEqual(assertPersonal(await remove(names)), []);
	for (const prefixes of [[...names, "x"], undefined, "x", {}, [1], [null]])
		assertError(await remove(prefixes), 400, "InvalidRequest",
		    "storage");
	await assertAuditClean(rendio);
});
