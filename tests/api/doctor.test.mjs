// SPDX-License-Identifier: MIT
// `rendio doctor`: green when all is well, and for each thing that is not, one
// red line that names the fix.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import https from "node:https";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { Apns } from "../fakes/apns.mjs";
import { AppleId } from "../fakes/appleid.mjs";
import { DeviceCheck } from "../fakes/devicecheck.mjs";
import { Fal } from "../fakes/fal.mjs";
import { Sentry } from "../fakes/sentry.mjs";
import { Telegram } from "../fakes/telegram.mjs";
import { sql } from "./support/database.mjs";
import { start } from "./support/instance.mjs";
import { Phone } from "./support/phone.mjs";

let fakes, rendio, dir;

before(async () => {
	dir = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-doctor-"));
	fakes = { apns: await Apns.start(),
		appleid: await AppleId.start({ dir, teamId: "DEF123GHIJ" }),
		devicecheck: await DeviceCheck.start(),
		fal: await Fal.start(), sentry: await Sentry.start(),
		telegram: await Telegram.start() };
	rendio = await start({ env: Object.assign({},
	    ...Object.values(fakes).map((fake) => fake.env),
	    { RENDIO_APPLEID_CLIENT_IDS: "com.example.app" }) });
});
after(async () => {
	await rendio.stop();
	for (const fake of Object.values(fakes))
		await fake.stop();
	fs.rmSync(dir, { recursive: true, force: true });
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
	assert.match((await doctor()).checks.streams.text, /nobody is signed in/);
	await new Phone(rendio, fakes.devicecheck, "ada").enter();
	const { code, checks } = await doctor();
	assert.deepEqual(Object.values(checks).filter(({ level }) =>
	    level === "error"), []);
	assert.equal(code, 0);
	assert.equal(checks.endpoints.level, "ok", checks.endpoints.text);
	assert.match(checks.streams.text, /as soon as/);
	for (const name of ["public url", "certificate", "webhook", "streams",
		"devicecheck", "apple id", "fal", "push", "telegram", "sentry",
		"nginx", "time", "backup"])
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
	// An option of another command is wrong use, not nothing.
	assert.equal((await rendio.cli("doctor", "--check")).code, 2);
	assert.equal((await rendio.cli("migrate", "--offline")).code, 2);
});

test("each key that is refused is a red line with its fix", async () => {
	const { code, checks } = await doctor({
		RENDIO_APNS_KEY_ID: "WRONG23456",
		RENDIO_TELEGRAM_BOT_TOKEN: "1:wrong",
		RENDIO_SENTRY_DSN: fakes.sentry.env.RENDIO_SENTRY_DSN
		    .replace(/:\/\/\w+@/, "://wrong@"),
		RENDIO_FAL_KEY: "wrong",
		RENDIO_DEVICECHECK_KEY_ID: "WRONG23456",
		RENDIO_APPLEID_CLIENT_IDS: "com.example.app, com.example.old",
		RENDIO_PUBLIC_URL: "https://127.0.0.1:9",
	});
	assert.equal(code, 1);
	for (const [name, fix] of [["push", /RENDIO_APNS_KEY_FILE/],
		["telegram", /RENDIO_TELEGRAM_BOT_TOKEN/],
		["sentry", /RENDIO_SENTRY_DSN/], ["fal", /account that pays/],
		["devicecheck", /with DeviceCheck/],
		["apple id", /with Sign in with Apple/],
		["public url", /RENDIO_PUBLIC_URL/]]) {
		assert.equal(checks[name]?.level, "error",
		    `${name}: ${JSON.stringify(checks[name])}`);
		assert.match(checks[name].fix, fix);
	}
	assert.match(checks["public url"].text, /nobody listens there/);
	assert.match(checks["apple id"].text, /for com\.example\.old/);
});

/** Stands before us with its own certificate, and answers in one piece. */
async function startProxy(key, cert) {
	const server = https.createServer({ key, cert }, (req, res) => {
		const up = https.request(rendio.url + req.url, { method: req.method,
			headers: req.headers, rejectUnauthorized: false },
		    (got) => {
			const chunks = [];
			got.on("data", (chunk) => chunks.push(chunk));
			res.writeHead(got.statusCode, got.headers);
			res.flushHeaders();
			got.on("end", () => res.end(Buffer.concat(chunks)));
			got.on("error", () => res.destroy());
		});
		up.on("error", () => res.destroy());
		res.on("close", () => up.destroy());
		req.pipe(up);
	});
	await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
	return server;
}

test("a proxy whose certificate ends, and which keeps streams back, is red",
    async () => {
	const [key, cert] = ["key", "cert"].map((name) => path.join(dir, name));
	execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt",
		"ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out",
		cert, "-days", "5", "-subj", "/CN=127.0.0.1", "-addext",
		"subjectAltName=IP:127.0.0.1"], { stdio: "ignore" });
	const proxy = await startProxy(fs.readFileSync(key),
	    fs.readFileSync(cert));
	const ours = rendio.file("tls", "cert.pem");
	const chain = fs.readFileSync(ours);

	// The sandbox trusts what is in this file; ours comes first in it.
	fs.appendFileSync(ours, fs.readFileSync(cert));
	try {
		const { code, checks } = await doctor({ RENDIO_PUBLIC_URL:
		    `https://127.0.0.1:${proxy.address().port}` });
		assert.equal(code, 1);
		assert.equal(checks["public url"].level, "ok");
		assert.equal(checks.certificate.level, "error");
		assert.match(checks.certificate.text,
		    /public url shows is good for [45] days/);
		assert.equal(checks.streams.level, "error");
		assert.match(checks.streams.text, /nothing came within/);
		assert.match(checks.streams.fix, /buffering/);
	} finally {
		fs.writeFileSync(ours, chain);
		proxy.closeAllConnections();
		await new Promise((resolve) => proxy.close(resolve));
	}
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
