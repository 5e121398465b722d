// SPDX-License-Identifier: MIT
//
// Certificates and signed payloads of the App Store's form, good ones and, on
// demand, ones with any single thing wrong.  The certificates are written here
// byte by byte (X.690), because that is the only way to make the wrong ones.
//
//	const chain = appleChain();
//	const jws = signJws(chain, { bundleId: "com.example", ... });
//	fs.writeFileSync("root.pem", pem(chain.root.der));

import { createHash, createPublicKey, generateKeyPairSync, randomBytes, sign }
    from "node:crypto";

export const LEAF_MARKER = "1.2.840.113635.100.6.11.1";
export const INTERMEDIATE_MARKER = "1.2.840.113635.100.6.2.1";

/** One element: a tag, a length, and what it holds. */
export function tlv(tag, ...parts) {
	const body = Buffer.concat(parts);
	if (body.length < 0x80)
		return Buffer.concat([Buffer.from([tag, body.length]), body]);
	const length = Buffer.from(
	    body.length.toString(16).padStart(body.length > 0xff ? 4 : 2, "0"),
	    "hex");
	return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length,
		body]);
}

const sequence = (...parts) => tlv(0x30, ...parts);
const NULL = tlv(0x05);
const TRUE = tlv(0x01, Buffer.from([0xff]));

export function oid(text) {
	const [first, second, ...rest] = text.split(".").map(Number);
	const bytes = [first * 40 + second];
	for (const number of rest) {
		const digits = [number & 0x7f];
		for (let n = number >> 7; n > 0; n >>= 7)
			digits.unshift((n & 0x7f) | 0x80);
		bytes.push(...digits);
	}
	return tlv(0x06, Buffer.from(bytes));
}

const bits = (bytes, unused = 0) => tlv(0x03, Buffer.from([unused]), bytes);

function integer(bytes) {
	return tlv(0x02, (bytes[0] & 0x80) !== 0 ?
	    Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}

function time(date_ms) {
	const text = new Date(date_ms).toISOString().replace(/[-:T]|\.\d+/g, "");
	return Number(text.slice(0, 4)) < 2050 ?
	    tlv(0x17, Buffer.from(text.slice(2))) : tlv(0x18, Buffer.from(text));
}

const nameOf = (text) => sequence(tlv(0x31, sequence(oid("2.5.4.3"),
    tlv(0x0c, Buffer.from(text)))));

export function extension(id, value, critical = false) {
	return sequence(oid(id), ...(critical ? [TRUE] : []), tlv(0x04, value));
}

export const marker = (id, critical = false) => extension(id, NULL, critical);

const ALGORITHM = {
	"ec sha256": sequence(oid("1.2.840.10045.4.3.2")),
	"ec sha384": sequence(oid("1.2.840.10045.4.3.3")),
	"ec sha1": sequence(oid("1.2.840.10045.4.1")),
	"rsa sha256": sequence(oid("1.2.840.113549.1.1.11"), NULL),
};

const spkiOf = (key) => createPublicKey(key)
    .export({ type: "spki", format: "der" });
const keyIdOf = (key) => createHash("sha1").update(spkiOf(key)).digest();

/** Any octet of keyUsage: 0x80 digitalSignature, 0x06 keyCertSign, cRLSign. */
const keyUsage = (octet) => extension("2.5.29.15",
    bits(Buffer.from([octet]), octet === 0x80 ? 7 : 1), true);

function basicConstraints(ca, pathlen) {
	return extension("2.5.29.19", sequence(...(ca ? [TRUE] : []),
	    ...(pathlen === undefined ? [] : [integer(Buffer.from([pathlen]))])),
	    true);
}

export const newKey = (curve = "P-256") =>
    generateKeyPairSync("ec", { namedCurve: curve }).privateKey;

/**
 * A certificate { der, key, name }.  `by` is its issuer, none for itself.
 * What may be said: ca, pathlen, usage, extensions, from_ms, to_ms, hash,
 * issuerName, spki, bare (no key identifiers).
 */
export function certificate(name, { by, key = newKey(), ca = false, pathlen,
	usage = ca ? 0x06 : 0x80, extensions = [], from_ms, to_ms,
	hash = "sha256", issuerName, spki = spkiOf(key), bare = false }) {
	const signer = by?.key ?? key;
	const algorithm = ALGORITHM[`${signer.asymmetricKeyType} ${hash}`];
	const own = [
		...(ca === null ? [] : [basicConstraints(ca, pathlen)]),
		...(usage === null ? [] : [keyUsage(usage)]),
		...(bare ? [] : [
			extension("2.5.29.14", tlv(0x04, keyIdOf(key))),
			extension("2.5.29.35",
			    sequence(tlv(0x80, keyIdOf(signer)))),
		]),
		...extensions,
	];
	const tbs = sequence(
	    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
	    integer(Buffer.concat([Buffer.from([0x40]), randomBytes(15)])),
	    algorithm,
	    nameOf(issuerName ?? by?.name ?? name),
	    sequence(time(from_ms), time(to_ms)),
	    nameOf(name),
	    spki,
	    tlv(0xa3, sequence(...own)));
	return { name, key,
		der: sequence(tbs, algorithm, bits(sign(hash, tbs, signer))) };
}

const DAY_MS = 24 * 3600 * 1000;

/**
 * Three certificates { root, intermediate, leaf } like Apple's.  Each of the
 * three may be told apart by options of certificate().
 */
export function appleChain({ root = {}, intermediate = {}, leaf = {},
	names = ["Root", "Intermediate", "Leaf"], below } = {}) {
	const from_ms = Date.now() - 100 * DAY_MS;
	const to_ms = Date.now() + 100 * DAY_MS;
	const top = below ?? certificate(`Test ${names[0]}`,
	    { key: newKey("P-384"), ca: true, hash: "sha384", from_ms, to_ms,
		...root });
	const middle = certificate(`Test ${names[1]}`, { by: top,
	    key: newKey("P-384"), ca: true, pathlen: 0, hash: "sha384",
	    extensions: [marker(INTERMEDIATE_MARKER)], from_ms, to_ms,
	    ...intermediate });
	const end = certificate(`Test ${names[2]}`, { by: middle,
	    hash: "sha384", extensions: [marker(LEAF_MARKER)], from_ms, to_ms,
	    ...leaf });
	return { root: top, intermediate: middle, leaf: end };
}

export const pem = (der) => "-----BEGIN CERTIFICATE-----\n" +
    der.toString("base64").replace(/.{1,64}/g, "$&\n") +
    "-----END CERTIFICATE-----\n";

export const x5cOf = ({ leaf, intermediate, root }) =>
    [leaf, intermediate, root].map(({ der }) => der.toString("base64"));

const part = (value) => Buffer.from(typeof value === "string" ||
    Buffer.isBuffer(value) ? value : JSON.stringify(value));

/**
 * A compact JWS.  payload and header may be objects, or text as it is to be.
 * header adds to { alg, x5c } when it is an object.
 */
export function signJws(chain, payload, { header = {}, key = chain.leaf.key,
	hash = "sha256", dsaEncoding = "ieee-p1363" } = {}) {
	const head = typeof header === "string" ? header :
	    { alg: "ES256", x5c: x5cOf(chain), ...header };
	const text = `${part(head).toString("base64url")}.` +
	    part(payload).toString("base64url");
	const signature = sign(hash, Buffer.from(text), { key, dsaEncoding });
	return `${text}.${signature.toString("base64url")}`;
}
