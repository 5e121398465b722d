// SPDX-License-Identifier: MIT
// The database from beside, for what no call of ours can bring about: old
// sessions, a lock that is held, a broken table.

import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

// The worker is the only checkpointer.
const setup = ["-cmd", "PRAGMA busy_timeout = 10000;",
	"-cmd", "PRAGMA wal_autocheckpoint = 0;"];

/** Runs SQL and gives its rows as objects. */
export async function sql(rendio, text) {
	const { stdout } = await run("sqlite3", ["-batch", "-bail", ...setup,
		"-cmd", ".print ROWS", "-json", rendio.file("rendio.db"), text],
	    { maxBuffer: 64 * 1024 * 1024 });
	const rows = stdout.slice(stdout.indexOf("ROWS\n") + 5).trim();
	return rows === "" ? [] : JSON.parse(rows);
}

/** The literal of an id. */
export function id(uuid) {
	return `x'${uuid.replaceAll("-", "")}'`;
}

/** Gives these tables another name while `during` runs. */
export async function whileGone(rendio, tables, during) {
	const rename = async (from, to) => await sql(rendio, "BEGIN;" +
	    tables.map((name) => `ALTER TABLE ${from(name)} RENAME TO` +
		` ${to(name)};`).join("") + "COMMIT");
	const away = (name) => `${name}_gone`;
	const here = (name) => name;

	await rename(here, away);
	try {
		return await during();
	} finally {
		await rename(away, here);
	}
}

/** A connection beside that has run `begin` while `during` runs. */
async function whileHeld(rendio, begin, during) {
	const child = spawn("sqlite3", ["-batch", ...setup,
		rendio.file("rendio.db")], { stdio: ["pipe", "pipe", "inherit"] });
	const ended = new Promise((resolve) => child.once("close", resolve));

	try {
		await new Promise((resolve, reject) => {
			let text = "";
			child.once("error", reject);
			child.stdout.setEncoding("utf8").on("data", (part) => {
				text += part;
				if (text.includes("HELD"))
					resolve();
			});
			child.stdin.write(`${begin}\n.print HELD\n`);
		});
		return await during();
	} finally {
		child.stdin.end("ROLLBACK;\n");
		await ended;
	}
}

/** Holds the write lock while `during` runs. */
export async function whileLocked(rendio, during) {
	return await whileHeld(rendio, "BEGIN IMMEDIATE;", during);
}

/** Reads, and goes on seeing that moment, while `during` runs. */
export async function whileRead(rendio, during) {
	return await whileHeld(rendio, "BEGIN; SELECT COUNT(*) FROM users;",
	    during);
}
