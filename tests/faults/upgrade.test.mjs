// SPDX-License-Identifier: MIT
//
// Programs are changed beside a running system, to the next release and back,
// by rendio-upgrade, while phones order videos, poll and listen to streams: no
// request fails, every event arrives, and the books are clean.  The next
// release has a migration that the present one can live with.
//
// RENDIO_UPGRADES (default 1) says how often there and back.

import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { sql } from "../api/support/database.mjs";
import { build, plainEnv, root, start, until }
    from "../api/support/instance.mjs";
import { order, statusOf } from "../api/support/jobs.mjs";
import { Stream } from "../api/support/streams.mjs";

const UPGRADES = Number(process.env.RENDIO_UPGRADES ?? 1);
const PHONES = 4;

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-upgrade-"));
const lib = path.join(scratch, "lib");
const upgrade = path.join(scratch, "rendio-upgrade");
let rendio;

/** The programs of a build, in the form in which they are installed. */
function install(from, name) {
	execFileSync("make", ["-s", "-o", "all", "install",
	    `PREFIX=${path.join(scratch, name)}`, `DESTDIR=${scratch}/dest`,
	    `BUILD=${from}`], { cwd: root, env: plainEnv() });
	const release = path.join(lib, name);
	fs.renameSync(path.join(scratch, "dest", scratch, name,
	    "lib/rendio/release"), release);
	return release;
}

/** The next release: the same programs, and one more migration. */
function makeNext() {
	const next = path.join(scratch, "next-build");
	const number = fs.readdirSync(path.join(root, "db/migrations")).length + 1;
	const migration = path.join(scratch,
	    `${String(number).padStart(4, "0")}_next.sql`);

	fs.writeFileSync(migration, `-- compatible: ${number - 1}
		CREATE TABLE next_release (id INTEGER PRIMARY KEY) STRICT;\n`);
	fs.mkdirSync(next);
	for (const name of ["gen", "cgi-bin", "cli", "cron", "lib", "realtime"])
		execFileSync("cp", ["-a", path.join(build, name), next]);
	for (const name of fs.readdirSync(path.join(next, "cgi-bin")))
		if (!name.includes("."))
			fs.rmSync(path.join(next, "cgi-bin", name));
	fs.rmSync(path.join(next, "gen/migrations.c"));
	const migrations = fs.readdirSync(path.join(root, "db/migrations")).sort()
	    .map((name) => `db/migrations/${name}`);
	execFileSync("make", ["-s", "-j2", "all", `BUILD=${next}`,
	    `MIGRATIONS=${[...migrations, migration].join(" ")}`],
	    { cwd: root, env: plainEnv() });
	return next;
}

before(async () => {
	fs.mkdirSync(lib);
	install(build, "one");
	install(makeNext(), "two");
	execFileSync("cp", ["-al", path.join(lib, "one"),
	    path.join(lib, "release")]);
	fs.symlinkSync("release", path.join(lib, "current"));
	fs.writeFileSync(upgrade, fs.readFileSync(path.join(root,
	    "deploy/upgrade.in"), "utf8"), { mode: 0o755 });
	rendio = await start({ programs: path.join(lib, "current"), env: {
		RENDIO_GRANT_CREDITS: "10000",
		RENDIO_JOBS_OPEN_MAX_FREE: "10000",
		RENDIO_FFMPEG: "",
	} });
});
after(async () => {
	await rendio?.stop();
	fs.rmSync(scratch, { recursive: true, force: true });
});

/** rendio-upgrade, with what it needs to know of a sandbox. */
async function rendioUpgrade(...args) {
	const config = rendio.file("rendio.conf");
	if (!fs.existsSync(config))
		fs.writeFileSync(config, "");
	try {
		const done = await promisify(execFile)(upgrade, args, {
			cwd: root,
			env: { ...rendio.env, UPGRADE_LIB_DIR: lib,
				RENDIO_CONFIG: config,
				SVDIR: rendio.file("sv"),
				UPGRADE_URL: rendio.url },
		});
		return { code: 0, ...done };
	} catch (error) {
		return error;
	}
}

/** Brings a release to where a package would put it. */
async function unpack(name) {
	const kept = await rendioUpgrade("keep");
	assert.equal(kept.code, 0, kept.stderr);
	fs.rmSync(path.join(lib, "release"), { recursive: true });
	execFileSync("cp", ["-al", path.join(lib, name), path.join(lib, "release")]);
}

/** A phone that orders, polls and listens; it remembers what went wrong. */
class Phone {
	jobs = [];
	told = new Map();
	credits = null;
	last_id = "";
	failures = [];
	requests = 0;
	streams = 0;
	backwards = 0;

	constructor(guest) {
		this.guest = guest;
	}

	async ask(what, call) {
		this.requests++;
		try {
			const res = await call();
			if (res.status === 200)
				return res.json();
			this.failures.push(`${what}: ${res.status} ${res.text}`);
		} catch (error) {
			this.failures.push(`${what}: ${error.message}`);
		}
		return null;
	}

	async use() {
		while (!over) {
			const made = await this.ask("order", () => order(rendio,
			    this.guest, { settings: { duration: 4 } }));
			if (made)
				this.jobs.push(made.job_id);
			for (let i = 0; i < 10 && this.jobs.length > 0; i++) {
				const job = this.jobs.at(-1 - i % this.jobs.length);
				await this.ask("status", () => statusOf(rendio,
				    this.guest, job));
				await sleep(50);
			}
		}
	}

	/** A stream is cut when its engine goes; it comes back where it was. */
	async listen() {
		while (!quiet) {
			const stream = new Stream();
			stream.onmessage = (message) => this.hear(message);
			try {
				await stream.connect(rendio,
				    "/functions/v1/user-events", {
					bearer: this.guest.access_token,
					headers: this.last_id === "" ? {} :
					    { "last-event-id": this.last_id },
				});
			} catch (error) {
				this.failures.push(`stream: ${error.message}`);
				continue;
			}
			if (stream.status !== 200)
				this.failures.push(`stream: ${stream.status}`);
			this.streams++;
			while (!stream.ended && !quiet)
				await sleep(20);
			stream.close();
		}
	}

	hear({ id, event, data }) {
		if (id !== undefined) {
			this.backwards += Number(id) < Number(this.last_id);
			this.last_id = id;
		}
		for (const job of event === "snapshot" ? data.jobs :
		    event === "job" ? [data] : [])
			this.told.set(job.job_id, job.status);
		this.credits = data.credits_remaining ?? this.credits;
	}

	/** Was it told of all that became of its jobs? */
	async knowsAll() {
		const { credits_remaining } = await this.ask("credits", () =>
		    rendio.request("GET", "/functions/v1/get-user-credits",
			{ bearer: this.guest.access_token }));
		return this.credits === credits_remaining && this.jobs.every(
		    (job) => this.told.get(job) === "completed");
	}
}

let over = false, quiet = false;

test(`${UPGRADES} upgrades and rollbacks under load: nothing fails`,
    async (t) => {
	const phones = [];
	for (let i = 0; i < PHONES; i++)
		phones.push(new Phone(await rendio.guest(`upgrade-${i}`)));
	const lives = phones.flatMap((phone) => [phone.use(), phone.listen()]);
	const running = () => fs.readlinkSync(path.join(lib, "current"));

	try {
		for (let i = 0; i < UPGRADES; i++) {
			await unpack("two");
			assert.equal(running(), "kept");
			const there = await rendioUpgrade();
			assert.equal(there.code, 0, there.stderr);
			assert.equal(running(), "release");
			const back = await rendioUpgrade("back");
			assert.equal(back.code, 0, back.stderr);
			assert.equal(running(), "kept");
		}
	} finally {
		over = true;
		await Promise.all(phones.map((_, i) => lives[2 * i]));
	}
	const ended = await until(async () => {
		for (const phone of phones)
			if (!await phone.knowsAll())
				return false;
		return true;
	}, 120_000);
	quiet = true;
	await Promise.all(lives);
	const sum = (name) => phones.reduce((n, phone) => n +
	    (phone[name].length ?? phone[name]), 0);
	t.diagnostic(`${sum("requests")} requests, ${sum("jobs")} jobs, ` +
	    `${sum("streams")} streams, ${sum("failures")} failed`);
	if (sum("failures") > 0)
		t.diagnostic(rendio.log().filter((line) =>
		    /\[error\]|"level":"error"/.test(line)).join("\n"));
	assert.deepEqual(phones.flatMap((phone) => phone.failures), []);
	assert.ok(ended, "a stream did not tell the end of a job");
	assert.equal(sum("backwards"), 0);
	assert.ok(sum("streams") >= PHONES * (1 + UPGRADES));
	const audit = await rendio.cli("audit");
	assert.equal(audit.code, 0, audit.stdout);
});

test("programs that do not answer are taken back; who needed them comes again",
    async () => {
	const before = fs.readlinkSync(path.join(lib, "current"));
	await unpack("two");
	const bad = path.join(lib, "release/cgi-bin/get-themes");
	fs.rmSync(bad);
	fs.writeFileSync(bad, "#!/bin/sh\nsleep 1\nexit 1\n", { mode: 0o755 });
	const waiting = rendioUpgrade();
	const seen = new Set();
	let over = false;
	const asking = (async () => {
		while (!over)
			seen.add((await rendio.request("GET",
			    "/functions/v1/get-themes")).status);
	})();

	const done = await waiting;
	over = true;
	await asking;
	assert.equal(done.code, 1, done.stderr);
	assert.match(done.stderr, /get-themes answers/);
	assert.equal(fs.readlinkSync(path.join(lib, "current")), before);
	// Who waited for more than ten seconds is told to.
	assert.deepEqual([...seen].filter((status) => status !== 503), [200]);
});

test("a release that the schema has left behind is not taken back", async () => {
	await sql(rendio, "UPDATE schema_state SET compatible_from = 1000000");
	const release = await rendioUpgrade("back");
	assert.equal(release.code, 1);
	assert.match(release.stderr, /cannot work with the schema/);
});
