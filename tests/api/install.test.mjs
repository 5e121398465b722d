// SPDX-License-Identifier: MIT
// make install: what comes to lie where, and what systemd and Debian's nginx
// think of it.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { build, plainEnv, root } from "./support/instance.mjs";

const dest = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-install-"));
const lib = path.join(dest, "usr/lib/rendio");
const units = path.join(dest, "usr/lib/systemd/system");

before(() => {
	execFileSync("make", ["-s", "-o", "all", "install", "PREFIX=/usr",
	    `BUILD=${path.relative(root, build)}`, `DESTDIR=${dest}`],
	    { cwd: root, env: plainEnv() });
});
after(() => fs.rmSync(dest, { recursive: true, force: true }));

const endpoints = () => fs.readFileSync(path.join(lib, "release/endpoints"),
    "utf8").trim().split("\n").map((line) => line.split("\t"));

test("every endpoint has its program and its socket", () => {
	const rows = endpoints();
	const programs = fs.readdirSync(path.join(root, "cgi-bin"))
	    .map((name) => name.replace(/\.c$/, "")).sort();

	assert.deepEqual(rows.map(([name]) => name).sort(), programs);
	for (const [name, , , , , , , where] of rows) {
		fs.accessSync(path.join(lib, "release/cgi-bin", name),
		    fs.constants.X_OK);
		// The stand-ins are for who sets up a sandbox.
		assert.equal(fs.existsSync(path.join(units,
		    "rendio.target.wants", `rendio@${name}.socket`)),
		    where === "any", name);
	}
});

test("an installation over another one leaves nothing of it behind, and what runs",
    () => {
	fs.writeFileSync(path.join(lib, "release/cgi-bin/gone"), "");
	fs.rmSync(path.join(lib, "current"));
	fs.symlinkSync("kept", path.join(lib, "current"));
	execFileSync("make", ["-s", "-o", "all", "install", "PREFIX=/usr",
	    `BUILD=${path.relative(root, build)}`, `DESTDIR=${dest}`],
	    { cwd: root, env: plainEnv() });
	assert.ok(!fs.existsSync(path.join(lib, "release/cgi-bin/gone")));
	assert.equal(fs.readlinkSync(path.join(lib, "current")), "kept");
});

test("rules for Prometheus and a dashboard are there for who wants them", () => {
	for (const name of ["alerts.yml", "grafana-dashboard.json"])
		assert.ok(fs.readFileSync(path.join(root, "deploy", name)).equals(
		    fs.readFileSync(path.join(dest, "usr/share/rendio", name))));
});

/** What bash offers for the last of these words. */
const completions = (...words) => execFileSync("bash", ["-c",
    `. "$1"; shift; rendio() { "${path.join(build, "rendio")}" "$@"; };` +
    " COMP_WORDS=(rendio \"$@\"); COMP_CWORD=$#;" +
    " _rendio rendio \"${COMP_WORDS[COMP_CWORD]}\"" +
    " \"${COMP_WORDS[COMP_CWORD - 1]}\"; printf '%s\\n' \"${COMPREPLY[@]}\"",
    "bash", path.join(dest, "usr/share/bash-completion/completions/rendio"),
    ...words], { encoding: "utf8" }).trim().split("\n");

test("a shell completes commands, and the options that each has", () => {
	assert.deepEqual(completions("doc"), ["doctor"]);
	assert.deepEqual(completions("admin", "di"), ["disable"]);
	assert.deepEqual(completions("doctor", "--"),
	    ["--help", "--json", "--offline"]);
	assert.deepEqual(completions("user", "grant", "--"),
	    ["--help", "--reason"]);
	assert.deepEqual(completions("backup", "x.tar", "--k"), ["--keep"]);
});

/** Each of the table in the sources, as its words. */
const commands = [...fs.readFileSync(path.join(root, "cli/main.c"), "utf8")
    .matchAll(/^\t\{ "([a-z][a-z -]*)",/gm)].map(([, name]) => name.split(" "));

test("it completes every command, and the manual names each", () => {
	const manual = fs.readFileSync(path.join(dest,
	    "usr/share/man/man1/rendio.1"), "utf8");
	const firsts = completions("");

	assert.ok(commands.length > 30);
	for (const [first, second] of commands) {
		assert.ok(firsts.includes(first), first);
		if (second)
			assert.ok(completions(first, second).includes(second),
			    `${first} ${second}`);
		assert.match(manual, new RegExp(`^\\.B[IR]? .*\\b${first}` +
		    `${second ? ` ${second}` : ""}\\b`, "m"),
		    `${first} ${second}`);
	}
});

test("no service is more exposed than 2.0, as systemd judges", () => {
	const services = fs.readdirSync(units).filter((name) =>
	    /^rendio.*\.service$/.test(name));

	assert.ok(services.length >= 5);
	for (const name of services) {
		const judged = spawnSync("systemd-analyze", ["security",
		    "--offline=true", "--threshold=20", "--no-pager",
		    path.join(units, name)], { encoding: "utf8" });
		assert.equal(judged.status, 0, `${name}: ${judged.stdout
		    .split("\n").slice(-2)} ${judged.stderr}`);
	}
});

test("the site stands beside others in Debian's nginx", () => {
	const site = path.join(dest, "site");
	const state = path.join(dest, "state");
	const tls = path.join(dest, "tls");
	const shell = (script) => execFileSync("sh", ["-euc", script],
	    { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } });

	fs.mkdirSync(path.join(state, "run"), { recursive: true });
	fs.mkdirSync(tls);
	shell(`openssl req -x509 -newkey ec -pkeyopt \
	    ec_paramgen_curve:prime256v1 -nodes -subj /CN=api.example.com \
	    -keyout ${tls}/key.pem -out ${tls}/cert.pem 2> /dev/null`);
	for (const mode of ["live", "sandbox"]) {
		execFileSync(path.join(lib, "release/nginx-config"),
		    ["--site", site], {
			input: fs.readFileSync(path.join(lib,
			    "release/endpoints")),
			env: { PATH: process.env.PATH, RENDIO_MODE: mode,
				RENDIO_STATE_DIR: state,
				RENDIO_PUBLIC_URL: "https://api.example.com" },
		    });
		// Ports and places that are root's alone.
		shell(`cd ${site} && sed -i -e 's,/etc/rendio/tls,${tls},' \
		    -e 's,/var/log/nginx,${dest},' \
		    -e 's,\\(listen[^;]*\\)\\b443\\b,\\118443,' \
		    -e 's,\\(listen[^;]*\\)\\b80\\b,\\118080,' *.conf`);
		fs.writeFileSync(path.join(dest, "nginx.conf"), `
			pid ${dest}/nginx.pid;
			events { }
			http {
				sendfile on;
				tcp_nopush on;
				types_hash_max_size 2048;
				default_type application/octet-stream;
				ssl_protocols TLSv1.2 TLSv1.3;
				ssl_prefer_server_ciphers on;
				access_log ${dest}/access.log;
				gzip on;
				server { listen 127.0.0.1:18080 default_server; }
				include ${site}/site.conf;
			}
		`);
		shell(`nginx -e ${dest}/error.log -t -q -c ${dest}/nginx.conf`);
		const text = fs.readdirSync(site).filter((name) =>
		    name.endsWith(".conf")).map((name) =>
		    fs.readFileSync(path.join(site, name), "utf8")).join("\n");
		assert.match(text, /acme-challenge/);
		assert.match(text, /server_name api\.example\.com;/);
		assert.equal(text.includes("_sandbox"), mode === "sandbox");
		fs.rmSync(site, { recursive: true });
	}
});
