// SPDX-License-Identifier: MIT
//
// Phones that order videos, poll and listen to their stream while something is
// done to the backend; they remember what went wrong, and what they were told.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../api/support/instance.mjs";
import { order, statusOf } from "../api/support/jobs.mjs";
import { Stream } from "../api/support/streams.mjs";

const TOLD_MS_MAX = 120_000;

class Phone {
	jobs = [];
	told = new Map();
	credits = null;
	last_id = "";
	failures = [];
	requests = 0;
	streams = 0;
	backwards = 0;

	constructor(phones, guest) {
		this.phones = phones;
		this.rendio = phones.rendio;
		this.guest = guest;
	}

	async ask(what, call) {
		const at = new Date().toISOString();
		this.requests++;
		try {
			const res = await call();
			if (res.status === 200)
				return res.json();
			this.failures.push(`${at} ${what}: ${res.status} ${res.text}`);
		} catch (error) {
			this.failures.push(`${at} ${what}: ${error.message}`);
		}
		return null;
	}

	async use() {
		while (!this.phones.over) {
			const made = await this.ask("order", () => order(this.rendio,
			    this.guest, { settings: { duration: 4 } }));
			if (made)
				this.jobs.push(made.job_id);
			for (let i = 0; i < 10 && this.jobs.length > 0; i++) {
				const job = this.jobs.at(-1 - i % this.jobs.length);
				await this.ask("status", () => statusOf(this.rendio,
				    this.guest, job));
				await sleep(50);
			}
		}
	}

	/** A stream is cut when its engine goes; it comes back where it was. */
	async listen() {
		while (!this.phones.quiet) {
			const stream = new Stream();
			stream.onmessage = (message) => this.hear(message);
			try {
				await stream.connect(this.rendio,
				    "/functions/v1/user-events", {
					bearer: this.guest.access_token,
					headers: this.last_id === "" ? {} :
					    { "last-event-id": this.last_id },
				});
			} catch (error) {
				this.failures.push(`stream: ${error.message}`);
				continue;
			}
			if (stream.status !== 200)
				this.failures.push(`stream: ${stream.status}`);
			this.streams++;
			while (!stream.ended && !this.phones.quiet)
				await sleep(20);
			stream.close();
		}
	}

	hear({ id, event, data }) {
		if (id !== undefined) {
			this.backwards += Number(id) < Number(this.last_id);
			this.last_id = id;
		}
		for (const job of event === "snapshot" ? data.jobs :
		    event === "job" ? [data] : [])
			this.told.set(job.job_id, job.status);
		this.credits = data.credits_remaining ?? this.credits;
	}

	/** Was it told of all that became of its jobs? */
	async knowsAll() {
		const now = await this.ask("credits", () =>
		    this.rendio.request("GET", "/functions/v1/get-user-credits",
			{ bearer: this.guest.access_token }));
		return this.credits === now?.credits_remaining &&
		    this.jobs.every((job) => this.told.get(job) === "completed");
	}
}

export class Phones {
	over = false;
	quiet = false;

	/** Guests need credits enough, and limits that let them order. */
	static async start(rendio, count) {
		const phones = new Phones();
		phones.rendio = rendio;
		phones.all = [];
		for (let i = 0; i < count; i++)
			phones.all.push(new Phone(phones,
			    await rendio.guest(`phones-${i}-${Date.now()}`)));
		phones.using = phones.all.map((phone) => phone.use());
		phones.listening = phones.all.map((phone) => phone.listen());
		return phones;
	}

	/** Ends the load, and waits until each phone knows what became of it. */
	async rest() {
		this.over = true;
		await Promise.all(this.using);
		this.told = await until(async () => {
			for (const phone of this.all)
				if (!await phone.knowsAll())
					return false;
			return true;
		}, TOLD_MS_MAX);
		this.quiet = true;
		await Promise.all(this.listening);
	}

	sum(name) {
		return this.all.reduce((n, phone) => n +
		    (phone[name].length ?? phone[name]), 0);
	}

	get failures() {
		return this.all.flatMap((phone) => phone.failures);
	}

	get streams() {
		return this.sum("streams");
	}

	summary() {
		return `${this.sum("requests")} requests, ` +
		    `${this.sum("jobs")} jobs, ${this.streams} streams, ` +
		    `${this.failures.length} failed`;
	}

	/** No request failed, and no event was lost. */
	assertWell() {
		assert.deepEqual(this.failures, []);
		assert.ok(this.told, "a stream did not tell the end of a job");
		assert.equal(this.sum("backwards"), 0);
	}
}
