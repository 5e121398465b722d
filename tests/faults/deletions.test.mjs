// SPDX-License-Identifier: MIT
//
// delete-account, the worker and whoever else writes are killed (kill -9) at
// random moments while accounts are deleted: each is there or gone, never
// half, and what is gone stays gone.
//
// RENDIO_DELETIONS (default 50) says how many, RENDIO_SEED repeats a run.

import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AppleId } from "../fakes/appleid.mjs";
import { DeviceCheck } from "../fakes/devicecheck.mjs";
import { id, sql } from "../api/support/database.mjs";
import { assertAuditClean } from "../api/support/expect.mjs";
import { signIn } from "../api/support/identity.mjs";
import { start, until } from "../api/support/instance.mjs";
import { order } from "../api/support/jobs.mjs";
import { Phone } from "../api/support/phone.mjs";
import { chance, killOne, often } from "./chance.mjs";

const DELETIONS = Number(process.env.RENDIO_DELETIONS ?? often(200));
const SEED = Number(process.env.RENDIO_SEED ?? Date.now() % 2 ** 31);
const AT_ONCE = 8;
const SETTLE_MS_MAX = 120_000;

let dir, apple, appleId, rendio;

before(async () => {
	dir = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-"));
	apple = await DeviceCheck.start();
	appleId = await AppleId.start({ dir,
		teamId: apple.env.RENDIO_APPLE_TEAM_ID });
	rendio = await start({ env: { ...apple.env, ...appleId.env,
		RENDIO_PROVIDER_CONCURRENCY: "64" } });
});
after(async () => {
	await rendio.stop();
	await apple.stop();
	await appleId.stop();
	fs.rmSync(dir, { recursive: true });
});

/** Signs the guest in with Apple, whose consent is then kept. */
async function link(who, sub) {
	const res = await signIn(rendio, { id_token: appleId.token({ sub }),
		authorization_code: appleId.code(sub) },
	    { bearer: who.access_token });
	assert.equal(res.status, 200, res.text);
	assert.equal(res.json().user.id, who.user_id);
}

/** Sends until it is answered by other than a failure of ours. */
async function insist(send) {
	for (;;) {
		try {
			const res = await send();
			if (res.status < 500)
				return res;
		} catch {
			/* The connection broke. */
		}
		await sleep(10);
	}
}

test(`kills at random during ${DELETIONS} deletions leave no half`,
    async (t) => {
	const random = chance(SEED);
	const services = ["delete-account", "delete-account", "worker",
		"generate-video", "device-check"];
	const gone = [];
	let begun = 0, over = false, kills = 0;

	t.diagnostic(`RENDIO_SEED=${SEED}`);
	const killer = (async () => {
		for (; !over; await sleep(random() * 60))
			kills += killOne(rendio.pids(services[Math.floor(
			    random() * services.length)]), random);
	})();
	await Promise.all(Array.from({ length: AT_ONCE }, async () => {
		while (begun < DELETIONS) {
			const phone = new Phone(rendio, apple, `phone-${begun++}`);
			const who = (await insist(() => phone.check())).json();
			const work = [];

			if (gone.length % 2 === 0)
				await link(who, `001.${phone.name}`);
			for (let i = 0; i < 2; i++)
				work.push(insist(() => order(rendio, who,
				    { prompt: `canary ${phone.name}`,
					settings: { duration: 4 } })));
			await sleep(random() * 150);
			const removed = await insist(() => rendio.request("POST",
			    "/functions/v1/delete-account",
			    { bearer: who.access_token, body: {} }));
			// 401: the answer to an earlier try was lost.
			assert.ok([200, 401].includes(removed.status),
			    removed.text);
			for (const res of await Promise.all(work))
				assert.ok([200, 401, 402].includes(res.status),
				    `${res.status} ${res.text}`);
			gone.push(who);
			// Deleting and coming back is no way to a second gift.
			const back = (await insist(() => phone.check())).json();
			assert.notEqual(back.user_id, who.user_id);
			if (who.grant === "granted" ||
			    who.grant === "already_claimed")
				assert.equal(back.grant, "already_claimed");
		}
	}));
	over = true;
	await killer;
	t.diagnostic(`${gone.length} deletions, ${kills} kills`);

	// Of a video that was being ordered when the worker died nobody knows
	// more until its deadline: let that be now.
	await sleep(3000);
	await sql(rendio, "UPDATE jobs SET deadline_at_ms = 0, due_at_ms = 0" +
	    " WHERE due_at_ms IS NOT NULL AND EXISTS (SELECT 1 FROM attempts a" +
	    " WHERE a.job_id = jobs.id AND a.state IN ('sending', 'unknown'))");
	assert.ok(await until(async () => {
		// A worker died while it asked Apple: the next try is now.
		await sql(rendio, "UPDATE deletion_steps SET next_try_at_ms = 0" +
		    " WHERE state = 'open'");
		await sleep(500);
		return (await sql(rendio, "SELECT COUNT(*) AS n" +
		    " FROM deletion_steps WHERE state = 'open'"))[0].n === 0;
	}, SETTLE_MS_MAX), "every step is done");
	assert.ok(kills > 0);
	assert.ok(appleId.revoked.length >= gone.length / 4);
	assert.equal(appleId.consents.size, 0, "every consent is revoked");
	assert.deepEqual(await sql(rendio, "SELECT 1 FROM apple_tokens"), []);
	await assertAuditClean(rendio);
	for (const who of gone) {
		const [left] = await sql(rendio, "SELECT status," +
		    " (SELECT COUNT(*) FROM sessions WHERE user_id = u.id) +" +
		    " (SELECT COUNT(*) FROM devices WHERE user_id = u.id) +" +
		    " (SELECT COUNT(*) FROM objects WHERE user_id = u.id) +" +
		    " (SELECT COUNT(*) FROM idempotency_records" +
		    "   WHERE user_id = u.id) AS n FROM users u" +
		    ` WHERE id = ${id(who.user_id)}`);
		assert.deepEqual(left, { status: "deleted", n: 0 });
	}
	const [{ n }] = await sql(rendio, "SELECT COUNT(*) AS n FROM jobs" +
	    " WHERE prompt LIKE 'canary %'");
	assert.equal(n, 0, "no prompt is left");
	const [{ gifts }] = await sql(rendio, "SELECT COUNT(*) AS gifts" +
	    " FROM ledger_entries WHERE kind = 'grant'");
	assert.ok(gifts <= begun, "one gift a phone");
});
