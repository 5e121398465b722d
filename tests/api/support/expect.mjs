// SPDX-License-Identifier: MIT
// What answers have in common, as assertions.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { sql } from "./database.mjs";
import { until } from "./instance.mjs";

export const UUID =
    /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
export const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** An error's body, as each area of the API writes it. */
const dialects = {
	functions(res, body, code) {
		assert.equal(typeof body.error, "string");
		assert.notEqual(body.error, "");
		assert.equal(body.code, code, res.text);
		assert.match(body.error_code, /^ERR_[456]00[1-9]$/);
		assert.equal(body.request_id, res.headers["x-request-id"]);
	},
	auth(res, body, code) {
		assert.deepEqual(Object.keys(body),
		    ["code", "error_code", "message", "msg"]);
		assert.equal(body.code, code, res.text);
		assert.equal(body.error_code, code);
		assert.equal(body.msg, body.message);
		// Without this header supabase-js does not believe the code.
		assert.equal(res.headers["x-supabase-api-version"], "2024-01-01");
	},
	rest(res, body, code) {
		assert.equal(body.code, code, res.text);
		assert.equal(typeof body.message, "string");
		assert.equal(body.details, null);
		assert.equal(body.hint, null);
	},
	storage(res, body, code) {
		assert.equal(body.code, code, res.text);
		assert.equal(body.statusCode, String(res.status));
		assert.equal(typeof body.error, "string");
		assert.equal(typeof body.message, "string");
	},
};

/** The answer is this error, in the form of its area. */
export function assertError(res, status, code, dialect = "functions") {
	assert.equal(res.status, status, res.text);
	assert.equal(res.headers["content-type"], "application/json");
	assert.equal(Number(res.headers["content-length"]), res.bytes.length);
	assert.equal(res.headers["cache-control"], "no-store");
	dialects[dialect](res, res.json(), code);
	if (status === 503)
		assert.match(res.headers["retry-after"], /^[1-9]\d*$/);
}

/** A good answer of a function, about one person; gives its body. */
export function assertPersonal(res) {
	assert.equal(res.status, 200, res.text);
	assert.equal(res.headers["content-type"], "application/json");
	assert.equal(Number(res.headers["content-length"]), res.bytes.length);
	assert.equal(res.headers["cache-control"], "no-store");
	return res.json();
}

/** The line that an endpoint logged of this request. */
export async function requestLine(rendio, res) {
	const lines = (await rendio.logOf(res.headers["x-request-id"]))
	    .map((line) => JSON.parse(line))
	    .filter((line) => line.event === "request");
	assert.equal(lines.length, 1);
	return lines[0];
}

/** What is asked for is logged as this error, which the worker counts. */
export async function assertIncident(rendio, ask, error) {
	const counted = async () => (await sql(rendio, "SELECT" +
	    " COALESCE(SUM(count), 0) AS n FROM error_minutes"))[0].n;
	const before = await counted();
	const res = await ask();
	const lines = (await rendio.logOf(res.headers["x-request-id"]))
	    .map((line) => JSON.parse(line))
	    .filter((line) => line.level === "error");
	assert.equal(lines.length, 1, res.text);
	assert.deepEqual({ ...lines[0], ...error }, lines[0]);
	assert.ok(await until(async () => await counted() > before, 30_000),
	    "it is not counted");
	return res;
}

/** A slow query is a red test: the request ran this many at most. */
export async function assertStatements(rendio, res, max) {
	const { sql } = await requestLine(rendio, res);
	assert.ok(sql >= 0 && sql <= max, `${sql} statements, ${max} allowed`);
}

/** The same of all that this instance has answered so far. */
export function assertBudget(rendio, program, max) {
	const costs = rendio.log().filter((line) => line.startsWith("{"))
	    .map((line) => JSON.parse(line))
	    .filter((line) => line.event === "request" &&
		line.program === program)
	    .map((line) => line.sql);
	assert.ok(costs.length > 0, "nothing was asked");
	assert.ok(Math.max(...costs) <= max,
	    `${Math.max(...costs)} statements, ${max} allowed`);
}

/** The operator's audit finds nothing. */
export async function assertAuditClean(rendio) {
	const { code, stdout, stderr } = await rendio.cli("audit");
	assert.equal(code, 0, stdout + stderr);
}

/** Ends an instance, whose books must be in order, and the fakes beside it. */
export async function stopClean(rendio, ...fakes) {
	try {
		await assertAuditClean(rendio);
	} finally {
		for (const one of [rendio, ...fakes])
			await one.stop();
	}
}

/** An error of ours: these words, and no other that could tell of us. */
export function assertTellsNothing(res, dialect = "functions") {
	const [code, text] = res.status === 503 ?
	    ["service_unavailable", "Please try again in a moment"] :
	    [dialect === "auth" ? "unexpected_failure" : "internal",
		"Something went wrong on our side"];

	assertError(res, res.status === 503 ? 503 : 500, code, dialect);
	const { error_code, request_id, statusCode, ...rest } = res.json();
	for (const value of Object.values(rest))
		assert.ok([code, text, null].includes(value), res.text);
	assert.doesNotMatch(res.rawHeaders.join("\n"),
	    /sqlite|\.db\b|\.c:|no such|errno/i);
}

/** None of these texts stands in any file that was logged to. */
export async function assertNotLogged(rendio, secrets) {
	const last = await rendio.request("GET", "/health");
	// Lines are written in order, so those before it are all there.
	assert.ok(await rendio.accessLogOf(last.headers["x-request-id"]));
	assert.ok(await until(() => rendio.log().some((line) =>
	    line.includes(last.headers["x-request-id"]))));

	const files = fs.readdirSync(rendio.file("log"), { recursive: true })
	    .map((name) => rendio.file("log", name))
	    .filter((name) => fs.statSync(name).isFile());
	assert.ok(files.length >= 2);
	for (const file of files) {
		const text = fs.readFileSync(file, "utf8");
		for (const [what, secret] of Object.entries(secrets))
			assert.ok(!text.includes(secret),
			    `${path.basename(file)} tells the ${what}`);
	}
	for (const [what, secret] of Object.entries(secrets))
		assert.ok(!rendio.output.includes(secret),
		    `the terminal shows the ${what}`);
}
