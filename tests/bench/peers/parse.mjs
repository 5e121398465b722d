// SPDX-License-Identifier: MIT
//
// The peer on Parse Server (parse/cloud.mjs) and PostgreSQL, with a process for
// each processor: `parse-server --cluster`.  Its users and jobs come by SQL into
// the tables that Parse has made.

import { spawn, spawnSync } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { PROMPT, work } from "../load.mjs";

const here = fileURLToPath(new URL("parse/", import.meta.url));
const server = path.join(here, "node_modules/parse-server/bin/parse-server");
const DEBIAN = "/usr/lib/postgresql";
const START_S_MAX = 60;
export const PARSE_PORT = 18082;
const POSTGRES_PORT = 18083;

/** Its programs are in a directory for each version; the newest. */
function postgres(program) {
	const [newest] = fs.readdirSync(DEBIAN)
	    .sort((a, b) => Number(b) - Number(a));
	return path.join(DEBIAN, newest, "bin", program);
}

/** PostgreSQL does not run as root. */
const asOther = (args) => process.getuid() === 0 ?
    ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups",
	...args] : args;

function must([program, ...args], input = "") {
	const { status, stderr, error } = spawnSync(program, args,
	    { input, encoding: "utf8" });
	if (status !== 0)
		throw new Error(`${program} ${args[0]}: ${error ?? stderr}`);
}

async function until(what, probe) {
	for (let i = 0; i < START_S_MAX * 5; i++) {
		if (await probe())
			return;
		await sleep(200);
	}
	throw new Error(`${what} does not start`);
}

/** A cluster of its own, with the settings of Debian: each commit is synced. */
async function startPostgres(keep) {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-postgres-"));
	process.once("exit", () => fs.rmSync(dir, { recursive: true }));
	if (process.getuid() === 0)
		must(["chown", "postgres:", dir]);
	const data = path.join(dir, "data");
	must(asOther([postgres("initdb"), "-D", data, "-U", "parse", "-A", "trust",
		"-E", "UTF8", "--locale=C.UTF-8"]));
	const [program, ...args] = asOther([postgres("postgres"), "-D", data,
		"-c", "listen_addresses=127.0.0.1", "-c", `port=${POSTGRES_PORT}`,
		"-c", `unix_socket_directories=${dir}`, "-c", "log_min_messages=fatal"]);
	const child = keep(program, args);
	const psql = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", dir, "-p",
		String(POSTGRES_PORT), "-U", "parse", "-d"];
	await until("PostgreSQL", () => spawnSync(psql[0],
	    [...psql.slice(1), "postgres", "-c", "SELECT 1"]).status === 0);
	must([...psql, "postgres", "-c", "CREATE DATABASE parse"]);
	return { child, sql: (text) => must([...psql, "parse"], text) };
}

function configure(name, more) {
	const file = path.join(work, `${name}.json`);
	fs.writeFileSync(file, JSON.stringify({
		appId: "bench", masterKey: randomUUID(), host: "127.0.0.1",
		port: PARSE_PORT, mountPath: "/parse", silent: true,
		serverURL: `http://127.0.0.1:${PARSE_PORT}/parse`,
		databaseURI: `postgres://parse@127.0.0.1:${POSTGRES_PORT}/parse` +
		    "?max=20",
		cloud: path.join(here, "cloud.mjs"), logLevel: "error",
		logsFolder: null, enableInsecureAuthAdapters: false,
		allowClientClassCreation: false, enforcePrivateUsers: true,
		encodeParseObjectInCloudFunction: true, ...more }));
	return file;
}

const isUp = async () => {
	try {
		const res = await fetch(`http://127.0.0.1:${PARSE_PORT}/parse/health`);
		return (await res.json()).status === "ok";
	} catch {
		return false;
	}
};

/** Parse makes its tables, alone, before several processes use them. */
async function makeTables(env) {
	const definitions = JSON.parse(fs.readFileSync(
	    path.join(here, "schema.json"), "utf8"));
	const child = spawn(process.execPath, [server,
		configure("parse-tables", { schema: { definitions } })],
	    { cwd: os.tmpdir(), env, stdio: ["ignore", "ignore", "inherit"] });
	const ended = new Promise((resolve) => child.once("exit", resolve));
	try {
		await until("Parse Server", isUp);
	} finally {
		child.kill();
		await ended;
	}
}

/** The same users and jobs as those of the other peers. */
function fill(count, jobs) {
	const users = [], rows = { user: [], session: [], lot: [], job: [] };
	for (let i = 0; i < count; i++) {
		const id = `u${String(i).padStart(9, "0")}`;
		const token = `r:${createHash("md5").update(randomUUID())
		    .digest("hex")}`;
		const user = { id, jobs: [], headers: {
			"X-Parse-Application-Id": "bench",
			"X-Parse-Session-Token": token } };
		users.push(user);
		rows.user.push(`('${id}', '${id}', now(), now(), 'active', 1000000,
		    0, '')`);
		rows.session.push(`('s${id.slice(1)}', '${token}', '${id}', now(),
		    now(), now() + interval '1 day')`);
		rows.lot.push(`('l${id.slice(1)}', '${id}', now(), now(), 1000000)`);
		for (let j = 0; j < jobs; j++) {
			user.jobs.push(randomUUID());
			rows.job.push(`('${String(i * jobs + j).padStart(10, "0")}',
			    '${user.jobs[j]}', '${id}', 'veo0000001', 'Veo',
			    '${PROMPT}', 4, 'completed',
			    now() - interval '${jobs - j} seconds', now())`);
		}
	}
	const times = '"createdAt", "updatedAt"';
	return { users, sql: `
INSERT INTO "Model" ("objectId", name, "creditsPerSecond", "isActive", ${times})
    VALUES ('veo0000001', 'Veo', 1, true, now(), now());
INSERT INTO "_User" ("objectId", username, ${times}, status, credits,
    "ledgerNumber", "ledgerHash") VALUES ${rows.user};
INSERT INTO "_Session" ("objectId", "sessionToken", "user", ${times}, "expiresAt")
    VALUES ${rows.session};
INSERT INTO "CreditLot" ("objectId", "user", ${times}, remaining)
    VALUES ${rows.lot};
INSERT INTO "Job" ("objectId", "jobId", "user", model, "modelName", prompt, cost,
    state, ${times}) VALUES ${rows.job};` };
}

/** Throws when something is missing; keep() starts a program that is ended. */
export async function startParse(keep, secret, count, jobs) {
	if (!fs.existsSync(server) || !fs.existsSync(DEBIAN))
		throw new Error("it is not installed");
	const env = { ...process.env, SECRET: secret, NODE_ENV: "production" };
	const { child, sql } = await startPostgres(keep);
	await makeTables(env);
	const { users, sql: rows } = fill(count, jobs);
	sql(rows);
	sql(fs.readFileSync(path.join(here, "indexes.sql"), "utf8"));
	const parse = keep(process.execPath, [server,
		configure("parse", { cluster: os.availableParallelism() })], env);
	await until("Parse Server", isUp);
	return { users, children: [parse, child] };
}
