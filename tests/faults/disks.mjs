// SPDX-License-Identifier: MIT
// Small disks, in memory, which root (or sudo) mounts.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

const MIB = 1024 * 1024;
const uid = process.getuid();

function asRoot(...words) {
	const all = uid === 0 ? words : ["sudo", "-n", ...words];

	execFileSync(all[0], all.slice(1));
}

export class Disk {
	/** One of so many MiB, at a directory that is made if it is missing. */
	constructor(directory, mib) {
		this.directory = directory;
		this.ballast = path.join(directory, "ballast");
		fs.mkdirSync(directory, { recursive: true });
		asRoot("mount", "-t", "tmpfs", "-o",
		    `size=${mib}m,uid=${uid},mode=0700`, "rendio", directory);
	}

	/** Takes all the room there is, to the last byte. */
	fill() {
		const fd = fs.openSync(this.ballast, "a");
		for (const size of [MIB, 4096, 1]) {
			const bytes = Buffer.alloc(size);
			try {
				for (;;)
					if (fs.writeSync(fd, bytes) < size)
						break;
			} catch (error) {
				assert.equal(error.code, "ENOSPC");
			}
		}
		fs.closeSync(fd);
	}

	/** Gives it back. */
	free() {
		fs.rmSync(this.ballast);
	}

	unmount() {
		asRoot("umount", this.directory);
	}
}
