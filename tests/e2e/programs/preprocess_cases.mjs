// node preprocess_cases.mjs PREPROCESS.MJS CASES: write each case's input, as float32, to the file that it names.

import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [module, cases] = process.argv.slice(2);
const { preprocess } = await import(pathToFileURL(module));
const numbers = (text) => text.split(",").map(Number);

for (const line of readFileSync(cases, "utf8").trim().split("\n")) {
  const [source, width, height, imgSize, cropPct, interpolation, mean, std, target] = line.split(" ");
  const picture = { data: readFileSync(source), width: Number(width), height: Number(height) };
  const recipe = { img_size: Number(imgSize), crop_pct: Number(cropPct), interpolation, mean: numbers(mean), std: numbers(std) };
  writeFileSync(target, preprocess(picture, recipe));
}
