// SPDX-License-Identifier: MIT
// `rendio doctor`: green when all is well, and for each thing that is not, one
// red line that names the fix.

import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { Apns } from "../fakes/apns.mjs";
import { DeviceCheck } from "../fakes/devicecheck.mjs";
import { Fal } from "../fakes/fal.mjs";
import { Sentry } from "../fakes/sentry.mjs";
import { Telegram } from "../fakes/telegram.mjs";
import { sql } from "./support/database.mjs";
import { start } from "./support/instance.mjs";

let fakes, rendio;

before(async () => {
	fakes = { apns: await Apns.start(), devicecheck: await DeviceCheck.start(),
		fal: await Fal.start(), sentry: await Sentry.start(),
		telegram: await Telegram.start() };
	rendio = await start({ env: Object.assign({},
	    ...Object.values(fakes).map((fake) => fake.env)) });
});
after(async () => {
	await rendio.stop();
	for (const fake of Object.values(fakes))
		await fake.stop();
});

/** Its checks by name, the worst of each; and its exit status. */
async function doctor(env = {}, ...options) {
	const { code, stdout, stderr } = await rendio.cliWith({ env }, "doctor",
	    "--json", ...options);
	assert.notEqual(stdout, "", stderr);
	const order = ["ok", "warning", "error"];
	const checks = {};
	for (const one of JSON.parse(stdout).checks)
		if (checks[one.check] === undefined || order.indexOf(one.level) >
		    order.indexOf(checks[one.check].level))
			checks[one.check] = one;
	return { code, checks };
}

test("every credential is tried and taken, and our address answers",
    async () => {
	const { checks } = await doctor();
	for (const name of ["public url", "webhook", "devicecheck", "fal", "push",
		"telegram", "sentry", "nginx", "time", "backup"])
		assert.equal(checks[name]?.level, "ok",
		    `${name}: ${JSON.stringify(checks[name])}`);
});

test("--offline asks nobody", async () => {
	const before = fakes.apns.calls.length + fakes.sentry.calls.length +
	    fakes.telegram.calls.length + fakes.devicecheck.calls.length;
	const { checks } = await doctor({}, "--offline");
	assert.equal(checks.push, undefined);
	assert.equal(checks["public url"], undefined);
	assert.equal(fakes.apns.calls.length + fakes.sentry.calls.length +
	    fakes.telegram.calls.length + fakes.devicecheck.calls.length, before);
});

test("each key that is refused is a red line with its fix", async () => {
	const { code, checks } = await doctor({
		RENDIO_APNS_KEY_ID: "WRONG23456",
		RENDIO_TELEGRAM_BOT_TOKEN: "1:wrong",
		RENDIO_SENTRY_DSN: fakes.sentry.env.RENDIO_SENTRY_DSN
		    .replace(/:\/\/\w+@/, "://wrong@"),
		RENDIO_FAL_KEY: "wrong",
		RENDIO_DEVICECHECK_KEY_ID: "WRONG23456",
		RENDIO_PUBLIC_URL: "https://127.0.0.1:9",
	});
	assert.equal(code, 1);
	for (const [name, fix] of [["push", /RENDIO_APNS_KEY_FILE/],
		["telegram", /RENDIO_TELEGRAM_BOT_TOKEN/],
		["sentry", /RENDIO_SENTRY_DSN/], ["fal", /account that pays/],
		["devicecheck", /with DeviceCheck/],
		["public url", /RENDIO_PUBLIC_URL/]]) {
		assert.equal(checks[name]?.level, "error",
		    `${name}: ${JSON.stringify(checks[name])}`);
		assert.match(checks[name].fix, fix);
	}
	assert.match(checks["public url"].text, /nobody listens there/);
});

test("a backup that failed, an alarm and a broken router are red", async () => {
	const conf = rendio.file("nginx", "nginx.conf");
	const good = fs.readFileSync(conf);
	await sql(rendio, "UPDATE backup_state SET good_at_ms = 1," +
	    " failed_at_ms = 2; INSERT INTO alarms VALUES ('disk_90', ''," +
	    " 1, 1, 1, 'disk 91 %', 1, NULL, NULL)");
	fs.appendFileSync(conf, "nonsense\n");
	try {
		const { code, checks } = await doctor({}, "--offline");
		assert.equal(code, 1);
		assert.match(checks.backup.fix, /rendio backup/);
		assert.equal(checks.alarm.level, "error");
		assert.equal(checks.nginx.level, "error");
		assert.match(checks.nginx.fix, /nginx -t/);
	} finally {
		fs.writeFileSync(conf, good);
	}
});
