// SPDX-License-Identifier: MIT
//
// fastify.mjs -- the peer on Node: Fastify, @fastify/jwt and better-sqlite3, a
// cluster with a process for each processor, as their guides say.
//
// Environment: PORT, DATABASE, SECRET.

import cluster from "node:cluster";
import { createHash, createHmac, randomUUID } from "node:crypto";
import os from "node:os";
import jwt from "@fastify/jwt";
import Database from "better-sqlite3";
import Fastify from "fastify";

if (cluster.isPrimary) {
	for (let i = 0; i < os.availableParallelism(); i++)
		cluster.fork();
	// What crashes under a benchmark is to be seen.
	cluster.on("exit", () => process.exit(1));
} else {
	await serve();
}

async function serve() {
	const db = new Database(process.env.DATABASE, { timeout: 5000 });
	db.pragma("journal_mode = WAL");
	db.pragma("synchronous = FULL");
	db.pragma("foreign_keys = ON");

	const session = db.prepare(`SELECT u.status FROM sessions s
	    JOIN users u ON u.id = s.user_id WHERE s.id = ? AND u.id = ?`);
	const credits = db.prepare(
	    "SELECT credits_remaining FROM users WHERE id = ?").pluck();
	const status = db.prepare(
	    "SELECT * FROM jobs WHERE id = ? AND user_id = ?");
	const history = db.prepare(`SELECT * FROM jobs
	    WHERE user_id = ? ORDER BY created_at_ms DESC, id DESC LIMIT 20`);
	const submit = db.transaction(submission(db));

	const app = Fastify({ logger: false });
	await app.register(jwt, { secret: process.env.SECRET });
	app.addHook("onRequest", async (request, reply) => {
		await request.jwtVerify();
		const found = session.get(request.user.session_id,
		    request.user.sub);
		if (found?.status !== "active")
			return reply.code(401).send({ error: "Unauthorized" });
	});
	app.get("/get-user-credits", async (request) =>
	    ({ credits_remaining: credits.get(request.user.sub) }));
	app.get("/get-video-status", async (request, reply) => {
		const job = status.get(request.query.job_id, request.user.sub);
		return job ? view(job) :
		    reply.code(404).send({ error: "Not found" });
	});
	app.get("/get-video-jobs", async (request) =>
	    ({ jobs: history.all(request.user.sub).map(view) }));
	app.post("/generate-video", { schema: {
		headers: { type: "object", required: ["idempotency-key"] },
		body: { type: "object", required: ["prompt"], properties: {
			prompt: { type: "string", minLength: 1, maxLength: 5000 },
		} },
	} }, async (request, reply) => {
		const [code, body] = submit.immediate(request.user.sub,
		    request.headers["idempotency-key"], request.body.prompt);
		return reply.code(code).send(body);
	});
	await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
}

/** A link to a file that lives an hour. */
function link(bucket, name) {
	const path = `/${bucket}/${name}`;
	const exp = Math.floor(Date.now() / 1000) + 3600;
	const token = createHmac("sha256", process.env.SECRET)
	    .update(`${path}|${exp}`).digest("base64url");
	return `https://127.0.0.1/sign${path}?exp=${exp}&token=${token}`;
}

/** What a client sees of a job. */
const view = (job) => ({
	job_id: job.id, status: job.state, prompt: job.prompt,
	model_name: job.model_name, credits_used: job.cost_credits,
	credits_refunded: 0,
	video_url: job.state === "completed" ?
	    link("videos", `${job.id}.mp4`) : null,
	thumbnail_url: job.state === "completed" ?
	    link("thumbnails", `${job.id}.jpg`) : null,
	error_message: null, error_code: null,
	created_at: new Date(job.created_at_ms).toISOString(),
});

const sha256 = (...parts) => {
	const hash = createHash("sha256");
	parts.forEach((part) => hash.update(part));
	return hash.digest();
};

/** What is one transaction: the order and everything that it moves. */
function submission(db) {
	const record = db.prepare(`SELECT * FROM idempotency_records
	    WHERE user_id = ? AND key = ?`);
	const model = db.prepare("SELECT * FROM models WHERE is_active = 1");
	const user = db.prepare("SELECT * FROM users WHERE id = ?");
	const lot = db.prepare(`SELECT id FROM credit_lots
	    WHERE user_id = ? AND remaining_credits >= ? LIMIT 1`).pluck();
	const takeFromLot = db.prepare(`UPDATE credit_lots
	    SET remaining_credits = remaining_credits - ? WHERE id = ?`);
	const hold = db.prepare("INSERT INTO hold_lots VALUES (?, ?, ?)");
	const charge = db.prepare(`UPDATE users SET credits_remaining = ?,
	    ledger_number = ?, ledger_hash = ? WHERE id = ?`);
	const entry = db.prepare(`INSERT INTO ledger_entries
	    VALUES (?, ?, 'hold', ?, ?, ?, ?, ?)`);
	const job = db.prepare(`INSERT INTO jobs (id, user_id, model_id,
	    model_name, prompt, cost_credits, due_at_ms, created_at_ms)
	    VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
	const attempt = db.prepare(
	    "INSERT INTO attempts VALUES (?, ?, 1, 'new')");
	const remember = db.prepare(
	    "INSERT INTO idempotency_records VALUES (?, ?, ?, ?, ?, ?)");
	const event = db.prepare(`INSERT INTO events (user_id, job_id, kind,
	    created_at_ms) VALUES (?, ?, 'job', ?)`);

	return (userId, key, prompt) => {
		const fingerprint = sha256(prompt);
		const before = record.get(userId, key);
		if (before)
			return before.fingerprint.equals(fingerprint) ?
			    [200, answer(before)] :
			    [422, { error: "Key was used for another order" }];
		const { id: modelId, name, credits_per_second } = model.get();
		const cost = 4 * credits_per_second;
		const { credits_remaining, ledger_number, ledger_hash } =
		    user.get(userId);
		if (credits_remaining < cost)
			return [402, { error: "Insufficient credits" }];
		const now = Date.now();
		const jobId = randomUUID();
		const left = credits_remaining - cost;
		const number = ledger_number + 1;
		const hash = sha256(ledger_hash,
		    `${userId}|${number}|hold|${cost}|${left}|${jobId}|${now}`);
		const lotId = lot.get(userId, cost);
		takeFromLot.run(cost, lotId);
		hold.run(jobId, lotId, cost);
		charge.run(left, number, hash, userId);
		entry.run(userId, number, cost, left, jobId, hash, now);
		job.run(jobId, userId, modelId, name, prompt, cost, now, now);
		attempt.run(randomUUID(), jobId);
		remember.run(userId, key, fingerprint, jobId, cost, left);
		event.run(userId, jobId, now);
		return [200, answer({ job_id: jobId, credits_used: cost,
			credits_remaining: left })];
	};
}

const answer = ({ job_id, credits_used, credits_remaining }) =>
    ({ job_id, status: "pending", credits_used, credits_remaining });
