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
  if ((await image.metadata()).space === "cmyk") throw new Error(`${path}: CMYK is not handled; convert it to RGB`);
  const { data, info } = await image.rotate().toColourspace("srgb").ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

const artifact = JSON.parse(await readFile(new URL("artifact.json", import.meta.url), "utf8"));
const session = await ort.InferenceSession.create(fileURLToPath(new URL(artifact.files[0], import.meta.url)));
for (const path of process.argv.slice(2)) {
  const best = await answer(ort, session, artifact, await readPicture(path));
  console.log(`${path}: ${best.join(", ")}`);
}
