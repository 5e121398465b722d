// SPDX-License-Identifier: MIT
//
// Phones that drop and return while their jobs and balances change, and while
// the engine, nginx's workers and our worker are killed.  In the end each
// phone's last knowledge is the database, and on the way no id went backwards.
//
// RENDIO_STREAM_CLIENTS (default 100), RENDIO_STREAM_CHANGES (1,000) and
// RENDIO_SEED set its size and repeat it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { id, sql } from "../api/support/database.mjs";
import { start, until } from "../api/support/instance.mjs";
import { endOf, orderJob } from "../api/support/jobs.mjs";
import { Stream } from "../api/support/streams.mjs";
import { chance } from "./chance.mjs";

const CLIENTS = Number(process.env.RENDIO_STREAM_CLIENTS ?? 100);
const CHANGES = Number(process.env.RENDIO_STREAM_CHANGES ?? 1000);
const SEED = Number(process.env.RENDIO_SEED ?? Date.now() % 2 ** 31);
const USERS = Math.max(1, Math.floor(CLIENTS / 4));
const SETTLE_MS_MAX = 60_000;
const random = chance(SEED);

let rendio;
let over = false;

before(async () => { rendio = await start(); });
after(() => rendio.stop());

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
		this.stream = stream;
		// On average two seconds; to the end when all is still.
		const leave_at = Date.now() + random() * 4000;
		while (!stream.ended && !over &&
		    (still || Date.now() < leave_at))
			await sleep(20);
		stream.close();
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

	/** What it knows, in a form that can be compared. */
	known() {
		return JSON.stringify([this.credits,
			[...this.jobs].sort((a, b) => a[0] < b[0] ? -1 : 1)]);
	}
}

let still = false;

/** What the API says that a user has. */
async function truth(guest) {
	const get = async (target) => (await rendio.request("GET",
	    `/functions/v1/${target}`, { bearer: guest.access_token })).json();
	const { credits_remaining } = await get("get-user-credits");
	const { jobs } = await get("get-video-jobs?limit=100");

	return JSON.stringify([credits_remaining, jobs.map((job) =>
	    [job.job_id, job.status]).sort((a, b) => a[0] < b[0] ? -1 : 1)]);
}

async function makeUsers() {
	const users = [];
	for (let i = 0; i < USERS; i++) {
		const guest = await rendio.guest(`phone-${i}`);
		users.push(guest);
	}
	return users;
}

/** A job that is over: what changes from now on is only what we change. */
async function makeJobs(users) {
	const jobs = await Promise.all(users.map(async (user) =>
	    ({ user, id: await orderJob(rendio, user) })));
	await Promise.all(jobs.map(({ user, id }) => endOf(rendio, user, id)));
	return jobs;
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

/** What is done to the machinery, in turn. */
const blows = [
	() => process.kill(rendio.supervised("realtime"), "SIGKILL"),
	() => {
		const pids = rendio.pids("nginx");
		process.kill(pids[Math.floor(random() * pids.length)], "SIGKILL");
	},
	() => process.kill(rendio.supervised("nginx"), "SIGHUP"),
	() => rendio.pids("worker").forEach((pid) =>
	    process.kill(pid, "SIGKILL")),
];

/** Asks all the time; counts what failed while nginx was whole. */
async function ask(users) {
	const counts = { good: 0, bad: 0, cut: 0 };
	while (!over) {
		const user = users[Math.floor(random() * users.length)];
		try {
			const res = await rendio.request("GET",
			    "/functions/v1/get-user-credits",
			    { bearer: user.access_token });
			if (res.status === 200)
				counts.good++;
			else
				counts.bad++;
		} catch {
			counts.cut++;
		}
		await sleep(20);
	}
	return counts;
}

test(`${CLIENTS} phones drop and return, ${CHANGES} changes, seed ${SEED}`,
    async () => {
	const users = await makeUsers();
	const jobs = await makeJobs(users);
	const phones = Array.from({ length: CLIENTS }, (_, i) =>
	    new Phone(users[i % USERS]));
	const lives = phones.map((phone) => phone.live());
	const asking = ask(users);
	const batches = 40;
	let killed = 0;

	for (let i = 0; i < batches; i++) {
		await change(jobs, Math.ceil(CHANGES / batches));
		if (i % 5 === 4) {
			const blow = blows[killed++ % blows.length];
			blow();
		}
		await sleep(100);
	}
	still = true;

	const wrong = async () => {
		const truths = new Map();
		for (const user of users)
			truths.set(user, await truth(user));
		return phones.filter((phone) =>
		    phone.known() !== truths.get(phone.guest));
	};
	const settled = await until(async () =>
	    (await wrong()).length === 0, SETTLE_MS_MAX);
	if (!settled) {
		const [phone] = await wrong();
		assert.fail(`${(await wrong()).length} phones are wrong: ` +
		    `${phone.known()} is ${await truth(phone.guest)}`);
	}
	over = true;
	await Promise.all(lives);
	const counts = await asking;
	const sum = (name) => phones.reduce((n, phone) => n + phone[name], 0);

	assert.equal(sum("backwards"), 0);
	// Most came back to what they missed, not to a whole snapshot.
	assert.ok(sum("opened") >= 2 * CLIENTS);
	assert.ok(sum("snapshots") <= CLIENTS + sum("opened") / 10,
	    `${sum("snapshots")} of ${sum("opened")}`);
	assert.equal(counts.bad, 0);
	// Only what was under way at a killed nginx worker.
	assert.ok(counts.cut <= killed, JSON.stringify(counts));
	assert.ok(counts.good > 20);
});
