// SPDX-License-Identifier: MIT
// docs/abuse.md: every row is there, and every test that it names.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { root } from "../support/instance.mjs";

/** How many rows each area of the catalogue has. */
const AREAS = { H: 33, D: 18, T: 22, M: 13, U: 18, I: 25, N: 15, G: 31, J: 12,
	W: 16, F: 26, R: 10, O: 18 };

const text = fs.readFileSync(path.join(root, "docs", "abuse.md"), "utf8");
const rows = [...text.matchAll(
    /^\| ([A-Z]\d\d) \| (.+) \| (.+) \| (.+) \|$/gm)]
    .map(([, id, tried, ends, where]) => ({ id, tried, ends, where }));

/** The source of a test file, by the name that the table gives it. */
function sourceOf(name) {
	const file = name.startsWith("unit/") ? `tests/${name}.c` :
	    name.startsWith("faults/") ? `tests/${name}.test.mjs` :
		`tests/api/${name}.test.mjs`;
	return fs.readFileSync(path.join(root, file), "utf8");
}

/** A title as one text, though its source may be cut into lines. */
const joined = (source) => source.replace(/"\s*\+\s*"|`\s*\+\s*"|"\s*\+\s*`/g,
    "").replace(/\$\{[^}]*\} ?/g, "");

test("every row of the catalogue is there once", () => {
	assert.deepEqual(rows.map(({ id }) => id),
	    Object.entries(AREAS).flatMap(([area, count]) =>
		Array.from({ length: count }, (_, i) =>
		    area + String(i + 1).padStart(2, "0"))));
});

test("every test that is named is there", () => {
	for (const { id, where } of rows) {
		if (where.startsWith("not a test: "))
			continue;
		const [, name, title] = /^([\w/-]+): (.+)$/.exec(where) ?? [];
		assert.ok(title, `${id}: ${where}`);
		assert.ok(joined(sourceOf(name)).includes(title),
		    `${id}: ${where}`);
	}
});

test("each file that is named and starts an instance audits its books", () => {
	for (const { id, where } of rows) {
		const [name] = where.split(": ");
		// The last of these moves jobs by hand, past all accounts.
		if (name === "not a test" || name.startsWith("unit/") ||
		    name === "faults/streams")
			continue;
		const source = sourceOf(name);
		if (/ start\(/.test(source))
			assert.match(source,
			    /stopClean\(|assertAuditClean\(|cli\("audit"/,
			    `${id}: ${name}`);
	}
});

test("docs/security.md names the rows that go another way than nginx", () => {
	const [, named] = /^\| abuse \| (.*)$/m.exec(fs.readFileSync(
	    path.join(root, "docs", "security.md"), "utf8"));
	for (const { id, where } of rows)
		if (/^(unit\/|not a test|inventory|verify-jws)/.test(where))
			assert.match(named, new RegExp(`\\b${id}\\b`));
});

test("each class of OWASP's has its rows", () => {
	const ids = new Set(rows.map(({ id }) => id));
	const classes = [...text.matchAll(/^\| API(\d+) .+ \| .+ \| (.+) \|$/gm)];

	assert.deepEqual(classes.map(([, n]) => Number(n)),
	    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
	for (const [, n, list] of classes)
		for (const id of list.split(" "))
			assert.ok(ids.has(id), `API${n}: ${id}`);
});
