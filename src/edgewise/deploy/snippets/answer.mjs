// From a decoded picture to the five most likely labels; the same with onnxruntime-node and onnxruntime-web.

import { preprocess } from "./preprocess.mjs";

/** Return texts as "tabby 93.1%", the most likely label first. */
export async function answer(ort, session, artifact, picture) {
  const image = preprocess(picture, artifact.preprocessing);
  const [batch, ...shape] = artifact.input.shape;
  const count = Number.isInteger(batch) ? batch : 1; // a file may take a fixed number at once
  const images = new Float32Array(count * image.length);
  for (let index = 0; index < count; index++) images.set(image, index * image.length);
  const feeds = { [artifact.input.name]: new ort.Tensor("float32", images, [count, ...shape]) };
  const { [session.outputNames[0]]: logits } = await session.run(feeds);
  return topFive(logits.data.slice(0, artifact.num_classes), artifact.labels);
}

function topFive(logits, labels) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers
    .map((power, index) => ({ label: labels[index] ?? String(index), probability: power / total }))
    .sort((one, other) => other.probability - one.probability)
    .slice(0, 5)
    .map(({ label, probability }) => `${label} ${(100 * probability).toFixed(1)}%`);
}
