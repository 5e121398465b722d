// SPDX-License-Identifier: MIT
// The SQL of the domain, statement by statement, against the real schema: each
// can be prepared, reads by an index, and binds what it is given.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { root } from "./support/instance.mjs";

// Few rows, all of which are shown; "parts" are rows of a selection within.
const SMALL = ["models", "model_prices", "themes", "products",
	"subscription_products", "admins", "parts"];

// Partial indexes that hold nothing but what is waiting.
const QUEUES = ["provider_reports_to_handle", "objects_to_delete",
	"jobs_open_by_user", "jobs_to_submit", "attempts_in_flight",
	// What we owe is what is left of all lots that something is left of.
	"credit_lots_to_burn"];

// Columns that have few values, so that an index by them finds too much.
const COARSE = ["bucket", "state", "kind", "status", "company", "provider",
	"environment", "source", "tier", "is_active"];

// The audit and a backup read everything: that is their task.
const READS_EVERYTHING = ["audit.c", "audit_checks.c",
	"audit_purchases.c", "manifest.c"];

const domain = path.join(root, "lib/domain");
const TOKEN = new RegExp([
	String.raw`/\*[^]*?\*/`,			// comment
	String.raw`"(?:[^"\\]|\\.)*"`,			// string
	String.raw`'(?:[^'\\]|\\.)*'`,			// character
	String.raw`[A-Za-z_]\w*`,			// word
	String.raw`\S`,
].join("|"), "g");

/** The tokens of C, without comments: [text, offset]. */
function tokens(text) {
	return [...text.matchAll(TOKEN)].filter(([token]) =>
	    !token.startsWith("/*")).map((match) => [match[0], match.index]);
}

const DEFINITION = /^#define (\w+)((?:.*\\\n)*.*)$/gm;

/** The strings that #define gives a name to. */
function macros(source) {
	const found = new Map();
	for (const [, name, value] of source.matchAll(DEFINITION)) {
		const strings = tokens(value.replaceAll("\\\n", " "))
		    .map(([token]) => token);
		if (strings.length > 0 &&
		    strings.every((token) => token.startsWith('"')))
			found.set(name, strings.map(JSON.parse).join(""));
	}
	return found;
}

/** Every statement in a file: { line, variable, sql }. */
function statements(source) {
	const named = macros(source);
	const all = tokens(source.replace(DEFINITION,
	    (text) => text.replace(/[^\n]/g, " ")));
	const found = [];
	let variable, sql = "", begin = 0;

	for (const [token, offset] of all) {
		const text = token.startsWith('"') ? JSON.parse(token) :
		    named.get(token);
		if (text !== undefined) {
			// Adjacent strings are one.
			if (sql === "")
				begin = offset;
			sql += text;
			continue;
		}
		if (/^(SELECT|INSERT|UPDATE|DELETE|WITH)\b/.test(sql))
			found.push({ variable, sql, line:
			    source.slice(0, begin).split("\n").length });
		sql = "";
		if (/^\w+$/.test(token))
			variable = token;
	}
	return found;
}

const files = fs.readdirSync(domain)
    .filter((name) => name.endsWith(".c") && !READS_EVERYTHING.includes(name));
let database;

before(() => {
	const migrations = fs.readdirSync(path.join(root, "db/migrations")).sort()
	    .map((name) => path.join(root, "db/migrations", name));
	const script = [...migrations, path.join(root, "db/seed.sql")]
	    .map((file) => fs.readFileSync(file, "utf8")).join("\n");

	database = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "rendio-")),
	    "schema.db");
	execFileSync("sqlite3", ["-batch", "-bail", database],
	    { input: `BEGIN;${script};COMMIT;` });
});
after(() => fs.rmSync(path.dirname(database), { recursive: true }));

/** The steps of the plan; throws what SQLite says of a bad statement. */
function steps(text) {
	const out = execFileSync("sqlite3", ["-batch", "-bail", database,
		`EXPLAIN QUERY PLAN ${text}`], { encoding: "utf8",
		stdio: ["ignore", "pipe", "pipe"] });
	// It draws a tree.
	return out.split("\n").slice(1).filter((line) => line !== "")
	    .map((line) => line.replace(/^[ |`-]+/, ""));
}

/**
 * A step that reads a whole table, or all of it that an id is less than, or that
 * has a word which a large part of the table has.
 */
function isFullScan(step) {
	const [, searched, by, columns] =
	    /^SEARCH (\w+) USING .*INDEX (\w+) \(([^)]*)\)/.exec(step) ?? [];
	if (searched !== undefined && !SMALL.includes(searched) &&
	    !QUEUES.includes(by) && columns.split(" AND ").every((column) =>
		COARSE.includes(column.replace(/[=<>].*/, ""))))
		return true;
	if (/^SEARCH .* INDEX sqlite_autoindex_\w+ \(\w+[<>]/.test(step))
		return true;
	const [, table, index] =
	    /^SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?/.exec(step) ?? [];
	if (table === undefined || step === "SCAN CONSTANT ROW")
		return false;
	return !SMALL.includes(table) && !QUEUES.includes(index);
}

for (const file of files) {
	const source = fs.readFileSync(path.join(domain, file), "utf8");
	const found = statements(source);

	test(`${file}: only literals are prepared`, () => {
		const literals = found.map(({ variable }) => variable);
		const matches = (pattern) => [...source.matchAll(pattern)]
		    .map(([, name]) => name);

		for (const name of
		    matches(/\bdb_prepare\(\s*\w+,\s*([^)]*)\)/g))
			assert.ok(name.endsWith("->sql") ||
			    literals.includes(name), name);
		// Nothing that looks like one was overlooked here.
		assert.deepEqual(literals.filter((name) => name.endsWith("sql")),
		    matches(/\bstatic const char (\w*sql)\[\]/g));
	});

	for (const { line, sql } of found) {
		test(`${file}:${line} is prepared and reads by an index`, () => {
			assert.doesNotMatch(sql, /%[-+ #0-9.*]*[a-zA-Z]/,
			    "a value is bound, never printed");
			for (const step of steps(sql))
				assert.ok(!isFullScan(step), `${step}\n${sql}`);
		});
	}
}

test("the plan's words are understood: a scan without an index is found", () => {
	assert.ok(steps("SELECT * FROM users WHERE email = ?1").some(isFullScan));
	assert.ok(steps("SELECT count(*) FROM jobs").some(isFullScan));
	assert.ok(steps("SELECT 1 FROM jobs WHERE prompt = ?1 AND id < ?2")
	    .some(isFullScan));
	assert.ok(steps("SELECT id FROM objects WHERE bucket = ?1" +
	    " AND state = 'stored'").some(isFullScan));
	assert.ok(!steps("SELECT * FROM users WHERE id = ?1").some(isFullScan));
	assert.throws(() => steps("SELECT nothing FROM nowhere"));
});
