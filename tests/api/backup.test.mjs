// SPDX-License-Identifier: MIT
// rendio backup and restore: one file that holds everything, called good only
// when it was proved, and a machine that had nothing goes on from it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { sql } from "./support/database.mjs";
import { assertAuditClean, stopClean } from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { creditsOf, endOf, orderJob, startWorker, statusOf, stopWorker }
    from "./support/jobs.mjs";

const PASSPHRASE = "a long passphrase of ours";
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-backup-"));
const sealed = { RENDIO_BACKUP_PASSPHRASE: PASSPHRASE };
let rendio, ada;

before(async () => {
	rendio = await start({ env: sealed });
	ada = await rendio.guest("ada");
});
after(async () => {
	await stopClean(rendio);
	fs.rmSync(scratch, { recursive: true, force: true });
});

const file = (name) => path.join(scratch, name);

const names = (backup) => execFileSync("tar", ["-tf", backup],
    { encoding: "utf8" }).trim().split("\n");

/** Restores into another state directory. */
const restore = (backup, name, passphrase = PASSPHRASE) => rendio.cliWith(
    { env: { RENDIO_BACKUP_PASSPHRASE: passphrase,
	RENDIO_STATE_DIR: file(name) } }, "restore", file(backup));

const backupWith = (passphrase, name) => rendio.cliWith(
    { env: { RENDIO_BACKUP_PASSPHRASE: passphrase } }, "backup", file(name));

test("a backup under way of a job is good, and goes on where it is restored",
    async () => {
	const job_id = await orderJob(rendio, ada, { prompt: "A sea" });
	await endOf(rendio, ada, job_id);
	await orderJob(rendio, ada, { prompt: "A slow sea [slow:60]" });
	const made = await rendio.cli("backup", file("one.tar"), "--json");
	assert.equal(made.code, 0, made.stderr);
	const told = JSON.parse(made.stdout);
	// The video, and its frame once that was taken.
	assert.ok(told.files === 1 || told.files === 2, told.files);
	assert.equal(told.has_secrets, true);
	assert.deepEqual(fs.readdirSync(scratch), ["one.tar"]);
	assert.equal(fs.statSync(file("one.tar")).mode & 0o777, 0o600);

	const restored = await restore("one.tar", "one");
	assert.equal(restored.code, 0, restored.stderr);
	// Its address is another one, but what it says of itself is not.
	const other = await start({ stateDir: file("one"),
	    env: { ...sealed, RENDIO_PUBLIC_URL: rendio.url } });
	try {
		// The same keys, the same credits; the open job is still followed.
		assert.equal(await creditsOf(other, ada),
		    await creditsOf(rendio, ada));
		const old = await endOf(other, ada, job_id);
		assert.equal(old.status, "completed");
		const { pathname, search } = new URL(old.video_url);
		const video = await other.request("GET", pathname + search);
		assert.equal(video.status, 200);
		assert.equal(video.bytes.subarray(4, 8).toString(), "ftyp");
		assert.equal((await other.cli("audit")).code, 0);
	} finally {
		await other.stop();
	}
});

test("what waited to be sent at the backup is not sent by who restores it",
    async () => {
	const ben = await rendio.guest("ben");
	const sent = (instance, id) => instance.log().filter((line) =>
	    line.includes(id) && line.includes("submitting")).length;
	await stopWorker(rendio);
	const job_id = await orderJob(rendio, ben, { prompt: "A lake" });
	assert.equal((await rendio.cli("backup", file("queue.tar"))).code, 0);
	await startWorker(rendio);
	// It is made, and lost with the machine.
	assert.equal((await endOf(rendio, ben, job_id)).status, "completed");
	assert.equal(sent(rendio, job_id), 1);

	const restored = await restore("queue.tar", "queue");
	assert.equal(restored.code, 0, restored.stderr);
	assert.match(restored.stdout, /^1 orders .* credits back$/m);
	const other = await start({ stateDir: file("queue"),
	    env: { ...sealed, RENDIO_PUBLIC_URL: rendio.url } });
	try {
		const status = await statusOf(other, ben, job_id);
		assert.equal(status.json().status, "failed");
		assert.equal(status.json().credits_refunded, 4);
		assert.equal(await creditsOf(other, ben), 10);
		await assertAuditClean(other);
		assert.equal(sent(other, job_id), 0);
	} finally {
		await other.stop();
	}
});

test("where there is a database nothing is restored", async () => {
	assert.equal((await rendio.cli("backup", file("two.tar"))).code, 0);
	const refused = await rendio.cli("restore", file("two.tar"));
	assert.equal(refused.code, 1);
	assert.match(refused.stderr, /there is a database already/);
	assert.equal((await rendio.cli("audit")).code, 0);
});

test("nor where only the log of one is left, which would be read with it",
    async () => {
	fs.mkdirSync(file("log-only"));
	fs.writeFileSync(file("log-only/rendio.db-wal"), "");
	const refused = await restore("two.tar", "log-only");
	assert.equal(refused.code, 1);
	assert.match(refused.stderr, /move rendio\.db\* away/);
	assert.deepEqual(fs.readdirSync(file("log-only")), ["rendio.db-wal"]);
});

test("without a passphrase the keys stay, and it says so", async () => {
	const made = await backupWith("", "three.tar");
	assert.equal(made.code, 0, made.stderr);
	assert.match(made.stderr, /RENDIO_BACKUP_PASSPHRASE/);
	assert.ok(!names(file("three.tar")).includes("secrets.sealed"));
	const restored = await restore("three.tar", "three", "");
	assert.equal(restored.code, 0, restored.stderr);
	assert.match(restored.stdout, /rendio init/);
	assert.ok(!fs.existsSync(file("three/keys")));
});

test("a passphrase of 11 characters is refused, one of 12 is not", async () => {
	const short = await backupWith("x".repeat(11), "short.tar");
	assert.equal(short.code, 1);
	assert.match(short.stderr, /shorter than 12/);
	assert.ok(!fs.existsSync(file("short.tar")));
	const long = await backupWith("x".repeat(12), "short.tar");
	assert.equal(long.code, 0, long.stderr);
});

test("with another passphrase, or none, nothing is put in place", async () => {
	for (const [passphrase, problem] of [
		["another one of ours", /do not open/],
		["", /the keys are sealed/]]) {
		const refused = await restore("one.tar", "four", passphrase);
		assert.equal(refused.code, 1);
		assert.match(refused.stderr, problem);
		assert.ok(!fs.existsSync(file("four/rendio.db")));
		assert.ok(!fs.existsSync(file("four/keys")));
	}
});

test("a damaged archive is refused: cut, changed, or of something else",
    async () => {
	const good = fs.readFileSync(file("three.tar"));
	const half = good.subarray(0, Math.floor(good.length / 2));
	const changed = Buffer.from(good);
	const page = changed.indexOf("SQLite format 3\0") + 4096 * 3;
	changed.fill(0xff, page, page + 512);
	for (const [name, bytes] of [["half.tar", half],
		["changed.tar", changed], ["text.tar", "hello\n"],
		["empty.tar", ""]]) {
		fs.writeFileSync(file(name), bytes);
		const refused = await restore(name, `${name}.state`, "");
		assert.equal(refused.code, 1, name);
		assert.ok(!fs.existsSync(file(`${name}.state/rendio.db`)), name);
	}
	assert.equal((await restore("nothing.tar", "nothing.state")).code, 1);
});

test("a database that breaks a rule makes no good backup", async () => {
	const other = await start({ env: sealed });
	try {
		await other.guest("bob");
		await sql(other,
		    "UPDATE users SET credits_remaining = 11");
		const refused = await other.cli("backup", file("bad.tar"));
		assert.equal(refused.code, 1);
		assert.match(refused.stderr, /balance, ledger and lots agree/);
		assert.deepEqual(fs.readdirSync(scratch)
		    .filter((name) => name.startsWith("bad")), []);
	} finally {
		await other.stop();
	}
});

test("into a directory, --keep leaves the newest, and only backups go",
    async () => {
	fs.mkdirSync(file("many"));
	for (const name of ["rendio-20250101T000000Z.tar",
		"rendio-20260101T000000Z.tar", "rendio-notes.tar", "other.tar"])
		fs.writeFileSync(path.join(file("many"), name), "");
	const made = await rendio.cli("backup", file("many"), "--keep", "2");
	assert.equal(made.code, 0, made.stderr);
	const left = fs.readdirSync(file("many")).sort();
	assert.equal(left.length, 4);
	assert.ok(!left.includes("rendio-20250101T000000Z.tar"));
	assert.ok(left.includes("rendio-20260101T000000Z.tar"));
	assert.equal((await rendio.cli("backup", file("many"), "--keep", "0"))
	    .code, 2);
});
