// SPDX-License-Identifier: MIT
// Backups in a bucket, at a server that speaks S3.

import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import S3rver from "s3rver";
import { start } from "./support/instance.mjs";
import { endOf, orderJob } from "./support/jobs.mjs";

// The server is in this process: who talks to it must not stop it.
const run = promisify(execFile);

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-bucket-"));
const identity = path.join(scratch, "identity");
const backups = path.join(scratch, "backups");
const PASSPHRASE = "a long passphrase";
let rendio, server, bucket;

before(async () => {
	server = new S3rver({ address: "127.0.0.1", port: 0, silent: true,
		directory: path.join(scratch, "s3"),
		configureBuckets: [{ name: "safe" }, { name: "small" }] });
	const { port } = await server.run();
	execFileSync("age-keygen", ["-o", identity], { stdio: "ignore" });
	const recipient = execFileSync("age-keygen", ["-y", identity],
	    { encoding: "utf8" }).trim();
	bucket = {
		RENDIO_BACKUP_PASSPHRASE: PASSPHRASE,
		RENDIO_BACKUP_S3_URL: `http://127.0.0.1:${port}`,
		RENDIO_BACKUP_S3_BUCKET: "safe/here",
		RENDIO_BACKUP_S3_KEY_ID: "S3RVER",
		RENDIO_BACKUP_S3_SECRET: "S3RVER",
		RENDIO_BACKUP_RECIPIENT: recipient,
	};
	fs.mkdirSync(backups);
	rendio = await start({ env: bucket });
});
after(async () => {
	await rendio?.stop();
	await server.close();
	fs.rmSync(scratch, { recursive: true, force: true });
});

const listed = async (env = {}) => (await rendio.cliWith({ env },
    "bucket", "list")).stdout.split("\n").filter((line) => line !== "");

test("a backup is sent, fetched, opened by its key alone, and restored",
    async () => {
	const ada = await rendio.guest("ada");
	const job_id = await orderJob(rendio, ada, { settings: { duration: 4 } });
	await endOf(rendio, ada, job_id);

	const made = await rendio.cli("backup", backups, "--send");
	assert.equal(made.code, 0, made.stderr);
	const [name, ...others] = await listed();
	assert.match(name, /^rendio-\d{8}T\d{6}Z\.tar\.age$/);
	assert.deepEqual(others, []);
	// Nothing but the backup itself stays here.
	assert.deepEqual(fs.readdirSync(backups), [name.replace(".age", "")]);

	// As on a bare machine: the bucket, and the key from elsewhere.
	const tar = path.join(scratch, "fetched.tar");
	await run("sh", ["-euc", `"$0" bucket fetch ${name} > "$1.age"
	    grep -q '^age-encryption.org/v1' "$1.age"
	    age -d -i "$2" -o "$1" "$1.age"`,
	path.join(rendio.programs, "rendio"), tar, identity],
	{ env: { ...process.env, ...bucket, RENDIO_CONFIG: "/nowhere" } });
	const state = path.join(scratch, "state");
	const restored = await rendio.cliWith({
		env: { RENDIO_STATE_DIR: state } }, "restore", tar);
	assert.equal(restored.code, 0, restored.stderr);
	// As each start does.
	const there = { env: { RENDIO_STATE_DIR: state } };
	assert.equal((await rendio.cliWith(there, "init")).code, 0);
	const audit = await rendio.cliWith(there, "audit", "--files");
	assert.equal(audit.code, 0, audit.stdout + audit.stderr);
});

test("what was not sent is an error, and the backup is good all the same",
    async () => {
	const file = path.join(scratch, "alone.tar");
	const refused = await rendio.cliWith({ env: {
		RENDIO_BACKUP_S3_KEY_ID: "nobody" } }, "backup", file, "--send");
	assert.equal(refused.code, 1);
	assert.match(refused.stderr, /InvalidAccessKeyId|Forbidden|403/);
	assert.match(refused.stderr, /not sent to the bucket/);
	assert.ok(fs.existsSync(file));
	assert.ok(!fs.existsSync(`${file}.age`));
	assert.match((await rendio.cli("doctor", "--offline")).stdout,
	    /backup +.*fail/);

	const unsealed = await rendio.cliWith({ env: {
		RENDIO_BACKUP_RECIPIENT: "" } }, "bucket", "send", file);
	assert.equal(unsealed.code, 1);
	assert.match(unsealed.stderr, /RENDIO_BACKUP_RECIPIENT/);

	const none = await rendio.cliWith({ env: {
		RENDIO_BACKUP_S3_BUCKET: "" } }, "backup", file, "--send");
	assert.equal(none.code, 0, none.stderr);
	assert.match(none.stderr, /none is configured/);
});

test("of the last days and weeks the newest backup stays", async () => {
	const env = { RENDIO_BACKUP_S3_BUCKET: "small",
		RENDIO_BACKUP_S3_DAILY: "2", RENDIO_BACKUP_S3_WEEKLY: "3" };
	// Mondays are February 23rd, March 2nd and 9th.
	const times = ["20260222T030000", "20260223T030000", "20260301T030000",
		"20260302T030000", "20260308T030000", "20260309T030000",
		"20260310T030000", "20260310T120000"];

	const older = path.join(scratch, "older");
	fs.mkdirSync(older);
	for (const time of times)
		fs.writeFileSync(path.join(older, `rendio-${time}Z.tar.age`), time);
	await run("rclone", ["copy", older, ":s3,provider=Other," +
	    `endpoint="${bucket.RENDIO_BACKUP_S3_URL}",access_key_id=S3RVER,` +
	    "secret_access_key=S3RVER,no_check_bucket=true:small"],
	{ env: { PATH: process.env.PATH, RCLONE_CONFIG: "/dev/null" } });
	const newest = path.join(scratch, `rendio-${times.at(-1)}Z.tar`);
	fs.writeFileSync(newest, "a backup");
	const sent = await rendio.cliWith({ env }, "bucket", "send", newest);
	assert.equal(sent.code, 0, sent.stderr);
	assert.deepEqual(await listed(env), ["20260310T120000",
		"20260309T030000", "20260308T030000", "20260301T030000"]
	    .map((time) => `rendio-${time}Z.tar.age`));
});
