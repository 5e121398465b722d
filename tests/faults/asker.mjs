// SPDX-License-Identifier: MIT
//
// A thread that asks the API all the time, each time over a connection of its
// own, and counts what came of it.  A thread, because nginx does not wait for a
// client whose loop is busy with a thousand phones.  Any message ends it; then
// it posts its counts.

import https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";

const { port, ca, anonKey, tokens } = workerData;
const PAUSE_MS = 20;
const counts = { good: 0, bad: 0, cut: 0 };
let over = false;

parentPort.once("message", () => { over = true; });

/** One request; its status. */
function ask(token) {
	return new Promise((resolve, reject) => {
		https.get({ host: "127.0.0.1", port, ca, agent: false,
			path: "/functions/v1/get-user-credits",
			headers: { apikey: anonKey,
				authorization: `Bearer ${token}` },
		}, (res) => {
			res.resume();
			res.on("end", () => resolve(res.statusCode));
			res.on("error", reject);
		}).on("error", reject);
	});
}

for (let i = 0; !over; i++) {
	try {
		if (await ask(tokens[i % tokens.length]) === 200)
			counts.good++;
		else
			counts.bad++;
	} catch {
		counts.cut++;
	}
	await sleep(PAUSE_MS);
}
parentPort.postMessage(counts);
