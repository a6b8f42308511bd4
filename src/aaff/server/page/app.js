// The page: showing an image, a video or a camera, and its controls.

import { Live, call, fetchForm, getJson, segment, startOptions } from "./api.js";
import { Legend } from "./legend.js";
import { View, percent } from "./view.js";

const $ = (id) => document.getElementById(id);
const video = $("video");
const LONGEST_IMAGE = 2560; // larger photos are downscaled before they are sent, unless the user chose a size

const state = { kind: null, file: null, sent: null, live: null, stream: null, abort: null, token: 0, turn: 0, times: [], job: null, upload: null };

const say = (text) => { $("say").textContent = text; };
const pick = (id) => {
  view.isolate(id);
  legend.isolate(id);
  say(id === null ? "All classes" : `Only ${view.names.get(id)}`);
};
const view = new View({ onPick: pick, say });
const legend = new Legend({ onPick: pick });

let hideLater;
function message(text) {
  const box = $("message");
  box.textContent = text;
  box.hidden = !text;
  clearTimeout(hideLater);
  if (text) hideLater = setTimeout(() => { box.hidden = true; }, 9000);
}
const busy = (on) => { $("busy").hidden = !on; };

// ---- settings ----

const settings = {
  get model() { return $("model").value; },
  get longest() { return Number($("size").value); },
};

function stored(name, fallback) {
  try { return localStorage.getItem(`aaff-${name}`) ?? fallback; } catch { return fallback; }
}
function store(name, value) {
  try { localStorage.setItem(`aaff-${name}`, value); } catch { /* private windows have no storage */ }
}

function applyTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
}
applyTheme(stored("theme", ""));
$("theme").addEventListener("click", () => {
  const shown = document.documentElement.dataset.theme
    ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const next = shown === "dark" ? "light" : "dark";
  applyTheme(next);
  store("theme", next);
});

function setOpacity(value) {
  $("opacity").value = value;
  $("opacity-value").textContent = `${value} %`;
  view.opacity = value / 100;
}
$("opacity").addEventListener("input", (event) => { setOpacity(event.target.value); store("opacity", event.target.value); });
setOpacity(stored("opacity", "60"));

$("compare").addEventListener("click", () => {
  const on = $("compare").getAttribute("aria-pressed") !== "true";
  $("compare").setAttribute("aria-pressed", String(on));
  view.compare(on, $("split").value / 1000);
  if (on) $("split").focus();
});
$("split").addEventListener("input", (event) => view.compare(true, event.target.value / 1000));

for (const id of ["model", "size"]) {
  $(id).addEventListener("change", () => {
    store(id, $(id).value);
    if (id === "model") { legend.clear(); pick(null); } // its classes may be others
    again();
  });
}

// ---- results ----

const ms = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;

function present(result, trip, live) {
  const { summary } = result;
  legend.update(summary.classes, live);
  const speed = Object.values(summary.speed_ms).reduce((sum, part) => sum + part, 0);
  $("latency").textContent = ms(speed);
  $("trip").textContent = ms(trip);
  $("dims").textContent = `${view.base.width} × ${view.base.height}`;
  $("engine").textContent = `${{ openvino: "OpenVINO", onnxruntime: "ONNX Runtime", torch: "PyTorch" }[summary.engine] ?? summary.engine}, ${summary.precision}`;
  const now = performance.now();
  state.times = live ? [...state.times.filter((t) => now - t < 3000), now] : [];
  const { times } = state;
  $("fps").textContent = times.length > 2 ? `${(1000 * (times.length - 1) / (now - times[0])).toFixed(1)} fps` : "–";
  $("rate").hidden = !live;
  $("results").hidden = false;
}

function scaled(width, height, longest) {
  const scale = longest ? Math.min(1, longest / Math.max(width, height)) : 1;
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

async function encoded(picture, width, height, type, quality) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").drawImage(picture, 0, 0, width, height);
  return canvas.convertToBlob({ type, quality });
}

function reset(kind) {
  state.token += 1;
  state.turn += 1;
  state.abort?.abort();
  state.live?.close();
  state.stream?.getTracks().forEach((track) => track.stop());
  if (video.src) URL.revokeObjectURL(video.src);
  video.removeAttribute("src");
  video.srcObject = null;
  Object.assign(state, { kind, live: null, stream: null, sent: null, file: null, times: [] });
  legend.clear();
  pick(null);
  $("stage").classList.remove("empty");
  $("player").hidden = kind !== "video";
  $("camera").textContent = kind === "camera" ? "Stop camera" : "Camera";
  $("whole").hidden = kind !== "video";
  $("credit").hidden = true;
  forgetJob();
  message("");
  return state.token;
}

/** The same picture with other settings. */
function again() {
  if (state.kind === "image") showImage(state.file, true);
  else if (state.kind) { state.live?.close(); state.live = null; connect(); }
}

// ---- images ----

async function showImage(file, same = false) {
  const turn = ++state.turn;
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    message("This browser cannot show the image; save it as PNG or JPEG.");
    return; // keep showing the previous image
  }
  if (turn !== state.turn) return;
  const token = same ? ++state.token : reset("image");
  state.abort?.abort();
  state.abort = new AbortController();
  state.file = file;
  busy(true);
  try {
    const longest = settings.longest || (picture.width * picture.height > 2e7 ? LONGEST_IMAGE : 0);
    const [width, height] = scaled(picture.width, picture.height, longest);
    // Send the original file if its size is unchanged, so that the map belongs to the file and not to a copy.
    const whole = width === picture.width && file.size < 8e6;
    const sent = whole ? file : await encoded(picture, width, height, "image/webp", 0.95);
    view.show(picture, width, height, null);
    const began = performance.now();
    const result = await segment(sent, { model: settings.model, signal: state.abort.signal });
    if (token !== state.token) return;
    state.sent = sent;
    view.show(picture, width, height, result);
    present(result, performance.now() - began, false);
    say(`Done: ${result.summary.classes.slice(0, 3).map((c) => `${c.name} ${percent(c.share)}`).join(", ")}`);
  } catch (error) {
    if (error.name !== "AbortError" && token === state.token) message(sentence(error));
  } finally {
    if (token === state.token) busy(false);
  }
}

const sentence = (error) => {
  if (error.status === 401) return "This server needs a token: open the page as /#token=TOKEN.";
  const text = error instanceof TypeError ? "The server cannot be reached." : error.message;
  return text.charAt(0).toUpperCase() + text.slice(1);
};

// ---- videos and cameras ----

function connect() {
  const { token } = state;
  state.live = new Live(settings.model, {
    onResult: ({ ...result }, { picture, width, height, at, blob }) => {
      if (token !== state.token) return;
      view.show(picture, width, height, result);
      picture.close();
      state.sent = blob;
      busy(false);
      present(result, performance.now() - at, true);
    },
    onProblem: message,
    onEnd: (reason, code) => {
      if (token !== state.token || !state.kind) return;
      if (code === 1013 || code === 1008) message(reason || "The server is busy; try again later.");
      else setTimeout(() => { if (token === state.token && state.kind) connect(); }, 1000);
    },
  });
  state.dirty = true;
}

/** Send the newest frame whenever the connection takes one. */
async function pump(token) {
  let last = -1;
  while (token === state.token) {
    await new Promise(requestAnimationFrame);
    const moved = state.kind === "camera" || video.currentTime !== last || state.dirty;
    if (!state.live?.ready || video.readyState < 2 || !moved || video.seeking) continue;
    last = video.currentTime;
    state.dirty = false;
    const [width, height] = scaled(video.videoWidth, video.videoHeight, settings.longest || 1280);
    const picture = await createImageBitmap(video, { resizeWidth: width, resizeHeight: height });
    const blob = await encoded(picture, width, height, "image/jpeg", 0.85);
    if (token !== state.token || !state.live?.open) { picture.close(); continue; }
    state.live.send(blob, { picture, width, height, blob });
  }
}

async function showVideo(file) {
  const token = reset("video");
  state.file = file;
  busy(true);
  video.src = URL.createObjectURL(file);
  video.loop = true;
  try {
    await video.play();
  } catch {
    if (token !== state.token) return;
    busy(false);
    message("This browser cannot play the video, but the server can process it: choose Start under “Whole video”.");
    return;
  }
  connect();
  pump(token);
}

async function showCamera(number = 0) {
  if (state.kind === "camera") { stop(); return; }
  if (!navigator.mediaDevices) {
    message("Browsers allow the camera only on localhost or https pages; open this page as http://localhost.");
    return;
  }
  try {
    const cameras = (await navigator.mediaDevices.enumerateDevices()).filter((d) => d.kind === "videoinput");
    const chosen = cameras[number]?.deviceId;
    const stream = await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: 1280 }, ...(chosen && number ? { deviceId: { exact: chosen } } : { facingMode: "environment" }) },
    });
    const token = reset("camera");
    state.stream = stream;
    busy(true);
    video.srcObject = stream;
    await video.play();
    connect();
    pump(token);
  } catch (error) {
    busy(false);
    message(error.name === "NotAllowedError"
      ? "The browser blocks the camera; allow it next to the address bar."
      : "No camera was found.");
  }
}

function stop() {
  state.token += 1;
  state.live?.close();
  state.stream?.getTracks().forEach((track) => track.stop());
  Object.assign(state, { kind: null, live: null, stream: null });
  $("camera").textContent = "Camera";
  busy(false);
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
video.addEventListener("timeupdate", () => {
  if (!video.duration || !Number.isFinite(video.duration)) return;
  $("seek").value = 1000 * video.currentTime / video.duration;
  $("clock").textContent = `${clock(video.currentTime)} / ${clock(video.duration)}`;
});
$("seek").addEventListener("input", (event) => { video.currentTime = video.duration * event.target.value / 1000; });
function shownPlaying() {
  $("play").classList.toggle("paused", video.paused);
  $("play").setAttribute("aria-label", video.paused ? "Play" : "Pause");
}
video.addEventListener("play", shownPlaying);
video.addEventListener("pause", shownPlaying);
$("play").addEventListener("click", () => { if (video.paused) video.play(); else video.pause(); });

// ---- the whole video as a job ----

function forgetJob() {
  state.upload?.abort();
  state.upload = null;
  if (state.job) call(`v1/video/${state.job.id}`, { method: "DELETE" }).catch(() => {});
  state.job = null;
  $("whole-progress").hidden = $("whole-cancel").hidden = $("whole-video").hidden = $("whole-lines").hidden = true;
  $("whole-start").hidden = false;
  $("whole-text").textContent = "Process every frame: one video with the overlay, and one line of JSON per frame.";
}

$("whole-start").addEventListener("click", async () => {
  const { file } = state;
  video.pause();
  $("whole-start").hidden = true;
  $("whole-progress").hidden = $("whole-cancel").hidden = false;
  $("whole-progress").removeAttribute("value");
  $("whole-text").textContent = "Uploading …";
  const upload = new AbortController();
  state.upload = upload;
  try {
    const query = new URLSearchParams({ model: settings.model, alpha: $("opacity").value / 100 });
    let job = await (await call(`v1/video?${query}`, { method: "POST", body: file, signal: upload.signal })).json();
    if (upload !== state.upload) { call(`v1/video/${job.id}`, { method: "DELETE" }).catch(() => {}); return; }
    state.job = job;
    while (state.job?.id === job.id && (job.state === "queued" || job.state === "running")) {
      await new Promise((done) => { setTimeout(done, 500); });
      if (state.job?.id !== job.id) return;
      job = await getJson(`v1/video/${job.id}`);
      if (job.total) $("whole-progress").value = job.frames / job.total;
      const left = job.seconds_left === null ? "" : `, ${Math.ceil(job.seconds_left)} s left`;
      $("whole-text").textContent = job.state === "queued" ? "Queued …" : `${job.frames} of ${job.total ?? "?"} frames${left}`;
    }
    if (state.job?.id !== job.id) return;
    $("whole-progress").hidden = $("whole-cancel").hidden = true;
    if (job.state !== "done") throw new Error(job.error ?? "the job was cancelled");
    for (const [id, accept, name] of [["whole-video", "video/mp4", "overlay.mp4"], ["whole-lines", "application/x-ndjson", "frames.jsonl"]]) {
      const blob = await (await call(job.result, { accept })).blob();
      Object.assign($(id), { href: URL.createObjectURL(blob), download: name, hidden: false });
    }
    $("whole-text").textContent = [`Done: ${job.frames} frames.`, ...job.problems].join(" ");
    say("The video is done");
  } catch (error) {
    if (upload.signal.aborted) return;
    forgetJob();
    message(sentence(error));
  }
});
$("whole-cancel").addEventListener("click", forgetJob);

// ---- files in, files out ----

function open(file) {
  if (!file) return;
  const isVideo = file.type.startsWith("video/") || /\.(mp4|mov|mkv|webm|avi|m4v|ts|ogv)$/i.test(file.name);
  if (isVideo) showVideo(file);
  else showImage(file);
}

$("file").addEventListener("change", (event) => { open(event.target.files[0]); event.target.value = ""; });

async function openFrom(path, name) {
  const blob = await (await call(path)).blob();
  open(new File([blob], name, { type: blob.type }));
}

async function example() {
  await openFrom("page/example.mp4", "example.mp4");
  const credit = $("credit");
  credit.textContent = "Example: Drive.ai Sample Dataset, CC BY 4.0, resized.";
  credit.hidden = false;
}

const actions = {
  open: () => $("file").click(),
  camera: () => showCamera(),
  example: () => example().catch((error) => message(sentence(error))),
};
for (const button of document.querySelectorAll("[data-do]")) {
  button.addEventListener("click", () => actions[button.dataset.do]());
}

for (const button of document.querySelectorAll("[data-get]")) {
  button.addEventListener("click", async () => {
    const form = button.dataset.get;
    try {
      const query = { model: settings.model, form, alpha: $("opacity").value / 100 };
      if (view.alone !== null && form === "overlay") query.classes = view.names.get(view.alone);
      save(await fetchForm(state.sent, query), `${(state.file?.name ?? "camera").replace(/\.[^.]*$/, "")}_${form}.${form === "json" ? "json" : "png"}`);
    } catch (error) {
      message(sentence(error));
    }
  });
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

let depth = 0;
addEventListener("dragenter", (event) => { depth += 1; event.preventDefault(); document.body.classList.add("dragging"); });
addEventListener("dragleave", () => { depth -= 1; if (depth <= 0) document.body.classList.remove("dragging"); });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  depth = 0;
  document.body.classList.remove("dragging");
  open(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => open([...event.clipboardData.files][0]));

// ---- begin ----

async function begin() {
  const options = startOptions();
  try {
    const { models, default: first } = await getJson("v1/models");
    const wanted = stored("model", first);
    for (const { name } of models) $("model").add(new Option(name, name, name === first, name === wanted));
    $("size").value = stored("size", "960");
    if (!$("size").value) $("size").value = "960";
    document.documentElement.dataset.ready = "true";
    if ("camera" in options) await showCamera(Number(options.camera) || 0);
    else if ("media" in options) await openFrom("v1/media", (await getJson("v1/info")).media);
    else if ("example" in options) await example();
  } catch (error) {
    message(sentence(error));
  }
}
begin();
