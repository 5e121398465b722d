// SPDX-License-Identifier: MIT
//
// Phones that drop and return while their jobs change, and while the engine,
// nginx's workers and our worker are killed, and nginx is reloaded.  In the end
// each phone's last knowledge is the database, and it was told of the newest
// event; on the way no id went backwards, and the API failed nobody but those
// who were under way at a killed worker of nginx.
//
// RENDIO_STREAM_CLIENTS (default 100, one in ten at Supabase's websocket, the
// others at a stream), RENDIO_STREAM_CHANGES (500) and RENDIO_SEED set its
// size and repeat it.  The whole size is in docs/benchmarks.md.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { id, sql } from "../api/support/database.mjs";
import { start, until } from "../api/support/instance.mjs";
import { endOf, orderJob } from "../api/support/jobs.mjs";
import { Phoenix } from "../api/support/phoenix.mjs";
import { Stream } from "../api/support/streams.mjs";
import { chance } from "./chance.mjs";

const CLIENTS = Number(process.env.RENDIO_STREAM_CLIENTS ?? 100);
const CHANGES = Number(process.env.RENDIO_STREAM_CHANGES ?? 500);
const SEED = Number(process.env.RENDIO_SEED ?? Date.now() % 2 ** 31);
const USERS = Math.max(1, Math.floor(CLIENTS / 4));
const SETTLE_MS_MAX = 120_000;
const SOCKETS_EVERY = 10;
const ASKERS = 2;
/* Some fifty phones return a second, so that we are not what is too slow. */
const STAY_MS_MAX = Math.max(4000, CLIENTS * 40);
/* Guests that come in at once, requests of ours at once. */
const AT_ONCE = 8;
const random = chance(SEED);

let rendio;
let over = false;
let askers = [];

before(async () => { rendio = await start(); });
after(async () => {
	// Phones live until they are told, also when a test has failed.
	over = true;
	await Promise.all(askers.map((asker) => asker.stop()));
	await rendio.stop();
});

/** A phone: it knows what it was told, and comes back whenever it is cut off. */
class Phone {
	jobs = new Map();
	credits = null;
	last_id = "";
	opened = 0;
	snapshots = 0;
	backwards = 0;

	constructor(guest) {
		this.guest = guest;
	}

	async live() {
		while (!over) {
			try {
				await this.session();
			} catch {
				/* Cut off: come back as soon as it goes. */
			}
			await sleep(random() * 200);
		}
	}

	async session() {
		const stream = new Stream();
		let last = Number(this.last_id);

		stream.onmessage = (message) => {
			if (message.id !== undefined) {
				// A snapshot may repeat the newest one.
				this.backwards += Number(message.id) < last ||
				    (message.event !== "snapshot" &&
					Number(message.id) === last);
				last = Number(message.id);
				this.last_id = message.id;
			}
			this.take(message);
		};
		await stream.connect(rendio, "/functions/v1/user-events", {
			bearer: this.guest.access_token,
			headers: this.last_id === "" ? {} :
			    { "last-event-id": this.last_id },
		});
		if (stream.status !== 200)
			return;
		this.opened++;
		await this.stay(() => stream.ended);
		stream.close();
	}

	/** For a while; to the end when all is still. */
	async stay(isCutOff) {
		const leave_at = Date.now() + random() * STAY_MS_MAX;
		while (!isCutOff() && !over && (still || Date.now() < leave_at))
			await sleep(20);
	}

	take({ event, data }) {
		if (event === "snapshot") {
			this.snapshots++;
			this.jobs = new Map(data.jobs.map((job) =>
			    [job.job_id, job.status]));
		} else if (event === "job") {
			this.jobs.set(data.job_id, data.status);
		} else if (event === "deleted") {
			this.jobs.delete(data.job_id);
		}
		if (data.credits_remaining !== undefined)
			this.credits = data.credits_remaining;
	}

	/** Does it know what is true, and was it told of the newest event? */
	isRight({ credits, jobs, newest_id }) {
		return this.credits === credits &&
		    text([...this.jobs]) === text(jobs) &&
		    this.last_id === newest_id;
	}
}

/**
 * A phone with an official client: nothing is made up for it that it missed, so
 * it reads what there is when it has joined.
 */
class SocketPhone extends Phone {
	async session() {
		const socket = await Phoenix.open(rendio);
		let isCut = false;

		socket.ws.on("error", () => {});
		socket.closed.then(() => { isCut = true; });
		const { payload } = await socket.join("realtime:x",
		    this.guest.access_token,
		    { filter: `user_id=eq.${this.guest.user_id}` });
		if (payload.status === "ok") {
			this.opened++;
			this.jobs = new Map(await jobsOf(this.guest));
			const take = ({ event, payload: { data } }) => {
				if (event === "postgres_changes")
					this.jobs.set(data.record.job_id,
					    data.record.status);
			};
			socket.got.forEach(take);
			socket.got = { push: take };
			await this.stay(() => isCut);
		}
		socket.ws.terminate();
	}

	isRight({ jobs }) {
		return text([...this.jobs]) === text(jobs);
	}
}

const text = (jobs) => JSON.stringify(jobs.sort((a, b) =>
    a[0] < b[0] ? -1 : 1));

let still = false;

async function get(guest, target) {
	return (await rendio.request("GET", `/functions/v1/${target}`,
	    { bearer: guest.access_token })).json();
}

async function jobsOf(guest) {
	const { jobs } = await get(guest, "get-video-jobs?limit=100");
	return jobs.map((job) => [job.job_id, job.status]);
}

/** What the API says that each user has, and the database of its events. */
async function truths(users) {
	const newest = new Map((await sql(rendio, `SELECT
	    lower(hex(user_id)) AS user, max(id) AS id FROM events
	    GROUP BY user_id`)).map(({ user, id }) => [user, String(id)]));

	return new Map(await each(users, async (user) => [user, {
		credits: (await get(user, "get-user-credits")).credits_remaining,
		jobs: await jobsOf(user),
		newest_id: newest.get(user.user_id.replaceAll("-", "")),
	}]));
}

/** Does `work` to all of them, some at a time; their results in order. */
async function each(all, work) {
	const results = [], waiting = [...all.entries()];

	await Promise.all(Array.from({ length: AT_ONCE }, async () => {
		for (let next; (next = waiting.shift());)
			results[next[0]] = await work(next[1], next[0]);
	}));
	return results;
}

/* nginx does not wait for us when the machine is too busy to shake hands. */
const TRIES_MAX = 5;

async function patiently(work) {
	for (let i = 1; ; i++) {
		try {
			return await work();
		} catch (error) {
			if (error.code !== "ECONNRESET" || i === TRIES_MAX)
				throw error;
		}
	}
}

/**
 * A job that is over, and without a film that would have to be made: what
 * changes from now on is only what we change.
 */
async function makeJob(user) {
	const jobId = await patiently(() => orderJob(rendio, user,
	    { prompt: "A sea [fail:content]" }));
	await patiently(() => endOf(rendio, user, jobId));
	return { user, id: jobId };
}

/** Changes as the domain makes them: the row and its event together. */
async function change(jobs, count) {
	const states = ["failed", "completed", "cancelled", "lost"];
	let text = "";
	for (let i = 0; i < count; i++) {
		const job = jobs[Math.floor(random() * jobs.length)];
		const state = states[Math.floor(random() * states.length)];
		text += `BEGIN IMMEDIATE; UPDATE jobs SET state = '${state}'
		    WHERE id = ${id(job.id)};
		    INSERT INTO events (user_id, job_id, kind, created_at_ms)
		    VALUES (${id(job.user.user_id)}, ${id(job.id)}, 'job',
		    ${Date.now()}); COMMIT;`;
	}
	await sql(rendio, text);
}

/** A process may end by itself before it is struck. */
function strike(pid, signal) {
	try {
		process.kill(pid, signal);
	} catch (error) {
		assert.equal(error.code, "ESRCH");
	}
}

let nginxKills = 0;

/** What is done to the machinery, in turn. */
const blows = [
	() => strike(rendio.supervised("realtime"), "SIGKILL"),
	() => {
		const pids = rendio.pids("nginx");
		nginxKills++;
		strike(pids[Math.floor(random() * pids.length)], "SIGKILL");
	},
	() => strike(rendio.supervised("nginx"), "SIGHUP"),
	() => rendio.pids("worker").forEach((pid) => strike(pid, "SIGKILL")),
];

/** Asks the API all the time; stop() gives what came of it. */
function startAsker(users) {
	const worker = new Worker(new URL("asker.mjs", import.meta.url), {
		workerData: { port: rendio.port, ca: rendio.ca,
			anonKey: rendio.anonKey,
			tokens: users.map((user) => user.access_token) } });
	const counts = new Promise((resolve, reject) => {
		worker.once("message", resolve);
		worker.once("error", reject);
	});

	return { stop() {
		worker.postMessage("stop");
		return counts;
	} };
}

test(`${CLIENTS} phones drop and return, ${CHANGES} changes, seed ${SEED}`,
    async (t) => {
	const users = await each(Array.from({ length: USERS }), (_, i) =>
	    patiently(() => rendio.guest(`phone-${i}`)));
	const jobs = await each(users, makeJob);
	const phones = Array.from({ length: CLIENTS }, (_, i) =>
	    new (i % SOCKETS_EVERY === 0 ? SocketPhone : Phone)(
		users[i % USERS]));
	const lives = phones.map((phone) => phone.live());
	askers = Array.from({ length: ASKERS }, () => startAsker(users));
	const at_once = Math.min(250, Math.ceil(CHANGES / 20));
	let struck = 0;

	for (let i = 0; i * at_once < CHANGES; i++) {
		await change(jobs, at_once);
		if (i % 4 === 3)
			blows[struck++ % blows.length]();
		await sleep(100);
	}
	still = true;
	const stilled = performance.now();

	let known, wrong = phones;
	await until(async () => {
		// We are busy ourselves: a request of ours may be too late.
		known = await truths(users).catch(() => known);
		if (known === undefined)
			return false;
		wrong = phones.filter((phone) =>
		    !phone.isRight(known.get(phone.guest)));
		return wrong.length === 0;
	}, SETTLE_MS_MAX);
	const [one] = wrong;
	assert.equal(wrong.length, 0, one && JSON.stringify([wrong.length,
		one.constructor.name, [...one.jobs], one.credits, one.last_id,
		known?.get(one.guest)]));
	const settled_ms = performance.now() - stilled;
	over = true;
	await Promise.all(lives);
	const counts = await Promise.all(askers.map((asker) => asker.stop()));
	const sum = (list, name) => list.reduce((n, one) => n + one[name], 0);
	const streams = phones.filter((phone) =>
	    !(phone instanceof SocketPhone));
	const figures = {
		sessions: sum(phones, "opened"),
		snapshots: sum(streams, "snapshots"),
		backwards: sum(phones, "backwards"),
		settled_ms: Math.round(settled_ms),
		api: Object.fromEntries(["good", "bad", "cut"].map((name) =>
		    [name, sum(counts, name)])),
	};

	t.diagnostic(JSON.stringify(figures));
	assert.equal(figures.backwards, 0);
	// Most came back to what they missed, not to a whole snapshot.
	assert.ok(figures.sessions >= CLIENTS);
	assert.ok(figures.snapshots <= CLIENTS + figures.sessions / 10);
	assert.equal(figures.api.bad, 0);
	// Nobody but who was under way at a killed worker of nginx.
	assert.ok(figures.api.cut <= ASKERS * nginxKills);
	assert.ok(figures.api.good > 20);
});
