// From a decoded picture to the network's input. Runs in Node and in browsers, and imports nothing.
//
// Pictures are ImageData, or anything of that form: { width, height, data: RGBA, 8 bits each, not premultiplied }.
// A recipe is `preprocessing` of artifact.json. Resizing repeats Pillow's arithmetic, to the bit.

const FILTERS = {
  bilinear: { reach: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { reach: 2, weight: (x) => cubic(Math.abs(x)) },
};
const FRACTION_BITS = 22; // of a weight as an integer
const HALF = 1 << (FRACTION_BITS - 1);

/** Return the network's input of one picture: (C, S, S), a Float32Array. */
export function preprocess(picture, recipe) {
  const { img_size: size, mean, std } = recipe;
  const chans = mean.length;
  const pixels = resizedCentre(opaque(picture, chans), picture.width, picture.height, chans, recipe);
  return Float32Array.from({ length: chans * size * size }, (_, index) => {
    const chan = Math.floor(index / (size * size));
    const value = pixels[(index % (size * size)) * chans + chan];
    return (value / 255 - mean[chan]) / std[chan];
  });
}

/** Lay RGBA over white; return RGB, or grey where the network takes one channel. */
function opaque({ width, height, data }, chans) {
  const result = new Uint8Array(width * height * chans);
  for (let from = 0, to = 0; from < data.length; from += 4, to += chans) {
    const alpha = data[from + 3];
    const red = overWhite(data[from], alpha);
    const green = overWhite(data[from + 1], alpha);
    const blue = overWhite(data[from + 2], alpha);
    if (chans === 1) {
      result[to] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
    } else {
      result[to] = red;
      result[to + 1] = green;
      result[to + 2] = blue;
    }
  }
  return result;
}

function overWhite(value, alpha) {
  return alpha === 255 ? value : Math.round((value * alpha + 255 * (255 - alpha)) / 255);
}

/** Resize the shorter side to floor(img_size / crop_pct), antialiased, and cut out the centre. */
function resizedCentre(pixels, width, height, chans, { img_size: size, crop_pct: cropPct, interpolation }) {
  const side = Math.floor(size / cropPct);
  const short = Math.min(width, height);
  const columns = windows(width, Math.floor((side * width) / short), size, FILTERS[interpolation]);
  const rows = windows(height, Math.floor((side * height) / short), size, FILTERS[interpolation]);
  return resizeRows(resizeRows(pixels, width, chans, columns), height, chans, rows);
}

/** Say, for each pixel of the centre along one side, which pixels of the source it takes, and how much of each. */
function windows(length, resized, crop, { reach, weight }) {
  const scale = length / resized;
  const stretch = Math.max(scale, 1); // antialiasing: the filter grows as the picture shrinks
  const offset = roundHalfToEven((resized - crop) / 2);
  return Array.from({ length: crop }, (_, index) => {
    const centre = (offset + index + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - reach * stretch + 0.5), 0);
    const end = Math.min(Math.trunc(centre + reach * stretch + 0.5), length);
    const shares = Array.from({ length: end - first }, (_, step) => weight((first + step - centre + 0.5) * (1 / stretch)));
    const total = shares.reduce((sum, share) => sum + share, 0);
    return { first, weights: Int32Array.from(shares, (share) => toFixedPoint(share / total)) };
  });
}

/** Resize along the rows, one result column a window, rounded to 8 bits; transposed, so that twice does both sides. */
function resizeRows(pixels, width, chans, columns) {
  const height = pixels.length / (width * chans);
  const result = new Uint8ClampedArray(columns.length * height * chans);
  let to = 0;
  for (const { first, weights } of columns) {
    for (let y = 0; y < height; y++) {
      for (let chan = 0; chan < chans; chan++) {
        let from = (y * width + first) * chans + chan;
        let sum = HALF;
        for (let step = 0; step < weights.length; step++, from += chans) sum += pixels[from] * weights[step];
        result[to++] = sum >> FRACTION_BITS;
      }
    }
  }
  return result;
}

function cubic(x) {
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

function toFixedPoint(share) {
  return Math.trunc(share * 2 ** FRACTION_BITS + (share < 0 ? -0.5 : 0.5));
}

function roundHalfToEven(value) {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + (below % 2) : Math.round(value);
}
