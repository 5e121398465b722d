// SPDX-License-Identifier: MIT
// Pictures as phones send them, with all that they tell; and how they are
// uploaded.

import zlib from "node:zlib";

/** 16 x 24 pixels each, made by ffmpeg. */
export const JPEG = Buffer.from("/9j/4AAQSkZJRgABAgAAAQABAAD//gAQTGF2YzU5LjM3LjEwMAD/2wBDAAgo" +
    "KC8oLzc3Nzc3N0E8QUNDQ0FBQUFDQ0NISEhVVVVISEhDQ0hIUFBVVVxfXFdX" +
    "VVdfX2RkZHh4c3OMjJGsrM//xABNAAEBAAAAAAAAAAAAAAAAAAAABgEBAQEA" +
    "AAAAAAAAAAAAAAAAAAYHEAEAAAAAAAAAAAAAAAAAAAAAEQEAAAAAAAAAAAAA" +
    "AAAAAAAA/8AAEQgAGAAQAwEiAAIRAAMRAP/aAAwDAQACEQMRAD8AiwEo38AB" +
    "/9k=", "base64");
export const WEBP = Buffer.from("UklGRkYAAABXRUJQVlA4IDoAAADQAgCdASoQABgAPpE4l0eloyIhMAgAsBIJ" +
    "QBadBaSAAP71WL//c4H/+zgf/7OB/HX825FplcWxAAAA", "base64");
export const WEBP_LOSSLESS = Buffer.from("UklGRhwAAABXRUJQVlA4TA8AAAAvD8AFAAcQ0f/+ByKi/wEA", "base64");

/** What must not be kept, recognisable anywhere in a file. */
export const SECRET = "51.5007N,0.1246W";

function segment(marker, data) {
	const head = Buffer.from([0xff, marker, 0, 0]);
	head.writeUInt16BE(data.length + 2, 2);
	return Buffer.concat([head, data]);
}

/** A TIFF structure with an orientation and a secret. */
export function tiff(orientation) {
	const directory = Buffer.alloc(2 + 2 * 12 + 4);
	directory.writeUInt16LE(2, 0);
	directory.writeUInt16LE(0x010e, 2);	// ImageDescription
	directory.writeUInt16LE(2, 4);
	directory.writeUInt32LE(SECRET.length + 1, 6);
	directory.writeUInt32LE(8 + directory.length, 10);
	directory.writeUInt16LE(0x0112, 14);	// Orientation
	directory.writeUInt16LE(3, 16);
	directory.writeUInt32LE(1, 18);
	directory.writeUInt16LE(orientation, 22);
	return Buffer.concat([Buffer.from("II*\0\x08\0\0\0", "latin1"),
		directory, Buffer.from(`${SECRET}\0`)]);
}

/** A JPEG with Exif, XMP, a comment, a second picture and a tail. */
export function telltaleJpeg(orientation = 6) {
	return Buffer.concat([JPEG.subarray(0, 2),
		segment(0xe1, Buffer.concat([Buffer.from("Exif\0\0"),
			tiff(orientation)])),
		segment(0xe1, Buffer.from(
		    `http://ns.adobe.com/xap/1.0/\0<x>${SECRET}</x>`)),
		segment(0xe2, Buffer.from(`MPF\0${SECRET}`)),
		segment(0xed, Buffer.from(`Photoshop 3.0\0${SECRET}`)),
		segment(0xfe, Buffer.from(SECRET)),
		JPEG.subarray(2), JPEG, Buffer.from(SECRET)]);
}

/** The same picture claiming another size. */
export function sizedJpeg(width, height) {
	const bytes = Buffer.from(JPEG);
	const at = bytes.indexOf(Buffer.from([0xff, 0xc0]));
	bytes.writeUInt16BE(height, at + 5);
	bytes.writeUInt16BE(width, at + 7);
	return bytes;
}

/** A JPEG of just so many bytes, by a colour profile that is kept. */
export function jpegOfBytes(n) {
	const parts = [JPEG.subarray(0, 2)];
	let left = n - JPEG.length;
	while (left > 0) {
		// A rest too small for a segment of its own is avoided.
		const size = left > 60_000 ? 50_000 : left;
		parts.push(segment(0xe2, Buffer.concat([
			Buffer.from("ICC_PROFILE\0"),
			Buffer.alloc(size - 16)])));
		left -= size;
	}
	return Buffer.concat([...parts, JPEG.subarray(2)]);
}

function chunk(type, data) {
	const body = Buffer.concat([Buffer.from(type), data]);
	const head = Buffer.alloc(4), tail = Buffer.alloc(4);
	head.writeUInt32BE(data.length);
	tail.writeUInt32BE(crc32(body));
	return Buffer.concat([head, body, tail]);
}

function crc32(bytes) {
	let crc = 0xffffffff;
	for (const byte of bytes) {
		crc ^= byte;
		for (let i = 0; i < 8; i++)
			crc = crc & 1 ? crc >>> 1 ^ 0xedb88320 : crc >>> 1;
	}
	return (crc ^ 0xffffffff) >>> 0;
}

/** A grey PNG; with `extra` chunks before its pixels. */
export function png(width = 16, height = 24, extra = []) {
	const header = Buffer.alloc(13);
	header.writeUInt32BE(width, 0);
	header.writeUInt32BE(height, 4);
	header[8] = 8;
	return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
		chunk("IHDR", header),
		...extra.map(([type, data]) => chunk(type, data)),
		chunk("IDAT", zlib.deflateSync(Buffer.alloc(
		    Math.min((width + 1) * height, 10_000)))),
		chunk("IEND", Buffer.alloc(0))]);
}

export function telltalePng() {
	return Buffer.concat([png(16, 24, [
		["gAMA", Buffer.from([0, 0, 0xb1, 0x8f])],
		["eXIf", tiff(6)],
		["tEXt", Buffer.from(`Comment\0${SECRET}`)],
		["iTXt", Buffer.from(`XML:com.adobe.xmp\0\0\0\0\0${SECRET}`)],
		["tIME", Buffer.from([7, 234, 1, 2, 3, 4, 5])],
	]), Buffer.from(SECRET)]);
}

function riffChunk(type, data) {
	const head = Buffer.alloc(8);
	head.write(type);
	head.writeUInt32LE(data.length, 4);
	return Buffer.concat([head, data, Buffer.alloc(data.length & 1)]);
}

/** An extended WebP with Exif and XMP. */
export function telltaleWebp(image = WEBP, flags = 0x0c) {
	const extended = Buffer.alloc(10);
	extended[0] = flags;
	extended.writeUIntLE(16 - 1, 4, 3);
	extended.writeUIntLE(24 - 1, 7, 3);
	const chunks = Buffer.concat([Buffer.from("WEBP"),
		riffChunk("VP8X", extended), image.subarray(12),
		riffChunk("EXIF", tiff(6)),
		riffChunk("XMP ", Buffer.from(SECRET))]);
	return Buffer.concat([riffChunk("RIFF", chunks), Buffer.from(SECRET)]);
}

/** POST /storage/v1/object/thumbnails/NAME with the bytes as they are. */
export async function upload(rendio, guest, name, bytes = JPEG,
    { method = "POST", headers = {}, ...options } = {}) {
	return await rendio.request(method,
	    `/storage/v1/object/thumbnails/${name}`, {
		bearer: guest.access_token,
		headers: { "content-type": "image/jpeg", ...headers },
		body: bytes,
		...options,
	});
}
