// Run an exported model without Python: node segment.mjs model.onnx street.ppm ids.pgm [480x360]
//
// The last word is the size that the network sees; it takes any, and `aaff models street` tells the one it was trained at.
// The image is a PPM (aaff and most tools write one) of any size; the result is a PGM whose grey values are the class
// ids. In a browser take the pixels from a canvas instead.

import { readFile, writeFile } from "node:fs/promises";
import * as ort from "onnxruntime-web";

/** A binary PPM: width, height, and RGB uint8. */
function readPpm(bytes) {
  const head = /^P6\s+(?:#.*\s+)*(\d+)\s+(\d+)\s+255\s/.exec(Buffer.from(bytes.subarray(0, 200)).toString("latin1"));
  if (!head) throw new Error("the image is not a binary PPM with 8 bits per channel");
  return { width: Number(head[1]), height: Number(head[2]), data: bytes.subarray(head[0].length) };
}

/** The picture at another size, bilinear, pixel centres at halves. */
function resize({ width, height, data }, toWidth, toHeight) {
  const result = new Uint8Array(toWidth * toHeight * 3);
  const places = (size, toSize) => Array.from({ length: toSize }, (_, i) => {
    const at = Math.min(size - 1, Math.max(0, ((i + 0.5) * size) / toSize - 0.5));
    return [Math.floor(at), Math.min(size - 1, Math.floor(at) + 1), at - Math.floor(at)];
  });
  const columns = places(width, toWidth);
  places(height, toHeight).forEach(([top, bottom, v], y) => {
    columns.forEach(([left, right, u], x) => {
      for (let c = 0; c < 3; c += 1) {
        const at = (row, column) => data[(row * width + column) * 3 + c];
        const upper = at(top, left) * (1 - u) + at(top, right) * u;
        const lower = at(bottom, left) * (1 - u) + at(bottom, right) * u;
        result[(y * toWidth + x) * 3 + c] = Math.round(upper * (1 - v) + lower * v);
      }
    });
  });
  return result;
}

const [modelPath, imagePath, resultPath, size = "480x360"] = process.argv.slice(2);
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(await readFile(modelPath));
const [width, height] = size.split("x").map(Number);
const frame = resize(readPpm(await readFile(imagePath)), width, height);
const frames = new ort.Tensor("uint8", frame, [1, height, width, 3]);
const { class_map: classMap } = await session.run({ frames });
await writeFile(resultPath, Buffer.concat([Buffer.from(`P5\n${width} ${height}\n255\n`), Buffer.from(classMap.data)]));
