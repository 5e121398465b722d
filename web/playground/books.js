// SPDX-License-Identifier: MIT
//
// The books: everything that the API says of a user's credits, added up by
// somebody who does not trust it.

const PAGE = 100;

/* More than anybody makes here by hand. */
const PAGES_MAX = 20;

/* Reading the books is no news; what goes wrong is. */
const QUIETLY = true;

async function all(backend, path, name) {
	const rows = [];
	let before = null;

	for (let i = 0; i < PAGES_MAX; i++) {
		const page = await backend.call("GET", `${path}?limit=${PAGE}` +
		    (before ? `&before=${before}` : ""), undefined, {}, QUIETLY);
		rows.push(...page[name]);
		before = page.next_before;
		if (!before)
			break;
	}
	return rows;
}

const isOver = (job) => ["completed", "failed"].includes(job.status);

/** What is wrong with a job's money; "" when nothing is. */
function faultOf(job, entries) {
	const sum = (reason) => entries.filter((entry) =>
	    entry.reason === reason).reduce((n, entry) => n + entry.change, 0);
	const count = (reason) => entries.filter((entry) =>
	    entry.reason === reason).length;

	if (count("hold") !== 1)
		return `${count("hold")} holds`;
	if (!isOver(job))
		return count("release") === 0 ? "" : "given back too early";
	if (job.status === "completed")
		return count("release") === 0 ? "" : "made and given back";
	return count("release") === 1 && sum("release") === -sum("hold") ?
	    "" : `failed, and ${sum("release")} given back`;
}

const balanceOf = (backend) => backend.call("GET", "get-user-credits",
    undefined, {}, QUIETLY);

/**
 * { balance, entries, sums: [[name, credits]], checks: [[text, isTrue]],
 * isRight }.  The balance is asked for before and after, because it may move
 * meanwhile; then the books are read again.
 */
export async function readBooks(backend) {
	for (let i = 0; ; i++) {
		const before = await balanceOf(backend);
		const [entries, jobs] = await Promise.all([
			all(backend, "get-credit-history", "entries"),
			all(backend, "get-video-jobs", "jobs")]);
		const after = await balanceOf(backend);

		if (before.credits_remaining === after.credits_remaining ||
		    i === 5)
			return audit(after.credits_remaining, entries, jobs);
	}
}

function audit(balance, entries, jobs) {
	const names = { grant: "Gift", purchase: "Bought", hold: "Videos",
		release: "Given back", refund: "Refunded",
		refund_reversed: "Refund reversed", adjustment: "Adjusted" };
	const sum = entries.reduce((n, entry) => n + entry.change, 0);
	// Newest first: each entry stands on the one after it.
	const chained = entries.every((entry, i) => entry.balance_after ===
	    (entries[i + 1]?.balance_after ?? 0) + entry.change);
	const faults = jobs.map((job) => faultOf(job, entries.filter((entry) =>
	    entry.job_id === job.job_id))).filter((fault) => fault !== "");
	const open = jobs.filter((job) => !isOver(job)).length;
	const sums = Object.entries(names).map(([reason, name]) => [name,
		entries.filter((entry) => entry.reason === reason)
		    .reduce((n, entry) => n + entry.change, 0)])
	    .filter(([, credits]) => credits !== 0);
	const checks = [
		[`The ledger adds up to ${sum}, the balance is ${balance}`,
			sum === balance],
		["Each entry stands on the one before it", chained],
		[faults[0] ?? `Finished videos: ${jobs.length - open}, each paid ` +
			"or given back, once", faults.length === 0],
	];

	if (open > 0)
		checks.push([`Under way: ${open}, held and not yet paid`, true]);
	return { balance, entries, sums, checks,
		isRight: checks.every(([, isTrue]) => isTrue) };
}
