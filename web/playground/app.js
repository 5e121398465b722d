// SPDX-License-Identifier: MIT
//
// The playground's page: a phone that shows what the backend says, and a
// backstage from which everything outside of the phone is pushed.

import { Backend, local, short, stateOf } from "./backend.js";
import { readBooks } from "./books.js";

const WIRE_LINES_MAX = 60;
const RECEIPTS_MAX = 6;

/* What an act brings about is there after this, however slow the machine. */
const EFFECT_MS_MAX = 60_000;

/* The products of the app; their prices are Apple's and only pretended. */
const PACKS = [
	{ id: "com.rendioai.credits.starter.25", credits: 25, price: "$2.99" },
	{ id: "com.rendioai.credits.popular.60", credits: 60, price: "$5.99" },
	{ id: "com.rendioai.credits.best.150", credits: 150, price: "$11.99" },
];

const $ = (id) => document.getElementById(id);
const stage = $("stage");
const jobs = new Map();
/* The transactions that were bought here, newest last. */
let bought = [];
let backend, themes = [], theme = null, shown = null, price = null;
let booksTimer, isReading = false, wantsReading = false;

function el(tag, className, ...children) {
	const node = document.createElement(tag);

	node.className = className ?? "";
	node.append(...children.filter((child) => child !== null));
	return node;
}

function button(className, text, onclick) {
	const node = el("button", className, text);

	node.type = "button";
	node.addEventListener("click", onclick);
	return node;
}

const timeOf = (text) => new Date(text).toLocaleTimeString([],
    { hour: "2-digit", minute: "2-digit", hour12: false });

/* A colour of its own for each name, the same every time. */
function hueOf(text) {
	let hash = 0;

	for (const letter of text)
		hash = (hash * 31 + letter.codePointAt(0)) % 360;
	return hash;
}

// --- what is said ------------------------------------------------------------

function toast(text) {
	$("toast").textContent = text;
	$("toast").classList.add("on");
	clearTimeout(toast.timer);
	toast.timer = setTimeout(() => $("toast").classList.remove("on"), 4000);
}

function tellWire(kind, text, isBad = false) {
	const now = new Date();
	const line = el("li", isBad ? `${kind} bad` : kind, el("time", "",
	    `${now.toLocaleTimeString([], { hour12: false })}.` +
	    String(now.getMilliseconds()).padStart(3, "0")), el("span", "", text));

	$("wire").prepend(line);
	while ($("wire").children.length > WIRE_LINES_MAX)
		$("wire").lastChild.remove();
}

/* Runs what a button does; what goes wrong is said, not thrown. */
async function attempt(node, work) {
	node.disabled = true;
	try {
		await work();
	} catch (error) {
		toast(error.message);
	} finally {
		node.disabled = false;
		drawActs();
	}
}

// --- the phone ---------------------------------------------------------------

function go(tab) {
	stage.dataset.tab = tab;
	$("player").hidden = true;
	$("video").pause();
	for (const node of document.querySelectorAll(".tabs [data-go]"))
		node.setAttribute("aria-current", node.dataset.go === tab);
}

function showBalance(credits) {
	for (const node of document.querySelectorAll(".balance")) {
		if (node.textContent !== "–" &&
		    node.textContent !== String(credits)) {
			node.classList.remove("pulse");
			void node.offsetWidth;
			node.classList.add("pulse");
		}
		node.textContent = credits;
	}
}

function drawThemes() {
	$("themes").replaceChildren(...themes.map((each) => {
		const node = button("theme", "", () => {
			theme = theme === each ? null : each;
			$("prompt").value = theme ? theme.prompt : "";
			drawThemes();
		});
		node.style.setProperty("--hue", hueOf(each.name));
		node.setAttribute("aria-pressed", theme === each);
		node.append(el("strong", "", each.name),
		    el("span", "", each.description));
		return node;
	}));
}

function drawPoster(job) {
	const poster = el("div", "poster");
	const url = local(job.thumbnail_url);

	poster.style.setProperty("--hue", hueOf(job.prompt));
	if (url) {
		const image = el("img");
		image.src = url;
		image.alt = "";
		image.loading = "lazy";
		poster.append(image);
	}
	poster.append(el("span", `chip ${job.status}`, job.status));
	return poster;
}

/* Oldest last; ids of equal times keep their order. */
const newest = () => [...jobs.values()].sort((a, b) =>
    b.created_at.localeCompare(a.created_at));
const isOpen = (job) => ["pending", "processing"].includes(job.status);
const openJobs = () => newest().filter(isOpen);

function drawGallery() {
	const list = newest();

	$("gallery").replaceChildren(...(list.length === 0 ?
	    [el("p", "empty", "Nothing yet. Your videos will be here.")] :
	    list.map((job) => {
		const node = button("tile", drawPoster(job), () => play(job));
		node.dataset.job = job.job_id;
		node.append(el("span", "tile-text", tidy(job.prompt)),
		    el("span", "quiet", `${timeOf(job.created_at)} · ` +
			costOf(job)));
		return node;
	    })));
}

/* The stand-in's own words are for it, not for the eye. */
const tidy = (prompt) => prompt.replace(/\s*\[(slow|fail):[^\]]*\]/g, "");

function costOf(job) {
	if (job.credits_refunded > 0)
		return `${job.credits_refunded} credits given back`;
	return `${job.credits_used} credits`;
}

function phrase(job) {
	if (job.status === "pending")
		return job.queue_position > 0 ?
		    `In the queue · ${job.queue_position} before yours` :
		    "In the queue · you are next";
	return { processing: "Being made…", completed: "Ready",
		failed: job.error_message ?? "It failed" }[job.status];
}

/* The order that was made last, as it comes along. */
function drawLive() {
	const job = newest()[0];

	if (!job || !(isOpen(job) || job.isNew)) {
		$("live").replaceChildren();
		return;
	}
	const card = el("div", `live-card ${job.status}`,
	    el("div", "ring", el("i")), el("div", "live-text",
		el("strong", "", phrase(job)),
		el("span", "quiet", `${tidy(job.prompt).slice(0, 60)} · ` +
		    costOf(job))));

	card.dataset.job = job.job_id;
	if (job.status === "completed")
		card.append(button("small", "Watch", () => play(job)));
	if (job.status === "pending")
		card.append(button("small", "Cancel", (event) => attempt(
		    event.target, () => backend.call("POST",
			"cancel-video-job", { job_id: job.job_id }))));
	$("live").replaceChildren(card);
}

function play(job) {
	const video = $("video"), url = local(job.video_url);

	shown = job.job_id;
	go("videos");
	$("player").hidden = false;
	$("player").querySelector(".cinema").dataset.status = job.status;
	if (url) {
		video.poster = local(job.thumbnail_url) ?? "";
		video.src = url;
		video.play().catch(() => { /* The controls are there. */ });
	} else
		video.removeAttribute("src");
	$("player-cost").textContent = costOf(job);
	$("player-prompt").textContent = tidy(job.prompt);
	$("player-facts").replaceChildren(...[
		["Status", phrase(job)], ["Model", job.model_name],
		["Ordered", timeOf(job.created_at)],
		["Charged", `${job.credits_used} credits`],
		["Given back", `${job.credits_refunded} credits`],
		["Job", short(job.job_id)]]
	    .map(([name, value]) => el("div", "", el("dt", "", name),
		el("dd", "", String(value)))));
}

function drawPacks() {
	$("packs").hidden = !backend.isSandbox;
	$("packs").replaceChildren(...PACKS.map((pack) => button("pack", el("strong",
	    "", String(pack.credits)), ({ currentTarget }) =>
	    attempt(currentTarget, () => runAct(acts.buy, pack)))));
	for (const [i, node] of [...$("packs").children].entries())
		node.append(el("span", "quiet", "credits"),
		    el("em", "", PACKS[i].price));
}

function drawLedger(entries) {
	const names = { grant: "Gift of a new phone", purchase: "Bought",
		hold: "Video", release: "Video failed, given back",
		refund: "Refunded by Apple", refund_reversed: "Refund reversed",
		adjustment: "Adjusted" };

	$("ledger").replaceChildren(...entries.map((entry) => el("li", "",
	    el("span", "", names[entry.reason] ?? entry.reason,
		el("small", "", `${timeOf(entry.created_at)} · balance ` +
		    entry.balance_after)),
	    el("b", entry.change < 0 ? "minus" : "plus",
		`${entry.change > 0 ? "+" : "−"}${Math.abs(entry.change)}`))));
}

// --- the books ---------------------------------------------------------------

/* After all that happens, but not for each message of a burst. */
function openBooks() {
	wantsReading = true;
	clearTimeout(booksTimer);
	booksTimer = setTimeout(async () => {
		if (isReading)
			return;
		isReading = true;
		while (wantsReading) {
			wantsReading = false;
			await drawBooks().catch((error) => toast(error.message));
		}
		isReading = false;
	}, 150);
}

async function drawBooks() {
	const books = await readBooks(backend);

	showBalance(books.balance);
	drawLedger(books.entries);
	$("books").dataset.state = books.isRight ? "right" : "wrong";
	$("verdict").textContent = books.isRight ? "they balance" :
	    "they do NOT balance";
	$("sums").replaceChildren(...books.sums.map(([name, credits]) =>
	    el("div", "", el("span", "quiet", name), el("b", credits < 0 ?
		"minus" : "plus", `${credits > 0 ? "+" : "−"}` +
		Math.abs(credits)))), el("div", "total", el("span", "quiet",
	    "Balance"), el("b", "", String(books.balance))));
	$("checks").replaceChildren(...books.checks.map(([text, isTrue]) =>
	    el("li", isTrue ? "yes" : "no", text)));
	return books;
}

// --- backstage ---------------------------------------------------------------

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/* Waits until the stream has told it. */
async function told(test) {
	const end = performance.now() + EFFECT_MS_MAX;

	while (performance.now() < end) {
		const got = test();
		if (got)
			return got;
		await sleep(50);
	}
	throw new Error("Nothing was heard of it for a minute");
}

const ended = (id) => told(() => {
	const job = jobs.get(id);
	return job && !isOpen(job) && job;
});

async function buy(pack) {
	const { signed_transaction } = await backend.act("purchase",
	    { product_id: pack.id });
	const { transaction_id, credits_added } = await backend.call("POST",
	    "update-credits", { signed_transaction });
	const again = await backend.call("POST", "update-credits",
	    { signed_transaction });

	bought.push(transaction_id);
	keepBought();
	return `${credits_added} credits for one purchase. Posted twice, ` +
	    `the second time it was ${again.already_processed ?
		"known and brought nothing" : "CREDITED AGAIN"}.`;
}

async function refund() {
	const transaction_id = bought.at(-1);
	const notice = await backend.act("refund", { transaction_id });

	for (let i = 0; i < 2; i++)
		await backend.call("POST", "apple-server-notifications", notice);
	bought.pop();
	keepBought();
	return "Apple told us twice that it paid the customer back. What was " +
	    "left of that purchase is gone, once; what was spent is owed.";
}

async function failJob() {
	const [job] = openJobs();

	await backend.act("fail", { job_id: job.job_id });
	const { status, credits_refunded } = await ended(job.job_id);
	return `${short(job.job_id)} ${status}. ${credits_refunded} of ` +
	    `${job.credits_used} credits went back.`;
}

async function dropWebhook() {
	const [job] = openJobs();
	const { silent_for_ms } = await backend.act("silence",
	    { job_id: job.job_id });
	const { status, credits_used } = await ended(job.job_id);

	return `Nothing was heard of ${short(job.job_id)} for ` +
	    `${silent_for_ms / 1000} s; then the worker asked and learnt: ` +
	    `${status}, ${credits_used} credits, once.`;
}

async function killWorker() {
	const open = openJobs();
	const { pid } = await backend.act("kill-worker");
	const over = await Promise.all(open.map((job) => ended(job.job_id)));

	return `Process ${pid} is gone without a word. The next one took over` +
	    (over.length === 0 ? "; nothing was under way." :
		`: ${over.map((job) => `${short(job.job_id)} ${job.status}`)
		    .join(", ")}.`);
}

async function cutLine() {
	const light = $("light-stream");

	backend.cut();
	await told(() => light.classList.contains("on"));
	return "The stream was cut and came back by itself, with what was " +
	    "missed after its last event.";
}

const acts = {
	fail: { name: "Fail this job", what: "The provider gives up on the " +
	    "newest open video", run: failJob, wants: "job" },
	drop: { name: "Drop the webhook", what: "The provider's word of it is " +
	    "lost for 5 s", run: dropWebhook, wants: "job" },
	kill: { name: "Kill the worker", what: "kill −9, in the middle of " +
	    "whatever it does", run: killWorker },
	cut: { name: "Cut the line", what: "The phone's stream breaks off",
		run: cutLine },
	buy: { name: "Buy 25 credits", what: "From the sandbox's App Store",
		run: (pack = PACKS[0]) => buy(pack) },
	refund: { name: "Refund by Apple", what: "Apple takes the last " +
	    "purchase back", run: refund, wants: "purchase" },
};

function isPossible(act) {
	return act.wants === "job" ? openJobs().length > 0 :
	    act.wants === "purchase" ? bought.length > 0 : true;
}

function drawActs() {
	for (const [name, act] of Object.entries(acts)) {
		const node = document.querySelector(`[data-act="${name}"]`);
		if (!node)
			continue;
		const lacks = isPossible(act) ? "" : act.wants === "job" ?
		    "Needs a video under way: let it take 10 s" :
		    "Needs a purchase";
		node.disabled = node.dataset.busy === "yes" || lacks !== "";
		node.querySelector("span").textContent = lacks || act.what;
	}
}

/* The act, then the books; both go on the receipt. */
async function runAct(act, ...args) {
	const receipt = el("li", "busy", el("strong", "", act.name),
	    el("p", "", "…"));
	const before = Number(document.querySelector(".balance").textContent);

	$("receipts").prepend(receipt);
	while ($("receipts").children.length > RECEIPTS_MAX)
		$("receipts").lastChild.remove();
	try {
		const text = await act.run(...args);
		const books = await drawBooks();
		receipt.className = books.isRight ? "right" : "wrong";
		receipt.replaceChildren(el("strong", "", act.name),
		    el("p", "", text), el("p", "sum",
			`Credits ${before} → ${books.balance} · the books ` +
			(books.isRight ? "balance" : "do NOT balance")));
	} catch (error) {
		receipt.className = "wrong";
		receipt.lastChild.textContent = error.message;
	}
}

function makeActs() {
	$("acts-panel").hidden = !backend.isSandbox;
	$("acts").replaceChildren(...Object.entries(acts).map(([name, act]) => {
		const node = button("act", el("strong", "", act.name), async () => {
			node.dataset.busy = "yes";
			drawActs();
			await runAct(act);
			node.dataset.busy = "no";
			drawActs();
		});
		node.dataset.act = name;
		node.append(el("span", ""));
		return node;
	}));
	drawActs();
}

const boughtKey = () => `rendio-playground-bought-${backend.user.id}`;

function keepBought() {
	localStorage.setItem(boughtKey(), JSON.stringify(bought));
}

// --- what the server tells ---------------------------------------------------

function draw() {
	drawGallery();
	drawLive();
	drawActs();
	openBooks();
}

const on = {
	snapshot({ jobs: list, credits_remaining }) {
		jobs.clear();
		for (const job of list)
			jobs.set(job.job_id, job);
		showBalance(credits_remaining);
		draw();
	},
	/* The same change comes by the stream and by the websocket. */
	job(job) {
		const known = jobs.get(job.job_id);

		if (known && !isOpen(known) && isOpen(job))
			return;
		jobs.set(job.job_id, { ...job, isNew: known?.isNew });
		if (typeof job.credits_remaining === "number")
			showBalance(job.credits_remaining);
		if (shown === job.job_id && !$("player").hidden &&
		    known?.status !== job.status)
			play(job);
		draw();
	},
	deleted({ job_id }) {
		jobs.delete(job_id);
		draw();
	},
	balance({ credits_remaining }) {
		showBalance(credits_remaining);
		openBooks();
	},
	light(which, isOn) {
		$(`light-${which}`).classList.toggle("on", isOn);
	},
};

// --- coming in ---------------------------------------------------------------

async function comeIn() {
	stage.dataset.signed = "yes";
	bought = JSON.parse(localStorage.getItem(boughtKey()) ?? "[]");
	$("serial").textContent = `User ${short(backend.user.id)} · ` +
	    `${backend.user.is_guest ? "guest" : backend.user.tier}`;
	go("create");
	makeActs();
	drawPacks();
	backend.watch(on);
	const [got, { models }] = await Promise.all([
		backend.call("GET", "get-themes"),
		backend.call("GET", "get-models")]);
	themes = got.themes.filter((each) => each.is_available);
	price = models.find((model) => model.is_featured &&
	    !model.required_fields.requires_image)?.cost_per_generation;
	$("price").textContent = price ? `from ${price} credits` : "";
	drawThemes();
	openBooks();
}

async function order() {
	const pace = Number(document.querySelector("[name=pace]:checked").value);
	const text = $("prompt").value.trim();
	const prompt = pace > 0 && backend.isSandbox ?
	    `${text} [slow:${pace}]` : text;

	if (text === "") {
		toast("Say what you want to see, or choose a theme");
		return;
	}
	const { job_id } = await backend.call("POST", "generate-video",
	    { prompt, ...(theme && { theme_id: theme.id }) },
	    { "Idempotency-Key": crypto.randomUUID() });
	const job = await told(() => jobs.get(job_id));
	job.isNew = true;
	draw();
}

function listen() {
	for (const node of document.querySelectorAll("[data-go]"))
		node.addEventListener("click", () => go(node.dataset.go));
	$("guest-form").addEventListener("submit", (event) => {
		event.preventDefault();
		attempt($("guest"), async () => {
			await backend.signInAsGuest();
			await comeIn();
		});
	});
	$("token-form").addEventListener("submit", (event) => {
		event.preventDefault();
		attempt(event.submitter, async () => {
			await backend.signInWithToken($("token").value.trim());
			await comeIn();
		});
	});
	$("order").addEventListener("submit", (event) => {
		event.preventDefault();
		attempt($("generate"), order);
	});
	$("close-player").addEventListener("click", () => go("videos"));
	$("delete-video").addEventListener("click", ({ currentTarget }) =>
	    attempt(currentTarget, async () => {
		await backend.call("POST", "delete-video-job",
		    { job_id: shown });
		go("videos");
	    }));
	$("new-phone").addEventListener("click", async () => {
		await backend.forgetPhone().catch(() => { /* Gone anyway. */ });
		location.reload();
	});
}

function tick() {
	$("clock").textContent = timeOf(Date.now());
}

async function main() {
	listen();
	tick();
	setInterval(tick, 10_000);
	backend = new Backend(await (await fetch(
	    "/playground/config.json")).json(), tellWire);
	if (!backend.isSandbox) {
		$("guest-form").hidden = true;
		$("token-form").hidden = false;
		$("pace").parentElement.hidden = true;
		$("welcome-note").textContent =
		    "Live mode: real videos, real credits.";
		return;
	}
	if (await backend.resume().catch(() => false))
		await comeIn();
}

main().catch((error) => toast(error.message));
