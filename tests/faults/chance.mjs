// SPDX-License-Identifier: MIT

import path from "node:path";
import { build } from "../api/support/instance.mjs";

/** mulberry32: a run is repeated by its seed. */
export function chance(seed) {
	return () => {
		seed = (seed + 0x6d2b79f5) | 0;
		let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
	};
}

/** All of it, as long as it takes (make faults). */
export const IS_LONG = process.env.RENDIO_LONG === "1";

/**
 * So many of a thing, or `all`, where RENDIO_LONG=1 asks for all; a quarter in
 * `make test`, and a twentieth where a sanitiser makes each take long.
 */
export function often(count, all = count) {
	if (IS_LONG)
		return all;
	return Math.ceil(count / (path.basename(build) === "build" ? 4 : 20));
}

/** Kills (-9) one of them; false when there was none just then. */
export function killOne(pids, random) {
	try {
		process.kill(pids[Math.floor(random() * pids.length)], "SIGKILL");
		return true;
	} catch {
		return false;
	}
}
