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
import { promisify } from "node:util";
import { sql } from "../api/support/database.mjs";
import { build, plainEnv, root, start }
    from "../api/support/instance.mjs";
import { Phones } from "./phones.mjs";

const UPGRADES = Number(process.env.RENDIO_UPGRADES ?? 1);
const PHONES = 4;

// A phone orders for less than the gift, and the most a grant may be, in so many.
const PAID_UPGRADES = 25;

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

test(`${UPGRADES} upgrades and rollbacks under load: nothing fails`,
    async (t) => {
	const phones = await Phones.start(rendio, PHONES);
	const running = () => fs.readlinkSync(path.join(lib, "current"));

	try {
		for (let i = 0; i < UPGRADES; i++) {
			if (i % PAID_UPGRADES === PAID_UPGRADES - 1)
				for (const { guest } of phones.all)
					await rendio.cli("user", "grant",
					    guest.user_id, "10000", "--reason",
					    "a long run");
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
		await phones.rest();
	}
	t.diagnostic(phones.summary());
	if (phones.failures.length > 0)
		t.diagnostic(rendio.log().filter((line) =>
		    /\[error\]|"level":"error"/.test(line)).join("\n"));
	phones.assertWell();
	assert.ok(phones.streams >= PHONES * (1 + UPGRADES));
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
