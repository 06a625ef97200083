// From a decoded picture to the five most likely labels; the same with onnxruntime-node and onnxruntime-web.

import { preprocess } from "./preprocess.mjs";

/** Return texts as "tabby 93.1%", the most likely label first. */
export async function answer(ort, session, artifact, picture) {
  const planes = preprocess(picture, artifact.preprocessing);
  const image = artifact.input.layout === "nhwc" ? interleaved(planes, artifact.preprocessing.mean.length) : planes;
  const [batch, ...shape] = artifact.input.shape;
  const count = Number.isInteger(batch) ? batch : 1; // a file may take a fixed number at once
  const images = new Float32Array(count * image.length);
  for (let index = 0; index < count; index++) images.set(image, index * image.length);
  const feeds = { [artifact.input.name]: new ort.Tensor("float32", images, [count, ...shape]) };
  const { [session.outputNames[0]]: output } = await session.run(feeds);
  const answers = Array.from(output.data.slice(0, artifact.num_classes));
  return topFive(artifact.output === "logits" ? softmax(answers) : answers, artifact.labels);
}

/** Return (C, S, S) as (S, S, C). */
function interleaved(planes, chans) {
  const size = planes.length / chans;
  return planes.map((_, index) => planes[(index % chans) * size + Math.floor(index / chans)]);
}

function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

function topFive(probabilities, labels) {
  return probabilities
    .map((probability, index) => ({ label: labels[index] ?? String(index), probability }))
    .sort((one, other) => other.probability - one.probability)
    .slice(0, 5)
    .map(({ label, probability }) => `${label} ${(100 * probability).toFixed(1)}%`);
}
