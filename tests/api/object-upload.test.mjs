// SPDX-License-Identifier: MIT
// /storage/v1/object/thumbnails/…: a user's pictures, kept without what they
// tell.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { id, sql } from "./support/database.mjs";
import { assertAuditClean, assertError, assertNotLogged, assertStatements }
    from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { JPEG, jpegOfBytes, png, SECRET, sizedJpeg, telltaleJpeg, telltalePng,
	telltaleWebp, tiff, upload, WEBP, WEBP_LOSSLESS }
    from "./support/pictures.mjs";

const PATH = "/storage/v1/object/thumbnails/";
const MIB = 1024 * 1024;

let rendio, ada, bob;

before(async () => {
	rendio = await start({ env: { RENDIO_UPLOADS_MAX: "60",
		RENDIO_UPLOADS_MIB_MAX: "12" } });
	[ada, bob] = await Promise.all(["ada", "bob"]
	    .map((name) => rendio.guest(name)));
});
after(() => rendio.stop());

const named = (guest = ada, suffix = ".jpg") =>
    `${guest.user_id}/input_${randomUUID()}${suffix}`;

async function back(name, guest = ada, options = {}) {
	return await rendio.request(options.method ?? "GET", PATH + name,
	    { bearer: guest.access_token, ...options });
}

function stored(res, name) {
	assert.equal(res.status, 200, res.text);
	assert.equal(res.headers["content-type"], "application/json");
	const body = res.json();
	assert.deepEqual(Object.keys(body), ["Id", "Key"]);
	assert.equal(body.Key, `thumbnails/${name}`);
	return body.Id;
}

test("what the app sends is kept and given back", async () => {
	const name = named();
	const res = await upload(rendio, ada, name, JPEG, { headers: {
		"content-type": "image/jpeg", "accept": "application/json" } });
	const objectId = stored(res, name);
	await assertStatements(rendio, res, 15);

	const got = await back(name);
	assert.equal(got.status, 200, got.text);
	assert.equal(got.headers["content-type"], "image/jpeg");
	assert.equal(got.headers["accept-ranges"], "bytes");
	assert.equal(got.headers["x-content-type-options"], "nosniff");
	// All but the maker's comment.
	assert.ok(got.bytes.length > 150 && got.bytes.length < JPEG.length);
	const range = await back(name, ada, { headers: { range: "bytes=0-1" } });
	assert.equal(range.status, 206);
	assert.deepEqual([...range.bytes], [0xff, 0xd8]);
	assert.equal((await back(name, ada, { method: "HEAD" }))
	    .headers["content-length"], String(got.bytes.length));
	const [row] = await sql(rendio, `SELECT state, content_type, size_bytes FROM
	    objects WHERE id = ${id(objectId)}`);
	assert.deepEqual(row, { state: "stored", content_type: "image/jpeg",
		size_bytes: got.bytes.length });
});

test("the content decides what it is, whatever is said", async () => {
	for (const [bytes, type] of [[JPEG, "image/jpeg"], [png(), "image/png"],
		[WEBP, "image/webp"], [WEBP_LOSSLESS, "image/webp"],
		[telltaleWebp(), "image/webp"]]) {
		for (const said of ["image/gif", "application/json",
			"application/octet-stream"]) {
			const name = named(ada, ".any");
			stored(await upload(rendio, ada, name, bytes,
			    { headers: { "content-type": said } }), name);
			assert.equal((await back(name)).headers["content-type"],
			    type);
		}
	}
});

test("where and when it was taken is not kept", async () => {
	for (const bytes of [telltaleJpeg(), telltalePng(), telltaleWebp(),
		telltaleWebp(WEBP_LOSSLESS, 0x1c)]) {
		const name = named();
		assert.ok(bytes.includes(SECRET));
		stored(await upload(rendio, ada, name, bytes), name);
		const got = (await back(name)).bytes;
		for (const trace of [SECRET, "xap", "MPF", "eXIf", "tEXt", "XMP",
			"iTXt", "tIME", "Photoshop", "EXIF"])
			assert.ok(!got.includes(trace), trace);
	}
	// And on the disk there is nothing else either.
	for (const file of fs.readdirSync(rendio.file("media", "thumbnails"),
	    { recursive: true })) {
		const path = rendio.file("media", "thumbnails", file);
		if (fs.statSync(path).isFile())
			assert.ok(!fs.readFileSync(path).includes(SECRET));
	}
});

test("which way is up is kept", async () => {
	for (const [given, kept] of [[1, 1], [6, 6], [8, 8], [0, 0], [9, 0]]) {
		const name = named();
		stored(await upload(rendio, ada, name, telltaleJpeg(given)), name);
		const { bytes } = await back(name);
		const at = bytes.indexOf("Exif\0\0");
		assert.equal(at < 0 ? 0 : bytes.readUInt16BE(at + 6 + 18), kept);
	}
});

test("what is no picture is 415", async () => {
	const truncated = JPEG.subarray(0, JPEG.length - 3);
	for (const bytes of [Buffer.from("hello"), Buffer.from("GIF89a......"),
		Buffer.from("<svg xmlns='http://www.w3.org/2000/svg'/>"),
		Buffer.from("<html><script>alert(1)</script>"),
		Buffer.from("\xff\xd8\xff", "latin1"), truncated,
		png().subarray(0, 40), WEBP.subarray(0, 30),
		telltaleWebp(WEBP, 0x02), tiff(6), Buffer.alloc(100),
		sizedJpeg(0, 16), png(0, 1)])
		assertError(await upload(rendio, ada, named(), bytes), 415,
		    "InvalidMimeType", "storage");
	assertError(await upload(rendio, ada, named(), ""), 415,
	    "InvalidMimeType", "storage");
});

test("more pixels than anybody should decode are 413", async () => {
	const limits = [[16384, 3051, 200], [16385, 10, 413], [10, 16385, 413],
		[16384, 3052, 413], [65535, 65535, 413]];
	for (const [width, height, status] of limits) {
		const res = await upload(rendio, ada, named(),
		    sizedJpeg(width, height));
		assert.equal(res.status, status, `${width}x${height}`);
		if (status === 413)
			assertError(res, 413, "EntityTooLarge", "storage");
	}
});

test("10 MiB are taken and not a byte more", async () => {
	const name = named(bob);
	stored(await upload(rendio, bob, name, jpegOfBytes(10 * MIB)), name);
	assertError(await upload(rendio, bob, named(bob),
	    jpegOfBytes(10 * MIB + 1)), 413, "EntityTooLarge", "storage");
	// Past what a form may add, the router says so before it reads on.
	assertError(await upload(rendio, bob, named(bob),
	    Buffer.alloc(11 * MIB)), 413, "EntityTooLarge", "storage");
	// 12 MiB in all: there is room for 2 more.
	assertError(await upload(rendio, bob, named(bob), jpegOfBytes(3 * MIB)),
	    429, "QuotaExceeded", "storage");
	const res = await rendio.request("DELETE", PATH.slice(0, -1), {
		bearer: bob.access_token, body: { prefixes: [name] } });
	assert.equal(res.json().length, 1);
	stored(await upload(rendio, bob, name, jpegOfBytes(3 * MIB)), name);
});

/** A form as supabase-swift (file: named, no name) and -js write it. */
function form(parts, boundary = "Boundary-1234") {
	const chunks = [];
	for (const [head, body] of parts)
		chunks.push(Buffer.from(`--${boundary}\r\n${head}\r\n\r\n`), body,
		    Buffer.from("\r\n"));
	chunks.push(Buffer.from(`--${boundary}--\r\n`));
	return { body: Buffer.concat(chunks),
		headers: { "content-type":
			`multipart/form-data; boundary=${boundary}` } };
}

const cache = ["Content-Disposition: form-data; name=\"cacheControl\"",
	Buffer.from("3600")];
const file = (bytes, name = "input.jpg") => [
    `Content-Disposition: form-data; name=""; filename="${name}"\r\n` +
    "Content-Type: image/jpeg", bytes];

test("a form with one file is the file", async () => {
	for (const parts of [[cache, file(JPEG)], [file(JPEG), cache],
		[file(JPEG)], [file(telltaleJpeg(), "blob")]]) {
		const name = named();
		const { body, headers } = form(parts);
		stored(await upload(rendio, ada, name, body, { headers }), name);
		assert.equal((await back(name)).headers["content-type"],
		    "image/jpeg");
	}
});

test("a form without a file, with two, or cut short is 400", async () => {
	const cut = form([file(JPEG)]);
	cut.body = cut.body.subarray(0, cut.body.length - 6);
	const wrong = form([file(JPEG)]);
	wrong.headers = { "content-type": "multipart/form-data; boundary=x" };
	const none = form([file(JPEG)]);
	none.headers = { "content-type": "multipart/form-data" };
	for (const { body, headers } of [form([cache]), form([]), cut, wrong,
		none, form([file(JPEG), file(JPEG)])])
		assertError(await upload(rendio, ada, named(), body,
		    { headers }), 400, "InvalidRequest", "storage");
});

test("a name is taken once, unless it may be replaced", async () => {
	const name = named();
	const first = stored(await upload(rendio, ada, name, JPEG), name);
	assertError(await upload(rendio, ada, name, png()), 409,
	    "ResourceAlreadyExists", "storage");
	assertError(await upload(rendio, ada, name, png(),
	    { headers: { "x-upsert": "false" } }), 409,
	    "ResourceAlreadyExists", "storage");
	assert.equal((await back(name)).headers["content-type"], "image/jpeg");

	const second = stored(await upload(rendio, ada, name, png(),
	    { headers: { "x-upsert": "true" } }), name);
	assert.notEqual(second, first);
	assert.equal((await back(name)).headers["content-type"], "image/png");
	stored(await upload(rendio, ada, name, WEBP, { method: "PUT" }), name);
	assert.equal((await back(name)).headers["content-type"], "image/webp");
	assert.ok(await until(async () => (await sql(rendio, `SELECT id FROM objects WHERE
	    id IN (${id(first)}, ${id(second)})`)).length === 0));
	assert.ok(!fs.existsSync(rendio.file("media", "thumbnails",
	    first.slice(-2), first)));
});

test("of twenty at once with one name, one wins", async () => {
	const name = named();
	const statuses = (await Promise.all(Array.from({ length: 20 }, () =>
	    upload(rendio, ada, name)))).map((res) => res.status).sort();
	assert.deepEqual(statuses, [200, ...Array(19).fill(409)]);
	await assertAuditClean(rendio);
});

test("a folder belongs to its user", async () => {
	const name = named();
	stored(await upload(rendio, ada, name), name);
	for (const method of ["POST", "PUT"])
		assertError(await upload(rendio, bob, name, JPEG, { method }), 403,
		    "AccessDenied", "storage");
	assertError(await back(name, bob), 404, "NoSuchKey", "storage");
	for (const other of ["x.jpg", `x/${ada.user_id}/a.jpg`, ada.user_id,
		`${ada.user_id}x/a.jpg`, `${randomUUID()}/a.jpg`])
		assertError(await upload(rendio, ada, other), 403, "AccessDenied",
		    "storage");
	for (const options of [{ bearer: undefined }, { bearer: "x" },
		{ bearer: rendio.anonKey }])
		assertError(await upload(rendio, ada, named(), JPEG, options), 403,
		    "AccessDenied", "storage");
	// Swift writes ids in upper case: it is the same folder.
	const file = `${randomUUID()}.jpg`;
	stored(await upload(rendio, ada, `${ada.user_id.toUpperCase()}/${file}`),
	    `${ada.user_id}/${file}`);
	assert.equal((await back(`${ada.user_id.toUpperCase()}/${file}`)).status,
	    200);
});

test("a name with tricks is InvalidKey", async () => {
	const folder = ada.user_id;
	for (const name of [`${folder}/../${folder}/a.jpg`, `${folder}//a.jpg`,
		`${folder}/%2e%2e/a.jpg`, `${folder}/a%2f..%2fb.jpg`,
		`${folder}/./a.jpg`, `${folder}/a%5cb.jpg`, `${folder}/a%00.jpg`,
		`${folder}/a%0d%0ab.jpg`, `${folder}/a/`, `${folder}/`, "",
		`${folder}/%C3%BC.jpg`, `${folder}/a%7fb`, `${folder}/a%22b`,
		`${folder}/${"a".repeat(123)}`, `../../${folder}/a.jpg`,
		`${folder}/..%2f..%2f..%2f..%2fetc/passwd`]) {
		const res = await upload(rendio, ada, name);
		assert.ok([400, 404].includes(res.status), `${name} ${res.status}`);
		// nginx itself refuses a NUL, in its own words.
		if (res.status === 400 && !name.includes("%00"))
			assertError(res, 400, "InvalidKey", "storage");
	}
	const longest = `${folder}/${"a".repeat(122)}`;
	stored(await upload(rendio, ada, longest), longest);
	assert.equal((await back(longest)).status, 200);
	const odd = `${folder}/my picture (1) + more.jpg`;
	stored(await upload(rendio, ada, odd.replaceAll(" ", "%20")), odd);
	assert.equal((await back(odd.replaceAll(" ", "%20"))).status, 200);
});

test("what is not there is 404", async () => {
	assertError(await back(named()), 404, "NoSuchKey", "storage");
});

test("a user keeps so many and no more", async () => {
	const carol = await rendio.guest("carol");
	for (let i = 0; i < 60; i += 20)
		for (const res of await Promise.all(Array.from({ length: 20 },
		    () => upload(rendio, carol, named(carol)))))
			assert.equal(res.status, 200, res.text);
	assertError(await upload(rendio, carol, named(carol)), 429,
	    "QuotaExceeded", "storage");
	assert.equal((await upload(rendio, bob, named(bob))).status, 200);
});

test("a disk that is full takes none", async () => {
	const res = await until(async () => {
		// The worker measures again before long.
		await sql(rendio, "UPDATE storage_level SET level = 'full'");
		const res = await upload(rendio, bob, named(bob));
		return res.status === 503 && res;
	});
	assertError(res, 503, "service_unavailable", "storage");
	await sql(rendio, "UPDATE storage_level SET level = 'ok'");
});

test("a deleted account leaves no picture, and its export named them",
    async () => {
	const dora = await rendio.guest("dora");
	const name = named(dora);
	const objectId = stored(await upload(rendio, dora, name), name);
	const exported = await rendio.request("GET",
	    "/functions/v1/export-account", { bearer: dora.access_token });
	assert.ok(exported.text.includes(name));

	const res = await rendio.request("POST", "/functions/v1/delete-account",
	    { bearer: dora.access_token, body: {} });
	assert.equal(res.status, 200, res.text);
	assert.equal((await rendio.request("GET",
	    `/storage/v1/object/public/thumbnails/${name}`, { apikey: null }))
	    .status, 404);
	assert.ok(await until(async () => (await sql(rendio, `SELECT 1 FROM objects WHERE
	    user_id = ${id(dora.user_id)}`)).length === 0));
	assert.ok(!fs.existsSync(rendio.file("media", "thumbnails",
	    objectId.slice(-2), objectId)));
});

test("the files are all right in the end, and nothing told", async () => {
	const { code, stdout } = await rendio.cli("audit", "--files");
	assert.equal(code, 0, stdout);
	await assertNotLogged(rendio, { secret: SECRET,
		"bearer token": ada.access_token });
});
