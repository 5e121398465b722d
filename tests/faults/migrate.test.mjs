// SPDX-License-Identifier: MIT
//
// `rendio migrate` dies at each of its calls to the system in turn, within a
// write, or the power goes (calls.h).  The database is at a schema that it had
// between two migrations, whoever migrates next comes to the newest, and every
// row is what it was.
//
// In `make test` some of the calls, with RENDIO_LONG=1 all; RENDIO_SEED takes
// others.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { AppStore, post } from "../api/support/appstore.mjs";
import { sql } from "../api/support/database.mjs";
import { assertAuditClean } from "../api/support/expect.mjs";
import { root, start } from "../api/support/instance.mjs";
import { endOf, orderJob } from "../api/support/jobs.mjs";
import { IS_LONG, often } from "./chance.mjs";
import { Plan } from "./plan.mjs";

/** Before the table in which compatibility is written. */
const OLD = 14;
const SEED = Number(process.env.RENDIO_SEED ?? Date.now() % 2 ** 31);
/** So many calls of each kind of death. */
const POINTS = often(32);

const migrations = fs.readdirSync(path.join(root, "db/migrations")).sort();
const plan = new Plan();
let rendio, old, rows;

/** All that the old schema knows, row by row, as text. */
async function contents(tables) {
	const all = Object.entries(tables).map(([table, columns]) =>
	    `SELECT '${table}' AS name, ${columns.map((column) =>
		`quote(${column})`).join(" || ' ' || ")} AS row FROM ${table}`);
	return await sql(rendio, `${all.join(" UNION ALL ")} ORDER BY 1, 2`);
}

function put(file) {
	for (const end of ["", "-wal", "-shm"])
		fs.rmSync(rendio.file(`rendio.db${end}`), { force: true });
	fs.copyFileSync(file, rendio.file("rendio.db"));
}

/** A database of the old schema, with the rows of what is there now. */
async function makeOld() {
	const made = rendio.file("old.db");
	const script = migrations.slice(0, OLD).map((name) => fs.readFileSync(
	    path.join(root, "db/migrations", name), "utf8"));

	execFileSync("sqlite3", ["-bail", made], { input: [
		"PRAGMA journal_mode = WAL; BEGIN;", ...script,
		`PRAGMA user_version = ${OLD};`,
		"PRAGMA application_id = 1380273732; COMMIT;"].join("\n") });
	const now = rendio.file("now.db");
	fs.renameSync(rendio.file("rendio.db"), now);
	put(made);
	const tables = {};
	for (const { name, column } of await sql(rendio, "SELECT m.name," +
	    " c.name AS column FROM sqlite_master AS m, pragma_table_info(m.name)" +
	    " AS c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"))
		(tables[name] ??= []).push(column);
	await sql(rendio, `PRAGMA foreign_keys = OFF; ATTACH '${now}' AS now;
	    BEGIN; ${Object.entries(tables).map(([table, columns]) =>
		`DELETE FROM ${table}; INSERT INTO ${table} (${columns}) SELECT ${
		    columns} FROM now.${table};`).join("")} COMMIT;
	    PRAGMA wal_checkpoint(TRUNCATE)`);
	fs.copyFileSync(rendio.file("rendio.db"), made);
	rows = await contents(tables);
	return { file: made, tables };
}

before(async () => {
	rendio = await start(plan.settings({ RENDIO_FFMPEG: "" }));
	const ada = await rendio.guest("ada");
	await rendio.cli("user", "grant", ada.user_id, "100", "--reason", "tests");
	const store = new AppStore(rendio);
	assert.equal((await post(rendio, ada, { signed_transaction:
	    store.sign(store.transaction()) })).status, 200);
	for (const prompt of ["A sea", "[fail:provider]"])
		await endOf(rendio, ada, await orderJob(rendio, ada, { prompt }));
	await rendio.halt();
	await sql(rendio, "PRAGMA wal_checkpoint(TRUNCATE)");
	old = await makeOld();
});
after(() => rendio.stop());

const version = async () => (await sql(rendio,
    "SELECT user_version AS n FROM pragma_user_version"))[0].n;

async function assertWhole() {
	const again = await rendio.cli("migrate");
	assert.equal(again.code, 0, again.stderr);
	assert.equal(await version(), migrations.length);
	assert.deepEqual(await contents(old.tables), rows);
	await assertAuditClean(rendio);
}

test("an old database comes to the newest schema with all its rows", async () => {
	assert.ok(rows.filter(({ name }) => name === "ledger_entries")
	    .length >= 6);
	put(old.file);
	await assertWhole();
});

for (const fault of ["kill", "torn", "power"])
	test(`${fault} at each call of a migration leaves a schema, and goes on`,
	    async (t) => {
		// How many there are: none is the last of so many.
		put(old.file);
		plan.arm("rendio", fault, 2 ** 40);
		assert.equal((await rendio.cli("migrate")).code, 0);
		const calls = plan.calls();
		assert.ok(calls > 0);
		const step = IS_LONG ? 1 : Math.max(1, Math.floor(calls / POINTS));
		const versions = new Set();
		let points = 0;
		for (let n = 1 + SEED % step; n <= calls; n += step) {
			put(old.file);
			plan.arm("rendio", fault, n);
			await rendio.cli("migrate");
			assert.equal(plan.hits(), 1);
			plan.disarm();
			points++;
			versions.add(await version());
			await assertWhole();
		}
		for (const n of versions)
			assert.ok(n >= OLD && n <= migrations.length);
		t.diagnostic(`${points} of ${calls} calls, schemas ${
		    [...versions]}, RENDIO_SEED=${SEED}`);
	});
