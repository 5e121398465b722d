// SPDX-License-Identifier: MIT
//
// device-check is killed (kill -9) at random moments while phones come in, and
// Apple now and then does not answer.  Each phone must end with its one gift.
//
// RENDIO_KILLS (default 50) says how often, RENDIO_SEED repeats a run.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DeviceCheck, UPDATE } from "../fakes/devicecheck.mjs";
import { sql } from "../api/support/database.mjs";
import { assertAuditClean } from "../api/support/expect.mjs";
import { start } from "../api/support/instance.mjs";
import { Phone } from "../api/support/phone.mjs";
import { chance, killOne, often } from "./chance.mjs";

const KILLS = Number(process.env.RENDIO_KILLS ?? often(200));
const SEED = Number(process.env.RENDIO_SEED ?? Date.now() % 2 ** 31);
const AT_ONCE = 6;

let apple, rendio;

before(async () => {
	apple = await DeviceCheck.start();
	// A moment at each call, in which a process can die.
	apple.delay_ms = 3;
	rendio = await start({ env: apple.env });
});
after(async () => {
	await rendio.stop();
	await apple.stop();
});

/** Comes again until the gift is decided; false when it was told too late. */
async function settle(phone) {
	for (;;) {
		try {
			const res = await phone.check();
			if (res.status === 200 && res.json().grant !== "pending")
				return res.json();
			assert.ok([200, 502, 503].includes(res.status),
			    `${res.status} ${res.text}`);
		} catch (error) {
			if (error instanceof assert.AssertionError)
				throw error;
			/* The connection broke: come again. */
		}
		await sleep(5);
	}
}

test(`${KILLS} kills at random: each phone has one gift`, async (t) => {
	const random = chance(SEED);
	const phones = [];
	let over = false;

	t.diagnostic(`RENDIO_SEED=${SEED}`);
	const load = Array.from({ length: AT_ONCE }, async () => {
		while (!over) {
			const phone = new Phone(rendio, apple,
			    `phone-${phones.length}`);
			phones.push(phone);
			if (random() < 0.1)
				apple.fault({ path: UPDATE, reset: true,
					effect: random() < 0.5 });
			await settle(phone);
			// The app is removed and comes back as another.
			if (random() < 0.3) {
				const first = phone.device_id;
				const again = await settle(phone.reinstall());
				assert.equal(again.grant, "already_claimed");
				phone.reinstall(first);
			}
		}
	});

	let kills = 0;
	while (kills < KILLS) {
		kills += killOne(rendio.pids("device-check"), random);
		await sleep(random() * 60);
	}
	over = true;
	await Promise.all(load);
	apple.heal();

	for (const phone of phones) {
		const { credits_remaining } = await settle(phone);
		assert.equal(credits_remaining, 10, `${phone.name} lost its gift`);
		assert.equal(apple.bits(phone.name).bit0, true);
	}
	const [{ n }] = await sql(rendio, "SELECT COUNT(*) AS n" +
	    " FROM ledger_entries WHERE kind = 'grant'");
	assert.equal(n, phones.length, "as many gifts as there are phones");
	t.diagnostic(`${phones.length} phones, ${kills} kills`);
	await assertAuditClean(rendio);
});
