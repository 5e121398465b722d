// SPDX-License-Identifier: MIT
//
// peers.mjs BUILD -- the same work by what others would build it with, beside
// ours, in turn, each behind an nginx with TLS and the same certificate.
// Prints markdown.  A peer that cannot be started is named and left out.
//
// A read costs nginx with its TLS more than it costs ours, so reads are compared
// once more without TLS, through one nginx that does nothing else.
//
// The same checks (signature and life of the token, its session, the status of
// the user, whose job it is), the same rows in one transaction, and each order
// on the disk before it is answered (synchronous = FULL).  Left out in the
// peers, in their favour: limits, events' readers, the log line.  They have no
// worker, so ours, which writes to the same disk, rests while orders are compared.

import { spawn, spawnSync } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { column, cpu_ms, get, giveJobs, load, machine, makeUsers, median, orders,
	post, PROMPT, say, spread, Table, together, whole, work } from "./load.mjs";
import { PARSE_PORT, startParse } from "./peers/parse.mjs";

const USERS = 256;
const ROUNDS = 3;
const ROUND_S = 2;
// Of the slowest peer 64 clients wait for seconds.
const ORDER_ROUND_S = 4;
const CLIENTS = 16;
const ORDER_CLIENTS = 64;
const JOBS = 20;
const TIMES_BETTER = 3;
const NODE_PORT = 18081;
// Each server speaks TLS at the first and none at the second.
const NODE = [18444, 18454], PHP = [18445, 18455], PARSE = [18446, 18456];
const OURS_PLAIN = 18457;
const READS = ["get-user-credits", "get-video-status", "get-video-jobs"];

const here = new URL("peers/", import.meta.url).pathname;
const build = path.resolve(process.argv[2] ?? "build");
process.env.RENDIO_BUILD = build;
const { root, start } = await import("../api/support/instance.mjs");
const { startWorker, stopWorker } = await import("../api/support/jobs.mjs");

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
		cwd: os.tmpdir(), stdio: ["ignore", "ignore", "inherit"] });
	child.ended = new Promise((resolve) => {
		child.once("error", resolve);
		child.once("exit", resolve);
	});
	children.push(child);
	return child;
}

async function endAll() {
	children.forEach((child) => child.kill());
	await Promise.all(children.map((child) => child.ended));
}

const startNode = (file) => keep(process.execPath,
    [path.join(here, "node/fastify.mjs")], { PORT: String(NODE_PORT),
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

/** One nginx before all, with the settings of ours that matter. */
function startNginx(rendio, phpDatabase) {
	const server = ([secure, plain], location) => `server {
		listen 127.0.0.1:${secure} ssl http2 backlog=4096;
		listen 127.0.0.1:${plain} backlog=4096;
		location / { ${location} }
	}`;
	const socketOf = (name) => fs.readFileSync(
	    rendio.file("sv", name, "socket"), "utf8").trim();
	const own = READS.map((name) => `location = /functions/v1/${name} {
		include ${root}/nginx/fastcgi.conf;
		fastcgi_pass unix:${socketOf(name)};
	}`).join("\n");
	fs.writeFileSync(path.join(work, "nginx.conf"), `
user root root;
worker_processes auto;
pid ${work}/nginx.pid;
error_log ${work}/nginx.log;
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
	proxy_http_version 1.1;
	proxy_set_header Connection "";
	upstream node { server 127.0.0.1:${NODE_PORT}; keepalive 64; }
	upstream parse { server 127.0.0.1:${PARSE_PORT}; keepalive 64; }
	map $msec $rendio_request_time_ms { ~^([0-9]+)\\.([0-9]+) $1$2; }
	server { listen 127.0.0.1:${OURS_PLAIN} backlog=4096; ${own} }
	${server(NODE, "proxy_pass http://node;")}
	${server(PARSE, "proxy_pass http://parse;")}
	${server(PHP, `include /etc/nginx/fastcgi_params;
		fastcgi_param SCRIPT_FILENAME ${here}index.php;
		fastcgi_param DATABASE ${phpDatabase};
		fastcgi_param SECRET ${SECRET};
		fastcgi_pass unix:${work}/fpm.sock;`)}
}
`);
	return keep("nginx", ["-e", "stderr", "-p", work, "-c",
		path.join(work, "nginx.conf"), "-g", "daemon off;"]);
}

/** Waits for the peer's first right answer. */
async function untilItAnswers(peer) {
	const [user] = peer.users;
	const args = ["-sk", "-m", "2", ...Object.entries(user.headers).flatMap(
	    ([name, value]) => ["-H", `${name}: ${value}`]),
	...peer.curl, `${peer.url}${peer.prefix}get-user-credits`];
	for (let n = 0; n < 50; n++) {
		const { stdout } = spawnSync("curl", args, { encoding: "utf8" });
		if (stdout?.includes('"credits_remaining":1000000'))
			return;
		if (peer.children.some(({ exitCode }) => exitCode !== null))
			break;
		await sleep(200);
	}
	throw new Error("it gives no right answer");
}

/** By the method and with the parameters that each is asked with. */
const byGet = { curl: [], ask: (target, user, params) =>
    get(`${target}${params ? `?${new URLSearchParams(params)}` : ""}`,
	user.headers) };
const byPost = { curl: ["-d", "{}", "-H", "Content-Type: application/json"],
	ask: (target, user, params = {}) =>
	    post(target, user.headers, JSON.stringify(params)) };

const at = ([secure, plain]) => ({ url: `https://127.0.0.1:${secure}`,
	plain_url: `http://127.0.0.1:${plain}` });

let nginx;

async function startPeers(rendio) {
	const php = await makeDatabase("php"), node = await makeDatabase("node");
	nginx = startNginx(rendio, php.file);
	const peers = {
		"Node (Fastify, better-sqlite3)": async () => ({ ...byGet,
			...at(NODE), prefix: "/", users: node.users,
			children: [startNode(node.file)] }),
		"PHP-FPM (PDO, SQLite)": async () => ({ ...byGet, ...at(PHP),
			prefix: "/", users: php.users, children: [startPhp()] }),
		"Parse Server, PostgreSQL": async () => ({ ...byPost,
			...at(PARSE), prefix: "/parse/functions/",
			...await startParse(keep, SECRET, USERS, JOBS) }),
	};
	const started = [];
	for (const [name, startPeer] of Object.entries(peers)) {
		say(`starting ${name}`);
		try {
			const peer = { name, ...await startPeer() };
			await untilItAnswers(peer);
			started.push(peer);
		} catch (error) {
			table.info(name, `left out: ${error.message.split("\n")[0]}`);
		}
	}
	return started;
}

async function ours(rendio) {
	const users = await makeUsers(rendio, USERS);
	await giveJobs(rendio, users.slice(0, 8), JOBS);
	return { name: "ours", users, ...byGet, url: rendio.url,
		plain_url: `http://127.0.0.1:${OURS_PLAIN}`,
		prefix: "/functions/v1/" };
}

const WORK = [
	{ name: "get-user-credits", clients: CLIENTS,
		requests: ({ users, prefix, ask }) => users.map((user) =>
		    ask(`${prefix}get-user-credits`, user)) },
	{ name: "get-video-status", clients: CLIENTS,
		requests: ({ users, prefix, ask }) => users.slice(0, 8)
		    .flatMap((user) => user.jobs.map((job_id) =>
			ask(`${prefix}get-video-status`, user, { job_id }))) },
	{ name: "get-video-jobs", clients: CLIENTS,
		requests: ({ users, prefix, ask }) => users.slice(0, 8)
		    .map((user) => ask(`${prefix}get-video-jobs`, user)) },
	{ name: "generate-video", clients: ORDER_CLIENTS,
		seconds: ORDER_ROUND_S, isWithoutWorker: true,
		requests: ({ users, prefix }) =>
		    orders(`${prefix}generate-video`, users) },
];

/** One round of one of them, with the processor time in nginx and behind it. */
async function measureOne(rendio, one, isPlain,
    { name, clients, requests, seconds = ROUND_S }) {
	const behind = one.children?.map((child) => child.pid) ??
	    [rendio.supervised(name)];
	const router = one.children || isPlain ? nginx.pid :
	    rendio.supervised("nginx");
	const spent_ms = (pids) =>
	    pids.reduce((sum, pid) => sum + cpu_ms(pid), 0);
	const behind_ms = spent_ms(behind), router_ms = spent_ms([router]);
	const row = await load(isPlain ? one.plain_url : one.url, requests(one),
	    seconds, { clients });
	const each_us = (ms) => ms * 1000 / row.requests;
	return { ...row, cpu_us: each_us(spent_ms(behind) - behind_ms),
		nginx_us: each_us(spent_ms([router]) - router_ms) };
}

/** Rounds of all in turn, and what they say. */
async function compare(rendio, all, task, isPlain) {
	const what = `${task.name}${isPlain ? " without TLS" : ""}`;
	const got = new Map(all.map((one) => [one, []]));
	for (let i = 0; i < ROUNDS; i++)
		for (const one of all) {
			say(`${what}, ${one.name}, round ${i + 1}`);
			got.get(one).push(await measureOne(rendio, one, isPlain,
			    task));
		}
	const [mine, ...theirs] = all.map((one) => ({ name: one.name,
		...together(got.get(one)),
		nginx_us: median(column(got.get(one), "nginx_us")),
		cpu_us: median(column(got.get(one), "cpu_us")) }));
	for (const one of [mine, ...theirs])
		table.info(`${what}: ${one.name}`, `${whole(one.rate)}/s, ` +
		    `${spread(one)}; processor ${whole(one.nginx_us)} µs in` +
		    ` nginx, ${whole(one.cpu_us)} µs behind it`);
	return { mine, theirs };
}

/** How ours compares with the best, and with the one that needs least. */
async function compareBoth(rendio, all, task) {
	const { name } = task;
	const { mine, theirs } = await compare(rendio, all, task, false);
	if (theirs.length === 0)
		return;
	const best = Math.max(...column(theirs, "rate"));
	table.goal(`${name}: ours / the best peer`, `≥ ${TIMES_BETTER}`,
	    (mine.rate / best).toFixed(1), mine.rate >= TIMES_BETTER * best);
	table.info(`${name}: processor time behind nginx, the peer that needs` +
	    " least / ours",
	(Math.min(...column(theirs, "cpu_us")) / mine.cpu_us).toFixed(1));
	if (!READS.includes(name))
		return;
	const plain = await compare(rendio, all, task, true);
	table.info(`${name} without TLS: ours / the best peer`, (plain.mine.rate /
	    Math.max(...column(plain.theirs, "rate"))).toFixed(1));
}

const table = new Table();
const where = await machine(build);
const rendio = await start({ directory: work, env: {
	RENDIO_GRANT_CREDITS: "10000", RENDIO_JOBS_OPEN_MAX_FREE: "10000",
	RENDIO_PROVIDER_CONCURRENCY: "32" } });
try {
	const all = [await ours(rendio), ...await startPeers(rendio)];
	for (const task of WORK) {
		if (task.isWithoutWorker)
			await stopWorker(rendio);
		await table.attempt(task.name, () =>
		    compareBoth(rendio, all, task));
	}
	await startWorker(rendio);
	await table.audit(rendio);
} finally {
	await endAll();
	await rendio.stop();
	table.print(where);
}
