// The server's API: requests with the token, results unpacked, and the live connection.

const TOKEN = "aaff-token";

/** The options after # in the page's URL, such as {camera: "0"}; a token is stored for this tab and removed from the URL. */
export function startOptions() {
  const options = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  if (options.token) {
    sessionStorage.setItem(TOKEN, options.token);
    const rest = new URLSearchParams(location.hash.slice(1));
    rest.delete("token");
    history.replaceState(null, "", rest.size ? `#${rest}` : location.pathname);
  }
  return options;
}

function headers(more = {}) {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

async function checked(response) {
  if (response.ok) return response;
  let detail = `the server returned status ${response.status}`;
  try {
    detail = (await response.json()).detail ?? detail;
  } catch { /* the response has no message */ }
  throw Object.assign(new Error(detail), { status: response.status });
}

export async function call(path, options = {}) {
  const { accept, ...rest } = options;
  return checked(await fetch(path, { ...rest, headers: headers(accept ? { Accept: accept } : {}) }));
}

export const getJson = async (path) => (await call(path)).json();

/** Segment one image; the result is that of unpack. */
export async function segment(blob, { model, signal }) {
  const query = new URLSearchParams({ model, form: "maps", confidence: "true" });
  const response = await call(`v1/segment?${query}`, { method: "POST", body: blob, signal });
  return unpack(await response.arrayBuffer());
}

/** Segment one image and return another form as a file. */
export async function fetchForm(blob, query) {
  return (await call(`v1/segment?${new URLSearchParams(query)}`, { method: "POST", body: blob })).blob();
}

/** Summary and planes of the form "maps": see docs/server.md. */
export async function unpack(buffer, offset = 0) {
  const length = new DataView(buffer).getUint32(offset, true);
  const head = new Uint8Array(buffer, offset + 4, length);
  const summary = JSON.parse(new TextDecoder().decode(head));
  const packed = new Blob([new Uint8Array(buffer, offset + 4 + length)]);
  const stream = packed.stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const { width, height } = summary.map;
  const size = width * height;
  const plane = (name) => {
    const place = summary.map.planes.indexOf(name);
    return place < 0 ? null : planes.subarray(place * size, (place + 1) * size);
  };
  return { summary, width, height, ids: plane("class_map"), confidence: plane("confidence") };
}

/** A WebSocket that accepts frames while fewer than two are in flight, so that the delay cannot grow. */
export class Live {
  constructor(model, { onResult, onProblem, onEnd }) {
    const address = new URL(`v1/live?${new URLSearchParams({ model })}`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    address.hash = "";
    const token = sessionStorage.getItem(TOKEN);
    const protocols = ["aaff.live"];
    if (token) protocols.push(`bearer.${btoa(token).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`);
    this.sent = 0;
    this.waiting = new Map();
    this.open = false;
    this.socket = new WebSocket(address, protocols);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => { this.open = true; };
    this.socket.onclose = (event) => { this.open = false; onEnd(event.reason, event.code); };
    this.socket.onmessage = async ({ data }) => {
      if (typeof data === "string") {
        const problem = JSON.parse(data);
        this.settle(problem.frame);
        onProblem(problem.detail);
        return;
      }
      const number = new DataView(data).getUint32(0, true);
      const frame = this.settle(number);
      const result = await unpack(data, 4);
      if (frame) onResult(result, frame);
    };
  }

  get ready() {
    return this.open && this.waiting.size < 2;
  }

  /** @param frame kept until its result comes. */
  send(blob, frame) {
    this.waiting.set(this.sent, { ...frame, at: performance.now() });
    this.sent += 1;
    this.socket.send(blob);
  }

  /** Frames before this one were skipped by the server. */
  settle(number) {
    const frame = this.waiting.get(number);
    for (const [other, { picture }] of this.waiting) {
      if (other <= number) this.waiting.delete(other);
      if (other < number) picture?.close?.();
    }
    return frame;
  }

  close() {
    this.socket.onclose = null;
    this.open = false;
    this.socket.close();
    for (const { picture } of this.waiting.values()) picture?.close?.();
    this.waiting.clear();
  }
}
