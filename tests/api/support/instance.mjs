// SPDX-License-Identifier: MIT
//
// A backend of its own for a test file: the real nginx, the real programs, a
// port that was free and a state directory that goes away with it.
//
//	const rendio = await start();
//	after(() => rendio.stop());
//	const ada = await rendio.guest("ada");
//	const res = await rendio.request("GET", "/functions/v1/get-user-credits",
//	    { bearer: ada.access_token });
//
// RENDIO_BUILD names the directory of the programs (default build).

import { execFile, spawn } from "node:child_process";
import { randomInt, randomUUID } from "node:crypto";
import fs from "node:fs";
import https from "node:https";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import tls from "node:tls";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../..", import.meta.url));
export const build = path.resolve(root, process.env.RENDIO_BUILD ?? "build");

/** Under memcheck, on a busy machine, it takes minutes. */
const START_MS_MAX = 300_000;
const REQUEST_MS_MAX = 30_000;

// To begin more TLS connections at once takes longer than the router waits.
const SOCKETS_MAX = 128;

/** Calls probe() until it gives something true; null after ms. */
export async function until(probe, ms = 5000) {
	const end = Date.now() + ms;
	for (;;) {
		const got = await probe();
		if (got)
			return got;
		if (Date.now() >= end)
			return null;
		await sleep(10);
	}
}

/** Whatever an instance is called, it is on this machine. */
export function toThisMachine(name, options, done) {
	if (options.all)
		done(null, [{ address: "127.0.0.1", family: 4 }]);
	else
		done(null, "127.0.0.1", 4);
}

/** The environment without what the tester has set for himself. */
export function plainEnv() {
	return Object.fromEntries(Object.entries(process.env)
	    .filter(([name]) => !name.startsWith("RENDIO_")));
}

/** Below the ports that the kernel gives to outgoing connections. */
export async function freePort() {
	for (;;) {
		const port = randomInt(18500, 32000);
		const server = net.createServer();
		const free = await new Promise((resolve) => {
			server.once("error", () => resolve(false));
			server.listen(port, "127.0.0.1", () => resolve(true));
		});
		if (free) {
			await new Promise((resolve) => server.close(resolve));
			return port;
		}
	}
}

/** The living processes for which test(fields of /proc/PID/stat) holds. */
function processes(test) {
	return fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name))
	    .filter((pid) => {
		try {
			const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
			// The name stands in brackets and may contain blanks.
			const [state, parent, group] = stat
			    .slice(stat.lastIndexOf(")") + 2).split(" ");
			return state !== "Z" && test({ pid: Number(pid),
				parent: Number(parent), group: Number(group) });
		} catch {
			return false;
		}
	}).map(Number);
}

export function isAlive(pid) {
	return processes((process) => process.pid === pid).length === 1;
}

/** Of users: tests of other things do in a second what takes people a day. */
export const generousLimits = Object.fromEntries([
	"GENERATE_GUEST_PER_H", "GENERATE_FREE_PER_H",
	"GENERATE_PREMIUM_PER_H", "GENERATE_PER_MIN", "PURCHASE_PER_H",
	"UPLOAD_PER_H", "REFRESH_PER_H", "ACCOUNT_PER_H",
].map((name) => [`RENDIO_LIMIT_${name}`, "1000000"]));

export class Instance {
	constructor(port, stateDir, env, programs = build) {
		this.programs = programs;
		this.host = "127.0.0.1";
		this.port = port;
		this.stateDir = stateDir;
		this.url = `https://127.0.0.1:${port}`;
		this.env = {
			...plainEnv(),
			RENDIO_PORT: String(port),
			RENDIO_STATE_DIR: stateDir,
			RENDIO_CRON_INTERVAL_S: "1",
			...generousLimits,
			...env,
		};
		this.agents = new Map();
		this.output = "";
	}

	file(...names) {
		return path.join(this.stateDir, ...names);
	}

	/** Starts it; resolves when it said that it answers. */
	async run() {
		this.child = spawn(path.join(root, "deploy/sandbox-run"), [this.programs], {
			cwd: root,
			env: this.env,
			stdio: ["ignore", "pipe", "pipe"],
		});
		this.ended = new Promise((resolve) =>
		    this.child.once("exit", (code, signal) =>
			resolve({ code, signal })));
		this.ended.then((how) => { this.how = how; });
		for (const stream of [this.child.stdout, this.child.stderr])
			stream.setEncoding("utf8").on("data", (text) => {
				this.output += text;
			});
		const ready = await until(() => this.how !== undefined ||
		    this.output.includes("Rendio is running"), START_MS_MAX);
		if (!ready || this.how !== undefined) {
			this.child.kill("SIGTERM");
			await this.ended;
			throw new Error(`no start: ${this.output}`);
		}
		this.ca = fs.readFileSync(this.file("tls", "cert.pem"));
		this.anonKey = fs.readFileSync(this.file("anon-key"), "utf8").trim();
		this.group = Number(fs.readFileSync(this.file("run", "group")));
	}

	/** Ends it in order; the state directory stays. */
	async halt(signal = "SIGTERM") {
		for (const agent of this.agents.values())
			agent.destroy();
		this.agents.clear();
		this.child.kill(signal);
		return await this.ended;
	}

	async stop() {
		if (this.how === undefined)
			await this.halt();
		process.removeListener("exit", this.onExit);
		fs.rmSync(this.stateDir, { recursive: true, force: true });
	}

	/**
	 * One request over a kept connection.  An object as body is sent as
	 * JSON; apikey is the anon key unless it is given (null: none).
	 */
	async request(method, target, { headers = {}, body, bearer,
	    apikey = this.anonKey, ca = this.ca, localAddress = "127.0.0.1" } = {}) {
		const all = { ...headers };
		if (apikey)
			all.apikey = apikey;
		if (bearer)
			all.authorization = `Bearer ${bearer}`;
		if (body !== undefined && typeof body !== "string" &&
		    !(body instanceof Uint8Array)) {
			body = JSON.stringify(body);
			all["content-type"] ??= "application/json";
		}
		if (body !== undefined)
			all["content-length"] ??= Buffer.byteLength(body);
		if (!this.agents.has(localAddress))
			this.agents.set(localAddress,
			    new https.Agent({ keepAlive: true, localAddress,
				maxSockets: SOCKETS_MAX }));

		return await new Promise((resolve, reject) => {
			const req = https.request({
				host: this.host,
				lookup: toThisMachine,
				port: this.port,
				path: target,
				method,
				ca,
				headers: all,
				agent: this.agents.get(localAddress),
				timeout: REQUEST_MS_MAX,
			}, (res) => {
				const chunks = [];
				res.on("data", (chunk) => chunks.push(chunk));
				res.on("error", reject);
				res.on("end", () => {
					const bytes = Buffer.concat(chunks);
					const text = bytes.toString("utf8");
					resolve({
						status: res.statusCode,
						headers: res.headers,
						rawHeaders: res.rawHeaders,
						bytes,
						text,
						json: () => JSON.parse(text),
					});
				});
			});
			req.on("timeout", () => req.destroy(
			    new Error(`${method} ${target}: no answer`)));
			req.on("error", reject);
			req.end(body);
		});
	}

	/**
	 * Sends bytes as they are over TLS and gives all that came back until
	 * the server closed or was silent for `quiet_ms`.
	 */
	async raw(bytes, quiet_ms = 500) {
		return await new Promise((resolve, reject) => {
			let got = "";
			const socket = tls.connect({ host: "127.0.0.1",
				port: this.port, ca: this.ca }, () =>
			    socket.write(bytes));
			socket.setEncoding("latin1");
			socket.setTimeout(quiet_ms, () => socket.destroy());
			socket.on("data", (text) => { got += text; });
			socket.on("close", () => resolve(got));
			socket.on("error", (error) =>
			    error.code === "ECONNRESET" ? resolve(got) :
				reject(error));
		});
	}

	/** fetch() that trusts the certificate; for the official clients. */
	get fetch() {
		return async (input, init) => {
			const req = new Request(input, init);
			const url = new URL(req.url);
			const body = Buffer.from(await req.arrayBuffer());
			const res = await this.request(req.method,
			    url.pathname + url.search, {
				headers: Object.fromEntries(req.headers),
				body: body.length > 0 ? body : undefined,
				apikey: null,
			});
			const empty = [101, 204, 205, 304].includes(res.status);
			return new Response(empty ? null : res.bytes, {
				status: res.status,
				headers: Object.entries(res.headers)
				    .map(([name, value]) => [name, String(value)]),
			});
		};
	}

	/** The official client; with a session of ours when one is given. */
	async supabase(session, version = "@supabase/supabase-js") {
		const { createClient } = await import(version);
		const { default: WebSocket } = await import("ws");
		const { ca } = this;
		const client = createClient(this.url, this.anonKey, {
			auth: { persistSession: false, autoRefreshToken: false },
			global: { fetch: this.fetch },
			realtime: { transport: class extends WebSocket {
				constructor(url, protocols) {
					super(url, protocols, { ca });
				}
			} },
		});
		if (session) {
			const { error } = await client.auth.setSession(session);
			if (error)
				throw error;
		}
		return client;
	}

	/** A new phone and its account: what device-check answered. */
	async guest(name, device_id = randomUUID()) {
		const { stdout } = await this.cli("sandbox", "device", name);
		const res = await this.request("POST",
		    "/functions/v1/device-check", {
			body: { device_id, device_token: stdout.trim() },
		});
		if (res.status !== 200)
			throw new Error(`device-check: ${res.status} ${res.text}`);
		return { ...res.json(), device_id };
	}

	/** Runs build/rendio; `input` goes to its standard input. */
	async cli(...args) {
		return await this.cliWith({}, ...args);
	}

	async cliWith({ input = "", env = {} }, ...args) {
		return await new Promise((resolve) => {
			const child = execFile(path.join(this.programs, "rendio"), args, {
				cwd: root,
				env: { ...this.env, ...env },
				maxBuffer: 64 * 1024 * 1024,
			}, (error, stdout, stderr) => resolve({
				code: error ? error.code : 0, stdout, stderr }));
			child.stdin.on("error", () => {});
			child.stdin.end(input);
		});
	}

	/** The process that runit watches for a service. */
	supervised(service) {
		return Number(fs.readFileSync(
		    this.file("sv", service, "supervise", "pid"), "utf8"));
	}

	/** The processes of an endpoint that serve requests, or the worker. */
	pids(service) {
		const parent = this.supervised(service);
		return processes((process) => process.parent === parent);
	}

	/** Every process of this instance but the one in the foreground. */
	members() {
		return processes((process) => process.group === this.group);
	}

	/** All lines of the programs' log, old files first. */
	log() {
		const dir = this.file("log", "rendio");
		return fs.readdirSync(dir)
		    .filter((name) => name.startsWith("current"))
		    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }))
		    .flatMap((name) => fs.readFileSync(path.join(dir, name),
			"utf8").split("\n"))
		    .filter((line) => line !== "");
	}

	/** Its lines that name a request; waits until there is one. */
	async logOf(requestId) {
		return await until(() => {
			const lines = this.log()
			    .filter((line) => line.includes(requestId));
			return lines.length > 0 && lines;
		}, 2000) ?? [];
	}

	/** nginx's line on a request, which it writes after the answer. */
	async accessLogOf(requestId) {
		return await until(() => this.accessLog()
		    .find((line) => line.request_id === requestId), 2000);
	}

	accessLog() {
		return fs.readFileSync(this.file("log", "access.log"), "utf8")
		    .split("\n").slice(0, -1).map((line) => JSON.parse(line));
	}
}

const ROOM_BYTES_MIN = 4 * 1024 ** 3;

/**
 * Where the states are: in memory when there is room, for on one disk all wait
 * for each other's commits.  Whether a power cut loses something is not for
 * these tests to say (tests/faults/life).
 */
function roomForStates() {
	const memory = "/dev/shm";

	if (!fs.existsSync(memory))
		return os.tmpdir();
	const { bavail, bsize } = fs.statfsSync(memory);
	return bavail * bsize >= ROOM_BYTES_MIN ? memory : os.tmpdir();
}

/**
 * Starts an instance.  env: more settings; stateDir: one that exists already;
 * directory: where to make one; prepare(stateDir): called before the start;
 * programs: a directory of others.
 */
export async function start({ env = {}, stateDir, directory, prepare,
    programs } = {}) {
	const dir = stateDir ??
	    fs.mkdtempSync(path.join(directory ?? roomForStates(), "rendio-"));
	if (prepare)
		prepare(dir);
	const instance = new Instance(await freePort(), dir, env,
	    programs);
	// A test that dies must not leave a server behind.
	instance.onExit = () => instance.child?.kill("SIGTERM");
	process.once("exit", instance.onExit);
	try {
		await instance.run();
	} catch (error) {
		if (stateDir === undefined)
			fs.rmSync(dir, { recursive: true, force: true });
		throw error;
	}
	return instance;
}
