// SPDX-License-Identifier: MIT
//
// What calls.h calls a plan: calls to the system that go wrong, and a clock
// that is wrong, in the programs of an instance.
//
//	const plan = new Plan();
//	rendio = await start(plan.settings({ RENDIO_...: "..." }));
//	plan.arm("generate-video", "kill", 3);
//	plan.disarm();

import fs from "node:fs";
import path from "node:path";
import { build } from "../api/support/instance.mjs";

const BYTES = 88;
/** enum fault; "none" = 0. */
const FAULTS = { none: 0, io: 1, full: 2, kill: 5, torn: 6, power: 7,
	readonly: 8, memory: 9 };

export class Plan {
	#file;

	/** What start() is given. */
	settings(env = {}) {
		const plan = this;
		return {
			prepare(dir) {
				plan.#file = path.join(dir, "plan");
				fs.writeFileSync(plan.#file,
				    Buffer.alloc(BYTES));
			},
			env: {
				...env,
				LD_PRELOAD: path.join(build,
				    "tests/faults/calls.so"),
				get FAULT_PLAN() { return plan.#file; },
			},
		};
	}

	/** program "": all of them; seed: what a power cut leaves. */
	arm(program, fault, at, { seed = 0, ahead_ms = 0,
	    ofCheckpoints = false } = {}) {
		const bytes = Buffer.alloc(BYTES);
		bytes.write(program, 0);
		bytes.writeBigInt64LE(BigInt(FAULTS[fault]), 32);
		bytes.writeBigInt64LE(BigInt(at), 40);
		bytes.writeBigInt64LE(BigInt(seed), 64);
		bytes.writeBigInt64LE(BigInt(ahead_ms), 72);
		bytes.writeBigInt64LE(BigInt(ofCheckpoints), 80);
		// Written where it is: the programs have it mapped.
		const fd = fs.openSync(this.#file, "r+");
		fs.writeSync(fd, bytes, 0, BYTES, 0);
		fs.closeSync(fd);
	}

	disarm() {
		this.arm("", "none", 0);
	}

	/** All clocks are so many milliseconds ahead from now on. */
	shiftClock(ahead_ms) {
		this.arm("", "none", 0, { ahead_ms });
	}

	/** Those that the fault could have hit so far. */
	calls() {
		return Number(fs.readFileSync(this.#file).readBigInt64LE(48));
	}

	hits() {
		return Number(fs.readFileSync(this.#file).readBigInt64LE(56));
	}
}
