// SPDX-License-Identifier: MIT
//
// Alarm drills: each thing goes wrong, the operator hears of it once, it is
// mended, and the operator hears once that it is over, while workers follow
// one another every second and are killed (kill -9) all the time.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DeviceCheck } from "../fakes/devicecheck.mjs";
import { Fal } from "../fakes/fal.mjs";
import { Telegram } from "../fakes/telegram.mjs";
import { id, sql } from "../api/support/database.mjs";
import { start, until } from "../api/support/instance.mjs";
import { order } from "../api/support/jobs.mjs";
import { Phone } from "../api/support/phone.mjs";

const WAIT_MS_MAX = 120_000;
const DISK_MIB = 96;

let dir, isMounted, telegram, fal, apple, rendio, ada;
let over = false, kills = 0, killer;

/** A small disk of its own, where we may mount one. */
function mountSmall() {
	try {
		execFileSync("mount", ["-t", "tmpfs", "-o",
			`size=${DISK_MIB}m`, "tmpfs", dir], { stdio: "ignore" });
		return true;
	} catch {
		return false;
	}
}

before(async () => {
	dir = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-"));
	isMounted = mountSmall();
	telegram = await Telegram.start();
	fal = await Fal.start();
	apple = await DeviceCheck.start();
	rendio = await start({ stateDir: dir, env: { ...fal.env, ...apple.env,
		...telegram.env, RENDIO_MEDIA_FREE_MIB_MIN: "1",
		RENDIO_MEDIA_MIB_MAX: isMounted ? "0" : String(DISK_MIB),
		RENDIO_LIMIT_PURCHASE_PER_H: "1", RENDIO_LIMIT_REPORT_PER_H: "3",
		RENDIO_AUDIT_HOUR_UTC: "3" } });
	ada = await new Phone(rendio, apple, "ada").enter();
	await rendio.cli("user", "grant", ada.user_id, "1000", "--reason", "test");
	killer = (async () => {
		for (; !over; await sleep(300 + Math.random() * 1500)) {
			const pids = rendio.pids("worker");
			try {
				process.kill(pids[0], "SIGKILL");
				kills++;
			} catch {
				/* There was none just then. */
			}
		}
	})();
});
after(async () => {
	over = true;
	await killer;
	await rendio.stop().catch(() => {});
	if (isMounted)
		execFileSync("umount", ["-l", dir]);
	fs.rmSync(dir, { recursive: true, force: true });
	for (const fake of [telegram, fal, apple])
		await fake.stop();
});

/** What was told of an alarm, without what was told again after a kill. */
function told(title) {
	const lines = telegram.lines.filter((line) => line.includes(title) &&
	    !line.endsWith("[perhaps repeated]"));
	const repeated = telegram.lines.filter((line) => line.includes(title) &&
	    line.endsWith("[perhaps repeated]"))
	    .map((line) => line.slice(0, -" [perhaps repeated]".length));
	// Nothing is called a repetition that was not being sent before.
	return { begun: lines.filter((line) => line.startsWith("🔴")),
		ended: lines.filter((line) => line.startsWith("✅")), repeated };
}

/** As until(); a killed worker's lease on sending is not waited for. */
async function untilTold(test) {
	return await until(async () => {
		await sql(rendio, "UPDATE notice_channel SET next_send_at_ms = 0" +
		    " WHERE next_send_at_ms > 1000 *" +
		    " (CAST(strftime('%s', 'now') AS INTEGER) + 5)");
		await sleep(100);
		return await test();
	}, WAIT_MS_MAX);
}

/** Once when it begins, once when it is over: what was said. */
async function drill(title, breakIt, mendIt) {
	const heard = async (which) => await untilTold(() => {
		const { begun, ended, repeated } = told(title);
		const mark = which === "begun" ? "🔴" : "✅";
		return { begun, ended }[which].length > 0 ||
		    repeated.some((line) => line.startsWith(mark));
	});
	const countNotices = async () => (await sql(rendio, "SELECT COUNT(*) AS" +
	    " n, COUNT(sent_at_ms) AS sent FROM notices" +
	    ` WHERE text LIKE '%${title}%'`))[0];

	await breakIt();
	assert.ok(await heard("begun"), `${title}: ${telegram.lines}`);
	assert.deepEqual(told(title).ended, []);
	await mendIt();
	assert.ok(await heard("ended"), `${title} is over: ${telegram.lines}`);
	// Who was killed before he noted it sends it again.
	await untilTold(async () => (await countNotices()).sent === 2);
	// What has been told is not told again, whoever looks at it.
	await sleep(2500);
	const { begun, ended, repeated } = told(title);
	assert.ok(begun.length <= 1, begun.join("\n"));
	assert.ok(ended.length <= 1, ended.join("\n"));
	assert.deepEqual(await countNotices(), { n: 2, sent: 2 });
	return [...begun, ...repeated][0];
}

test("the provider does not answer", async () => {
	const line = await drill("Provider does not answer", async () => {
		await fal.hangUp();
		for (let i = 0; i < 3; i++)
			await order(rendio, ada, { settings: { duration: 4 } });
	}, async () => {
		await fal.listen();
		// Whoever waits to try again tries now.
		await until(async () => {
			await sql(rendio, "UPDATE jobs SET turn_at_ms = 0," +
			    " due_at_ms = 0 WHERE due_at_ms IS NOT NULL");
			await sleep(300);
			return (await sql(rendio,
			    "SELECT 1 FROM upstreams")).length === 0;
		}, WAIT_MS_MAX);
	});
	assert.match(line, /fal \(no answer/);
});

test("a provider refuses our key", async () => {
	const line = await drill("Nothing is sent to a provider", async () => {
		// A worker that is killed while it sends hears of no refusal.
		assert.ok(await until(async () => {
			await order(rendio, ada, { settings: { duration: 4 },
				prompt: fal.script({ submit: "401" }) });
			return await until(async () => (await sql(rendio,
			    "SELECT 1 FROM breakers")).length > 0, 30_000);
		}, WAIT_MS_MAX), "a breaker opened");
	}, async () => {
		await rendio.cli("provider", "start", "all");
		await rendio.cli("provider", "start", "fal");
	});
	assert.match(line, /fal \(provider_auth\)/);
});

test("Apple does not answer", async () => {
	const line = await drill("Apple does not answer", async () => {
		apple.fault({ path: "/v1/query_two_bits", status: 503,
			times: 1000 });
		for (let i = 0; i < 3; i++)
			await new Phone(rendio, apple, `down-${i}`).check();
	}, async () => {
		apple.heal();
		await new Phone(rendio, apple, "up").check();
	});
	assert.match(line, /devicecheck/);
});

test("the disk is nine tenths full", async () => {
	const filler = path.join(dir, "filler");
	const line = await drill("Storage over 90 %", async () => {
		if (!isMounted)
			return await sql(rendio, "INSERT INTO objects (id," +
			    " bucket, name, user_id, state, content_type," +
			    " size_bytes, created_at_ms) SELECT randomblob(16)," +
			    ` 'videos', 'filler', ${id(ada.user_id)}, 'storing',` +
			    ` 'video/mp4', ${DISK_MIB * 0.95 * 1024 * 1024 | 0},` +
			    " 9e15");
		const { blocks, bavail, bsize } = fs.statfsSync(dir);
		fs.writeFileSync(filler, Buffer.alloc(
		    Math.floor((bavail - blocks * 0.07) * bsize)));
	}, async () => {
		if (!isMounted)
			return await sql(rendio,
			    "DELETE FROM objects WHERE name = 'filler'");
		fs.rmSync(filler);
	});
	assert.match(line, /disk \d+ %, media/);
	assert.deepEqual(told("Storage over 80 %").begun, [],
	    "who hears of 90 % need not hear of 80 %");
});

test("an audit finds a violation", async () => {
	const auditNow = async (isClean) => {
		const [{ made_at_ms }] = await sql(rendio,
		    "SELECT made_at_ms FROM audit_state");
		// A killed worker takes its audit along.
		assert.ok(await until(async () => {
			await sql(rendio, "INSERT INTO watches VALUES" +
			    " ('audit', 0) ON CONFLICT DO UPDATE SET at_ms = 0");
			await sleep(500);
			// One that began before this change may end after it.
			return (await sql(rendio, "SELECT 1 FROM audit_state" +
			    ` WHERE made_at_ms > ${made_at_ms} AND` +
			    ` (violations_count = 0) = ${isClean}`)).length > 0;
		}, WAIT_MS_MAX), "an audit was made");
	};
	const line = await drill("Audit found violations", async () => {
		await sql(rendio, "UPDATE users SET credits_remaining =" +
		    ` credits_remaining + 1 WHERE id = ${id(ada.user_id)}`);
		await auditNow(false);
	}, async () => {
		await sql(rendio, "UPDATE users SET credits_remaining =" +
		    ` credits_remaining - 1 WHERE id = ${id(ada.user_id)}`);
		await auditNow(true);
	});
	assert.match(line, /of invariant 1/);
});

test("the last good backup is too old", async () => {
	const target = path.join(os.tmpdir(), `rendio-${randomUUID()}.tar`);
	const line = await drill("Backup is too old", async () => {
		await sql(rendio, "UPDATE backup_state SET good_at_ms = 1000 *" +
		    " (CAST(strftime('%s', 'now') AS INTEGER) - 30 * 3600)");
	}, async () => {
		const made = await rendio.cli("backup", target);
		assert.equal(made.code, 0, made.stderr);
		fs.rmSync(target);
	});
	assert.match(line, /the last good one is 30 h old/);
});

test("a backup fails", async () => {
	const target = path.join(os.tmpdir(), `rendio-${randomUUID()}.tar`);
	await drill("Backup failed", async () => {
		const made = await rendio.cli("backup",
		    path.join(dir, "no/such/directory/x.tar"));
		assert.equal(made.code, 1);
	}, async () => {
		const made = await rendio.cli("backup", target);
		assert.equal(made.code, 0, made.stderr);
		fs.rmSync(target);
	});
});

test("today's spending is near its cap", async () => {
	const line = await drill("Spend cap is near", async () => {
		await sql(rendio, "UPDATE models SET spend_cap_micro_usd_per_day =" +
		    " 10000000 WHERE endpoint = 'fal-ai/veo3.1/fast';" +
		    " INSERT INTO provider_spend SELECT" +
		    " CAST(strftime('%s', 'now') AS INTEGER) / 86400, id, 8000000" +
		    " FROM models WHERE endpoint = 'fal-ai/veo3.1/fast'" +
		    " ON CONFLICT DO UPDATE SET micro_usd = 8000000");
	}, async () => {
		await sql(rendio, "UPDATE models SET spend_cap_micro_usd_per_day =" +
		    " NULL WHERE endpoint = 'fal-ai/veo3.1/fast'");
	});
	assert.match(line, /8\.00 of 10\.00 USD/);
});

test("a purchase waits for a product that nobody added", async () => {
	const line = await drill("Paid, and not credited", async () => {
		await sql(rendio, "INSERT INTO purchases (id, environment," +
		    " transaction_id, original_transaction_id, kind, product_id," +
		    " quantity, purchased_at_ms, signed_at_ms, notified_at_ms," +
		    " user_id, waits_for, next_try_at_ms, created_at_ms) SELECT" +
		    " randomblob(16), 'Production', '77', '77', 'consumable'," +
		    " 'com.example.forgotten', 1, at, at, 0," +
		    ` ${id(ada.user_id)}, 'product', 9e15, at FROM (SELECT 1000 *` +
		    " (CAST(strftime('%s', 'now') AS INTEGER) - 2 * 3600) AS at)");
	}, async () => {
		await sql(rendio, "INSERT INTO products (id, credits) VALUES" +
		    " ('com.example.forgotten', 7); UPDATE purchases SET" +
		    " next_try_at_ms = 0 WHERE transaction_id = '77'");
	});
	assert.match(line, /com\.example\.forgotten \(1, since/);
});

test("somebody goes on in spite of refusals", async () => {
	const eve = await new Phone(rendio, apple, "eve").enter();
	const line = await drill("Limits refuse somebody", async () => {
		let refused = 0;
		while (refused < 3) {
			const { status } = await rendio.request("POST",
			    "/functions/v1/update-credits", {
				bearer: eve.access_token,
				body: { signed_transaction: "no" } });
			assert.ok([400, 429].includes(status), `${status}`);
			refused += status === 429;
		}
	}, async () => {
		await sql(rendio, "UPDATE limit_violations SET" +
		    " last_at_ms = last_at_ms - 3600000");
	});
	assert.match(line, new RegExp("somebody on and on: purchase" +
	    ` \\(user ${eve.user_id}: 3 within an hour\\)`));
});

test("workers were killed meanwhile", () => assert.ok(kills > 5, `${kills}`));
