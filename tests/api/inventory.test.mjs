// SPDX-License-Identifier: MIT
// The endpoints are the same wherever they are listed: as programs, as nginx's
// locations, as test files, and in the documentation.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { description, endpoints, sources } from "./support/endpoints.mjs";
import { root } from "./support/instance.mjs";

const all = endpoints();
// The stand-in for a video company is no part of the API.
const api = all.filter((endpoint) => !endpoint.path.startsWith("/_"));
const live = all.filter((endpoint) => !endpoint.isSandboxOnly);

// What the realtime engine serves has no program of its own.
const streams = [...fs.readFileSync(
    path.join(root, "nginx/realtime.conf.in"), "utf8")
    .matchAll(/^location = (\S+) \{$/gm)].map(([, url]) => url);

let state;

before(() => {
	state = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-"));
});
after(() => fs.rmSync(state, { recursive: true }));

/** The locations that are written for a mode: { path: directives }. */
function locations(mode) {
	const dir = path.join(state, mode);
	execFileSync(path.join(root, "deploy/nginx-config"), [dir], {
		input: sources().map(description).join(""),
		env: { ...process.env, RENDIO_MODE: mode, RENDIO_PORT: "8443",
			RENDIO_STATE_DIR: state,
			RENDIO_PUBLIC_URL: "https://127.0.0.1:8443",
			RENDIO_TRUSTED_PROXIES: "", RENDIO_ANON_KEY: "k" },
	});
	const text = ["locations.conf", "sandbox.conf"].map((name) =>
	    fs.readFileSync(path.join(dir, name), "utf8")).join("");
	return Object.fromEntries([...text.matchAll(
	    /^location (=|\^~) (\S+) \{\n([^]*?)^\}/gm)]
	    .map(([, sign, url, body]) => [`${sign} ${url}`, body]));
}

test("an endpoint is named as its file", () => {
	for (const endpoint of all)
		assert.equal(endpoint.name, endpoint.source);
});

test("every endpoint has a budget of statements in its tests", () => {
	for (const { name } of live)
		assert.match(fs.readFileSync(path.join(root,
		    `tests/api/${name}.test.mjs`), "utf8"),
		    /assert(Statements|Budget)\(rendio/, name);
});

test("no two endpoints have one path", () => {
	const paths = all.map((endpoint) => endpoint.path);
	assert.equal(new Set(paths).size, paths.length);
});

test("a function's path is its name", () => {
	for (const { name, path: url } of api)
		if (url.startsWith("/functions/v1/"))
			assert.equal(url.replace(/\/$/, ""),
			    `/functions/v1/${name}`);
});

for (const [mode, expected] of [["sandbox", all], ["live", live]]) {
	test(`nginx has a location for each endpoint and no other, ${mode}`, () => {
		const written = locations(mode);

		// Beside a prefix stands the path without its slash, closed.
		for (const { isPrefix, path: url } of expected) {
			const bare = `= ${url.slice(0, -1)}`;
			if (!isPrefix || expected.some((other) =>
			    `= ${other.path}` === bare))
				continue;
			assert.match(written[bare], /^\s*return 404;\s*$/);
			delete written[bare];
		}
		assert.deepEqual(Object.keys(written).sort(), expected.map(
		    (endpoint) => `${endpoint.isPrefix ? "^~" : "="} ` +
			endpoint.path).sort());
		for (const endpoint of expected) {
			const body = written[`${endpoint.isPrefix ? "^~" : "="} ` +
			    endpoint.path];
			assert.match(body, new RegExp(
			    `fastcgi_pass unix:\\S*/run/${endpoint.name}\\.sock;`));
			assert.match(body, new RegExp("client_max_body_size " +
			    `${Math.max(1, endpoint.bodyBytesMax)};`));
			// Who hands out no files may not name one to nginx.
			assert.equal(/ignore_headers X-Accel-Redirect/.test(body),
			    !endpoint.sendsFiles);
		}
	});
}

test("each endpoint has a test file that says its path", () => {
	for (const { name, path: url } of api) {
		const file = path.join(root, "tests/api", `${name}.test.mjs`);
		assert.ok(fs.readFileSync(file, "utf8").includes(url), file);
	}
});

test("each endpoint has a section in docs/api.md, and no other is there", () => {
	const headings = fs.readFileSync(path.join(root, "docs/api.md"), "utf8")
	    .split("\n").filter((line) => line.startsWith("#")).join("\n");

	const urls = [...api.map((endpoint) => endpoint.path), ...streams];

	assert.equal(streams.length, 3);
	for (const url of urls)
		assert.ok(headings.includes(url), `no section for ${url}`);
	for (const [url] of
	    headings.matchAll(/\/functions\/v1\/[a-z-]+\/?/g))
		assert.ok(urls.includes(url), `${url} does not exist`);
});

test("each status in an endpoint's header is in its test", () => {
	for (const { name } of api) {
		const [header] = fs.readFileSync(
		    path.join(root, "cgi-bin", `${name}.c`), "utf8")
		    .match(/\/\*\n \* [^]*?\*\//) ?? [""];
		const text = fs.readFileSync(
		    path.join(root, "tests/api", `${name}.test.mjs`), "utf8");
		const statuses = [...header.matchAll(/^ \* +([2-5]\d\d)\b/gm)];
		assert.ok(statuses.length > 0, `${name}: no statuses`);
		for (const [, status] of statuses)
			assert.match(text, new RegExp(`\\b${status}\\b|` +
			    (status === "200" ? "assertPersonal" : "(?!)")),
			    `${name}: ${status} is not tested`);
	}
});
