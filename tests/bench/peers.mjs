// SPDX-License-Identifier: MIT
//
// peers.mjs BUILD -- the same work by what others would build it with, beside
// ours, in turn, each behind an nginx with TLS and the same certificate.
// Prints markdown.  A peer that cannot be started is named and left out.
//
// The same checks (signature and life of the token, its session, the status of
// the user, whose job it is), the same rows in one transaction, and each order
// on the disk before it is answered (synchronous = FULL).  Left out in the
// peers, in their favour: limits, a worker, events' readers, the log line.

import { spawn, spawnSync } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { column, cpu_ms, get, giveJobs, load, machine, makeUsers, median, orders,
	PROMPT, run, say, spread, Table, whole, work } from "./load.mjs";

const USERS = 256;
const ROUNDS = 3;
const ROUND_S = 3;
const CLIENTS = 16;
const ORDER_CLIENTS = 64;
const JOBS = 20;
const TIMES_BETTER = 3;
const NODE_PORT = 18081, NODE_TLS_PORT = 18444, PHP_TLS_PORT = 18445;

const here = new URL("peers/", import.meta.url).pathname;
const build = path.resolve(process.argv[2] ?? "build");
process.env.RENDIO_BUILD = build;
const { start } = await import("../api/support/instance.mjs");

const SECRET = randomUUID();
const base64url = (value) =>
    Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token with the claims that ours has. */
function tokenOf(user) {
	const now_s = Math.floor(Date.now() / 1000);
	const text = `${base64url({ alg: "HS256", typ: "JWT" })}.${base64url({
		iss: "https://127.0.0.1/auth/v1", aud: "authenticated",
		sub: user.id, session_id: user.session_id,
		role: "authenticated", iat: now_s, exp: now_s + 3600 })}`;
	const mac = createHmac("sha256", SECRET).update(text).digest("base64url");
	return `${text}.${mac}`;
}

/** The database of a peer, with users who can pay and some jobs. */
async function makeDatabase(name) {
	const file = path.join(work, `${name}.db`);
	const users = Array.from({ length: USERS }, () => ({ id: randomUUID(),
		session_id: randomUUID(), jobs: [] }));
	const model = randomUUID();
	const sql = ["PRAGMA journal_mode = WAL;",
		fs.readFileSync(path.join(here, "schema.sql"), "utf8"), "BEGIN;",
		`INSERT INTO models VALUES ('${model}', 'Veo', 1, 1);`];
	for (const user of users) {
		sql.push(`INSERT INTO users (id, credits_remaining) VALUES
		    ('${user.id}', 1000000);`,
		`INSERT INTO sessions VALUES ('${user.session_id}', '${user.id}');`,
		`INSERT INTO credit_lots VALUES ('${randomUUID()}', '${user.id}',
		    1000000);`);
		for (let i = 0; i < JOBS; i++) {
			user.jobs.push(randomUUID());
			sql.push(`INSERT INTO jobs (id, user_id, model_id,
			    model_name, prompt, cost_credits, state, created_at_ms)
			    VALUES ('${user.jobs[i]}', '${user.id}', '${model}',
			    'Veo', '${PROMPT}', 4, 'completed', ${i});`);
		}
		user.headers = { Authorization: `Bearer ${tokenOf(user)}` };
	}
	spawnSync("sqlite3", ["-bail", file],
	    { input: `${sql.join("\n")}\nCOMMIT;` });
	return { file, users };
}

const children = [];
process.once("exit", () => children.forEach((child) => child.kill()));

function keep(program, args, env = {}) {
	const child = spawn(program, args, { env: { ...process.env, ...env },
		stdio: ["ignore", "ignore", "inherit"] });
	child.on("error", () => {});
	children.push(child);
	return child;
}

const startNode = (file) => keep(process.execPath,
    [path.join(here, "fastify.mjs")], { PORT: String(NODE_PORT),
	DATABASE: file, SECRET, NODE_ENV: "production" });

function startPhp() {
	fs.writeFileSync(path.join(work, "fpm.conf"), `[global]
error_log = ${work}/fpm.log
[www]
user = root
listen = ${work}/fpm.sock
listen.backlog = 1024
pm = static
pm.max_children = 8
`);
	return keep("php-fpm8.2", ["-R", "-F", "-y", path.join(work, "fpm.conf"),
		"-d", "opcache.enable=1", "-d", "opcache.validate_timestamps=0"]);
}

/** One nginx before both, with the settings of ours that matter. */
function startNginx(rendio, phpDatabase) {
	const server = (port, location) => `server {
		listen 127.0.0.1:${port} ssl http2 backlog=4096;
		location / { ${location} }
	}`;
	fs.writeFileSync(path.join(work, "nginx.conf"), `
user root root;
worker_processes auto;
pid ${work}/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
	access_log ${work}/access.log;
	ssl_certificate ${rendio.file("tls", "cert.pem")};
	ssl_certificate_key ${rendio.file("tls", "key.pem")};
	ssl_protocols TLSv1.2 TLSv1.3;
	ssl_session_cache shared:tls:10m;
	keepalive_requests 1000000;
	client_body_temp_path ${work}/body;
	proxy_temp_path ${work}/proxy;
	fastcgi_temp_path ${work}/fastcgi;
	scgi_temp_path ${work}/scgi;
	uwsgi_temp_path ${work}/uwsgi;
	upstream node { server 127.0.0.1:${NODE_PORT}; keepalive 64; }
	${server(NODE_TLS_PORT, `proxy_pass http://node;
		proxy_http_version 1.1; proxy_set_header Connection "";`)}
	${server(PHP_TLS_PORT, `include /etc/nginx/fastcgi_params;
		fastcgi_param SCRIPT_FILENAME ${here}index.php;
		fastcgi_param DATABASE ${phpDatabase};
		fastcgi_param SECRET ${SECRET};
		fastcgi_pass unix:${work}/fpm.sock;`)}
}
`);
	return keep("nginx", ["-e", "stderr", "-p", work, "-c",
		path.join(work, "nginx.conf"), "-g", "daemon off;"]);
}

/** Waits for the peer's first right answer; false when there is none. */
async function answers(peer) {
	const args = ["-sk", "-m", "2", "-H", `Authorization: ${
	    peer.users[0].headers.Authorization}`, `${peer.url}/get-user-credits`];
	for (let n = 0; n < 50; n++) {
		const { stdout } = await run("curl", args).catch(() => ({}));
		if (stdout?.includes('"credits_remaining":1000000'))
			return true;
		await sleep(200);
	}
	return false;
}

async function startPeers(rendio) {
	const node = await makeDatabase("node"), php = await makeDatabase("php");
	startNginx(rendio, php.file);
	const peers = [
		{ name: "Node (Fastify, better-sqlite3)", users: node.users,
			child: startNode(node.file),
			url: `https://127.0.0.1:${NODE_TLS_PORT}`, prefix: "/" },
		{ name: "PHP-FPM (PDO, SQLite)", users: php.users,
			child: startPhp(), url: `https://127.0.0.1:${PHP_TLS_PORT}`,
			prefix: "/" },
	];
	const started = [];
	for (const peer of peers) {
		if (await answers(peer))
			started.push(peer);
		else
			say(`left out, it does not start: ${peer.name}`);
	}
	return started;
}

async function ours(rendio) {
	const users = await makeUsers(rendio, USERS);
	await giveJobs(rendio, users.slice(0, 8), JOBS);
	return { name: "ours", users, url: rendio.url, prefix: "/functions/v1/" };
}

const WORK = {
	"get-user-credits": [CLIENTS, ({ users, prefix }) => users.map((user) =>
	    get(`${prefix}get-user-credits`, user.headers))],
	"get-video-status": [CLIENTS, ({ users, prefix }) => users.slice(0, 8)
	    .flatMap((user) => user.jobs.map((job) =>
		get(`${prefix}get-video-status?job_id=${job}`, user.headers)))],
	[`get-video-jobs, a page of ${JOBS}`]: [CLIENTS, ({ users, prefix }) =>
	    users.slice(0, 8).map((user) =>
		get(`${prefix}get-video-jobs`, user.headers))],
	[`generate-video, ${ORDER_CLIENTS} clients`]: [ORDER_CLIENTS,
	    ({ users, prefix }) => orders(`${prefix}generate-video`, users)],
};

const table = new Table();
const where = await machine(build);
const rendio = await start({ env: { RENDIO_GRANT_CREDITS: "10000",
	RENDIO_JOBS_OPEN_MAX_FREE: "10000",
	RENDIO_PROVIDER_CONCURRENCY: "32" } });
try {
	const all = [await ours(rendio), ...await startPeers(rendio)];
	for (const [what, [clients, requests]] of Object.entries(WORK)) {
		const got = new Map(all.map((one) => [one, []]));
		for (let i = 0; i < ROUNDS; i++)
			for (const one of all) {
				say(`${what}, ${one.name}, round ${i + 1}`);
				const root = one.child?.pid ??
				    rendio.supervised(what.split(",")[0]);
				const before_ms = cpu_ms(root);
				const row = await load(one.url, requests(one),
				    ROUND_S, { clients });
				row.cpu_us = (cpu_ms(root) - before_ms) * 1000 /
				    row.requests;
				got.get(one).push(row);
			}
		const [mine, ...theirs] = all.map((one) => ({ name: one.name,
			rate: median(column(got.get(one), "rate")),
			cpu_us: median(column(got.get(one), "cpu_us")),
			p50_us: median(column(got.get(one), "p50_us")),
			p99_us: median(column(got.get(one), "p99_us")),
			max_us: Math.max(...column(got.get(one), "max_us")) }));
		const best = theirs.toSorted((a, b) => b.rate - a.rate)[0];
		for (const { name, rate, cpu_us, ...waits } of [mine, ...theirs])
			table.info(`${what}: ${name}`, `${whole(rate)}/s, ` +
			    `${spread(waits)}, ${whole(cpu_us)} µs of processor` +
			    " behind nginx");
		if (best)
			table.goal(`${what}: ours / the best peer`,
			    `≥ ${TIMES_BETTER}`,
			    (mine.rate / best.rate).toFixed(1),
			    mine.rate >= TIMES_BETTER * best.rate);
		const frugal = theirs.toSorted((a, b) => a.cpu_us - b.cpu_us)[0];
		if (frugal)
			table.info(`${what}: processor time behind nginx, the most` +
			    " frugal peer / ours",
			    (frugal.cpu_us / mine.cpu_us).toFixed(1));
	}
} finally {
	children.forEach((child) => child.kill());
	await rendio.stop();
}
table.print(where);
