// SPDX-License-Identifier: MIT
// `make run`: starting, stopping, and what must survive both.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { build, isAlive, plainEnv, root, start, until } from "./support/instance.mjs";

/** Runs sandbox-run to its end: { code, output }. */
async function runToEnd(env) {
	const child = spawn(path.join(root, "deploy/sandbox-run"), [build], {
		cwd: root, env: { ...plainEnv(), ...env },
		stdio: ["ignore", "pipe", "pipe"],
	});
	let output = "";
	child.stdout.on("data", (text) => { output += text; });
	child.stderr.on("data", (text) => { output += text; });
	const code = await new Promise((resolve) => child.once("close", resolve));
	return { code, output };
}

test("two instances run side by side", async (t) => {
	const [one, two] = await Promise.all([start(), start()]);
	t.after(() => Promise.all([one.stop(), two.stop()]));

	assert.notEqual(one.anonKey, two.anonKey);
	for (const instance of [one, two]) {
		const res = await instance.request("GET", "/health");
		assert.equal(res.status, 200);
		assert.ok(await instance.accessLogOf(res.headers["x-request-id"]));
	}
	// Each has a certificate of its own.
	await assert.rejects(one.request("GET", "/health", { ca: two.ca }));

	await one.halt();
	assert.equal((await two.request("GET", "/health")).status, 200);
});

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) {
	test(`${signal} stops everything and leaves no process`, async (t) => {
		const instance = await start();
		t.after(() => instance.stop());
		assert.ok(instance.members().length > 5);

		const how = await instance.halt(signal);
		assert.deepEqual(how, { code: 0, signal: null });
		assert.deepEqual(instance.members(), []);
		assert.deepEqual(fs.readdirSync(instance.file("run"))
		    .filter((name) => name.endsWith(".sock")), []);
		await assert.rejects(instance.request("GET", "/health"));
	});
}

test("the programs do not hold the terminal of their starter", async (t) => {
	const instance = await start();
	t.after(() => instance.stop());

	for (const pid of instance.pids("health")) {
		const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
		const [, , , , terminal] = stat
		    .slice(stat.lastIndexOf(")") + 2).split(" ");
		assert.equal(terminal, "0");
	}
});

test("a second start reuses the state", async (t) => {
	const instance = await start();
	t.after(() => instance.stop());
	const before = {
		anonKey: instance.anonKey,
		cert: instance.ca.toString(),
		keys: fs.readdirSync(instance.file("keys")).sort(),
	};

	await instance.halt();
	instance.how = undefined;
	instance.output = "";
	await instance.run();
	assert.deepEqual({
		anonKey: instance.anonKey,
		cert: instance.ca.toString(),
		keys: fs.readdirSync(instance.file("keys")).sort(),
	}, before);
	assert.equal((await instance.request("GET", "/health")).status, 200);
});

test("a second start beside a running one is refused", async (t) => {
	const instance = await start();
	t.after(() => instance.stop());

	const sameState = await runToEnd({ ...instance.env,
		RENDIO_PORT: String(instance.port + 1) });
	assert.equal(sameState.code, 1);
	assert.match(sameState.output, /already running/);

	const other = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-"));
	t.after(() => fs.rmSync(other, { recursive: true, force: true }));
	const samePort = await runToEnd({ ...instance.env,
		RENDIO_STATE_DIR: other });
	assert.equal(samePort.code, 1);
	assert.match(samePort.output, /port \d+ is taken/);

	assert.equal((await instance.request("GET", "/health")).status, 200);
});

test("what a killed run left behind is stopped by the next", async (t) => {
	const instance = await start();
	t.after(() => instance.stop());
	const left = instance.members();

	instance.child.kill("SIGKILL");
	await instance.ended;
	assert.ok(isAlive(left[0]));

	instance.how = undefined;
	instance.output = "";
	await instance.run();
	assert.match(instance.output, /left of an earlier run/);
	assert.deepEqual(left.filter(isAlive), []);
	assert.equal((await instance.request("GET", "/health")).status, 200);
});

test("a killed process of an endpoint is replaced", async (t) => {
	const instance = await start();
	t.after(() => instance.stop());
	const count = instance.pids("health").length;
	assert.ok(count >= 1);

	// More often than a supervisor with a budget of retries would bear.
	for (let i = 0; i < 50; i++) {
		const [victim] = instance.pids("health");
		process.kill(victim, "SIGKILL");
		assert.ok(await until(() => {
			const pids = instance.pids("health");
			return pids.length === count && !pids.includes(victim);
		}, 1000), `not replaced after kill ${i + 1}`);
	}
	assert.equal((await instance.request("GET", "/health")).status, 200);
});

test("a killed supervisor, nginx or worker is replaced", async (t) => {
	const instance = await start();
	t.after(() => instance.stop());

	for (const service of ["health", "nginx", "worker"]) {
		const victim = instance.supervised(service);
		process.kill(victim, "SIGKILL");
		assert.ok(await until(() => {
			try {
				const pid = instance.supervised(service);
				return pid !== victim && isAlive(pid);
			} catch {
				return false;	/* just being written */
			}
		}), service);
	}
	assert.ok(await until(async () => {
		try {
			const res = await instance.request("GET", "/health");
			return res.status === 200;
		} catch {
			return false;
		}
	}), "no health afterwards");
	await instance.halt();
	assert.deepEqual(instance.members(), []);
});

test("a path that is too long for a socket is refused with its reason",
    async (t) => {
	const base = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-"));
	t.after(() => fs.rmSync(base, { recursive: true, force: true }));

	const { code, output } = await runToEnd({
		RENDIO_STATE_DIR: path.join(base, "d".repeat(100)),
		RENDIO_PORT: "18499",
	});
	assert.equal(code, 1);
	assert.match(output, /path of a socket is too long/);
});

test("a wrong setting is refused with its name", async (t) => {
	const base = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-"));
	t.after(() => fs.rmSync(base, { recursive: true, force: true }));
	const wrong = {
		RENDIO_PORT: "https",
		RENDIO_TRUSTED_PROXIES: "10.0.0.0/8; daemon on",
		RENDIO_CRON_INTERVAL_S: "2s",
	};

	for (const [name, value] of Object.entries(wrong)) {
		const { code, output } = await runToEnd({ RENDIO_PORT: "18499",
			RENDIO_STATE_DIR: base, [name]: value });
		assert.notEqual(code, 0, name);
		assert.match(output, new RegExp(name));
	}
});

test("settings come from the file, and the environment wins", async (t) => {
	const instance = await start({
		prepare(stateDir) {
			fs.writeFileSync(path.join(stateDir, "rendio.conf"),
			    "# a comment\nRENDIO_PORT = 1\n" +
			    'RENDIO_TRUSTED_PROXIES="127.0.0.1/32"\r\n');
		},
	});
	t.after(() => instance.stop());

	const res = await instance.request("GET", "/health",
	    { headers: { "x-forwarded-for": "192.0.2.7" } });
	const line = await instance.accessLogOf(res.headers["x-request-id"]);
	assert.equal(line.address, "192.0.2.7");
});
