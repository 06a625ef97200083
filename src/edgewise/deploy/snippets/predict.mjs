// Answer pictures with the model in this folder: node predict.mjs PICTURE...
//
// Needs Node 18.17 or newer and, in this folder or one above it: npm install onnxruntime-node sharp
// (before Node 20.9: sharp@0.34). predict.html does the same in a browser; both prepare pictures with preprocess.mjs.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import ort from "onnxruntime-node";
import sharp from "sharp";
import { answer } from "./answer.mjs";

/** Decode a picture to RGBA as it is meant to be seen: turned by its EXIF orientation, its ICC profile ignored. */
async function readPicture(path) {
  const image = sharp(path, { ignoreIcc: true });
  const { space, depth } = await image.metadata();
  if (space === "cmyk") throw new Error(`${path}: CMYK is not handled; convert it to RGB`);
  const isWide = depth === "ushort"; // sharp would cut 16 bits off, which darkens
  const rgba = image.rotate().toColourspace(isWide ? "rgb16" : "srgb").ensureAlpha();
  const { data, info } = await rgba.raw({ depth: isWide ? "ushort" : "uchar" }).toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  return { width, height, data: isWide ? new Uint16Array(data.buffer, data.byteOffset, 4 * width * height).map(toByte) : data };
}

const toByte = (value) => Math.round(value / 257);

const artifact = JSON.parse(await readFile(new URL("artifact.json", import.meta.url), "utf8"));
const session = await ort.InferenceSession.create(fileURLToPath(new URL(artifact.files[0], import.meta.url)));
for (const path of process.argv.slice(2)) {
  const best = await answer(ort, session, artifact, await readPicture(path));
  console.log(`${path}: ${best.join(", ")}`);
}
