// SPDX-License-Identifier: MIT
// What the programs say of themselves.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { build, root } from "./instance.mjs";

/** The names of the sources, each of which becomes one program. */
export function sources() {
	return fs.readdirSync(path.join(root, "cgi-bin"))
	    .filter((name) => name.endsWith(".c"))
	    .map((name) => name.slice(0, -2)).sort();
}

/** The line of --describe, as deploy/nginx-config reads it. */
export function description(name) {
	return execFileSync(path.join(build, "cgi-bin", name), ["--describe"],
	    { encoding: "utf8" });
}

export function endpoints() {
	return sources().map((source) => {
		const [name, url, kind, methods, bodyBytesMax, processes,
			readTimeout_s, where, files] =
		    description(source).trimEnd().split("\t");
		return { source, name, path: url, isPrefix: kind === "prefix",
			methods: methods.split(","),
			bodyBytesMax: Number(bodyBytesMax),
			processes: Number(processes),
			readTimeout_s: Number(readTimeout_s),
			isSandboxOnly: where === "sandbox",
			sendsFiles: files === "files" };
	});
}
