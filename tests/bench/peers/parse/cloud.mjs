// SPDX-License-Identifier: MIT
//
// cloud.mjs -- the peer on Parse Server: Cloud functions, as its guide says.
//
// A transaction of Parse only writes (saveAll), so what it read before is held
// against others by a unique index: an entry of the ledger has a number, and of
// two orders that took the same one is refused whole and begins again.
//
// Environment: SECRET.

import { createHash, createHmac, randomUUID } from "node:crypto";

const { Parse } = globalThis;
const TRIES = 10;
const SECRET = process.env.SECRET;
const master = { useMasterKey: true };

/** A link to a file that lives an hour. */
function link(bucket, name) {
	const path = `/${bucket}/${name}`;
	const exp = Math.floor(Date.now() / 1000) + 3600;
	const token = createHmac("sha256", SECRET)
	    .update(`${path}|${exp}`).digest("base64url");
	return `https://127.0.0.1/sign${path}?exp=${exp}&token=${token}`;
}

/** What a client sees of a job. */
function view(job) {
	const id = job.get("jobId"), done = job.get("state") === "completed";
	return {
		job_id: id, status: job.get("state"), prompt: job.get("prompt"),
		model_name: job.get("modelName"), credits_used: job.get("cost"),
		credits_refunded: 0,
		video_url: done ? link("videos", `${id}.mp4`) : null,
		thumbnail_url: done ? link("thumbnails", `${id}.jpg`) : null,
		error_message: null, error_code: null,
		created_at: job.createdAt.toISOString(),
	};
}

/** The session was looked up; whether its user may still come in was not. */
function define(name, validator, run) {
	Parse.Cloud.define(name, async (request) => {
		if (request.user.get("status") !== "active")
			throw new Parse.Error(Parse.Error.INVALID_SESSION_TOKEN,
			    "Unauthorized");
		return await run(request);
	}, { requireUser: true, ...validator });
}

define("get-user-credits", {}, async ({ user }) => {
	const { attributes } = await user.fetch(master);
	return { credits_remaining: attributes.credits };
});

define("get-video-status", { fields: { job_id: { type: String, required: true } } },
    async ({ user, params }) => {
	const job = await new Parse.Query("Job").equalTo("user", user)
	    .equalTo("jobId", params.job_id).first(master);
	if (!job)
		throw new Parse.Error(Parse.Error.OBJECT_NOT_FOUND, "Not found");
	return view(job);
});

define("get-video-jobs", {}, async ({ user }) => {
	const jobs = await new Parse.Query("Job").equalTo("user", user)
	    .descending("createdAt").limit(20).find(master);
	return { jobs: jobs.map(view) };
});

const sha256 = (...parts) => {
	const hash = createHash("sha256");
	parts.forEach((part) => hash.update(part));
	return hash.digest("hex");
};

/** One order; null when another one of the same user was faster. */
async function submit(owner, key, prompt) {
	const fingerprint = sha256(prompt);
	const [before, model, user] = await Promise.all([
		new Parse.Query("IdempotencyRecord").equalTo("user", owner)
		    .equalTo("key", key).first(master),
		new Parse.Query("Model").equalTo("isActive", true).first(master),
		owner.fetch(master)]);
	if (before && before.get("fingerprint") !== fingerprint)
		throw new Parse.Error(Parse.Error.DUPLICATE_REQUEST,
		    "Key was used for another order");
	if (before)
		return before.get("answer");
	const cost = 4 * model.get("creditsPerSecond");
	const left = user.get("credits") - cost;
	if (left < 0)
		throw new Parse.Error(Parse.Error.SCRIPT_FAILED,
		    "Insufficient credits");
	const lot = await new Parse.Query("CreditLot").equalTo("user", owner)
	    .greaterThanOrEqualTo("remaining", cost).first(master);
	const jobId = randomUUID(), number = user.get("ledgerNumber") + 1;
	const hash = sha256(user.get("ledgerHash"),
	    `${owner.id}|${number}|hold|${cost}|${left}|${jobId}|${Date.now()}`);
	const answer = { job_id: jobId, status: "pending", credits_used: cost,
		credits_remaining: left };
	try {
		await Parse.Object.saveAll([
			lot.increment("remaining", -cost),
			new Parse.Object("HoldLot", { jobId, lot, credits: cost }),
			user.set({ credits: left, ledgerNumber: number,
				ledgerHash: hash }),
			new Parse.Object("LedgerEntry", { user, number,
				kind: "hold", amount: cost, balanceAfter: left,
				jobId, hash }),
			new Parse.Object("Job", { jobId, user, model,
				modelName: model.get("name"), prompt, cost,
				state: "queued", dueAt: new Date() }),
			new Parse.Object("Attempt", { jobId, number: 1,
				state: "new" }),
			new Parse.Object("IdempotencyRecord", { user, key,
				fingerprint, answer }),
			new Parse.Object("Event", { user, jobId, kind: "job" }),
		], { ...master, transaction: true });
	} catch {
		// Of a commit that was refused Parse does not say why.
		return null;
	}
	return answer;
}

define("generate-video", { fields: { prompt: { type: String, required: true,
	options: (prompt) => prompt.length >= 1 && prompt.length <= 5000 } } },
    async ({ user, headers, params }) => {
	const key = headers["idempotency-key"];
	if (!key)
		throw new Parse.Error(Parse.Error.INVALID_JSON, "No key");
	for (let i = 0; i < TRIES; i++) {
		const answer = await submit(user, key, params.prompt);
		if (answer)
			return answer;
	}
	throw new Parse.Error(Parse.Error.DUPLICATE_VALUE, "Try again");
});
