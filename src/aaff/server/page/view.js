// The image and its class map on two stacked canvases, and the class under the pointer or the keyboard cursor.

const $ = (id) => document.getElementById(id);

export class View {
  constructor({ onPick, say }) {
    this.base = $("base");
    this.map = $("map");
    this.small = document.createElement("canvas");
    this.colors = new Map();
    this.names = new Map();
    this.alone = null;
    this.result = null;
    this.point = null;
    this.onPick = onPick;
    this.say = say;
    this.listen();
  }

  /** @param picture anything that can be drawn. */
  show(picture, width, height, result) {
    const resized = this.base.width !== width || this.base.height !== height;
    if (resized) {
      for (const canvas of [this.base, this.map]) Object.assign(canvas, { width, height });
    }
    this.base.getContext("2d").drawImage(picture, 0, 0, width, height);
    this.result = result;
    if (result) this.paint();
    if (resized) this.place();
  }

  /** Class colours; smooth edges where the map is smaller than the picture. */
  paint() {
    const { ids, width, height, summary } = this.result;
    for (const { id, color, name } of summary.classes) {
      this.colors.set(id, (255 << 24) | (color[2] << 16) | (color[1] << 8) | color[0]);
      this.names.set(id, name);
    }
    const table = new Uint32Array(256);
    for (const [id, color] of this.colors) {
      if (this.alone === null || this.alone === id) table[id] = color;
    }
    Object.assign(this.small, { width, height });
    const context = this.small.getContext("2d");
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < ids.length; i += 1) pixels[i] = table[ids[i]];
    context.putImageData(image, 0, 0);
    const target = this.map.getContext("2d");
    target.clearRect(0, 0, this.map.width, this.map.height);
    target.imageSmoothingEnabled = width < this.map.width;
    target.drawImage(this.small, 0, 0, this.map.width, this.map.height);
    const parts = summary.classes.slice(0, 5).map((c) => `${c.name} ${percent(c.share)}`);
    this.map.setAttribute("aria-label", `Class map: ${parts.join(", ")}`);
    if (this.point) this.tell(this.point, false);
  }

  isolate(id) {
    this.alone = id;
    if (this.result) this.paint();
  }

  set opacity(value) {
    this.map.style.opacity = value;
  }

  /** Left of the boundary the picture, at its right the classes. */
  compare(on, position) {
    this.split = on ? position : null;
    $("split").hidden = $("divider").hidden = !on;
    this.place();
  }

  /** Where the picture lies inside its canvas, which is letterboxed. */
  box() {
    const { width, height } = this.map;
    const outer = this.map.getBoundingClientRect();
    const scale = Math.min(outer.width / width, outer.height / height) || 1;
    const inner = { width: width * scale, height: height * scale };
    const left = (outer.width - inner.width) / 2;
    const top = (outer.height - inner.height) / 2;
    const stage = $("stage").getBoundingClientRect();
    return { ...inner, left, top, x: outer.left + left, y: outer.top + top, inStage: { left: outer.left - stage.left + left, top: outer.top - stage.top + top }, outer };
  }

  place() {
    if (this.split === null || this.split === undefined) {
      this.map.style.clipPath = "";
      return;
    }
    const box = this.box();
    const at = box.left + this.split * box.width;
    this.map.style.clipPath = `inset(0 0 0 ${at}px)`;
    const { left } = box.inStage;
    $("divider").style.left = `${left + this.split * box.width}px`;
    Object.assign($("split").style, { left: `${left - 22}px`, width: `${box.width + 44}px` });
  }

  listen() {
    const { map } = this;
    map.addEventListener("pointermove", (event) => this.hover(event));
    map.addEventListener("pointerleave", () => { this.forget(); });
    map.addEventListener("click", (event) => {
      const point = this.under(event);
      if (point) this.pick(point);
    });
    map.addEventListener("keydown", (event) => this.key(event));
    map.addEventListener("blur", () => this.forget());
    new ResizeObserver(() => this.place()).observe($("stage"));
  }

  /** The place in the class map under the pointer. */
  under(event) {
    if (!this.result) return null;
    const box = this.box();
    const point = { x: (event.clientX - box.x) / box.width, y: (event.clientY - box.y) / box.height };
    return point.x >= 0 && point.x < 1 && point.y >= 0 && point.y < 1 ? point : null;
  }

  hover(event) {
    this.point = this.under(event);
    $("cross").hidden = true;
    if (this.point) this.tell(this.point, false);
    else $("tip").hidden = true;
  }

  forget() {
    this.point = null;
    $("tip").hidden = $("cross").hidden = true;
  }

  at({ x, y }) {
    const { ids, confidence, width, height } = this.result;
    const place = Math.floor(y * height) * width + Math.floor(x * width);
    return { id: ids[place], sure: confidence ? confidence[place] / 255 : null };
  }

  tell(point, aloud) {
    const { id, sure } = this.at(point);
    const name = this.names.get(id) ?? "unknown";
    const tip = $("tip");
    const swatch = document.createElement("i");
    swatch.className = "swatch";
    const color = this.colors.get(id) ?? 0;
    swatch.style.background = `rgb(${color & 255} ${(color >> 8) & 255} ${(color >> 16) & 255})`;
    const certain = document.createElement("span");
    certain.className = "number";
    certain.textContent = sure === null ? "" : percent(sure, 0);
    tip.replaceChildren(swatch, name, certain);
    tip.hidden = false;
    const box = this.box();
    const stage = $("stage").getBoundingClientRect();
    const x = box.inStage.left + point.x * box.width;
    const y = box.inStage.top + point.y * box.height;
    tip.style.left = `${Math.max(6, Math.min(x + 14, stage.width - tip.offsetWidth - 6))}px`;
    tip.style.top = `${y > 48 ? y - 42 : y + 16}px`;
    if (aloud) this.say(sure === null ? name : `${name}, confidence ${percent(sure, 0)}`);
  }

  pick(point) {
    const { id } = this.at(point);
    this.onPick(this.alone === id ? null : id);
  }

  key(event) {
    const step = event.shiftKey ? 0.1 : 0.02;
    const move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (!this.result) return;
    if (move) {
      const from = this.point ?? { x: 0.5, y: 0.5 };
      const into = (value) => Math.max(0, Math.min(0.999, value));
      this.point = this.point ? { x: into(from.x + move[0]), y: into(from.y + move[1]) } : from;
      const box = this.box();
      const cross = $("cross");
      cross.style.left = `${box.inStage.left + this.point.x * box.width}px`;
      cross.style.top = `${box.inStage.top + this.point.y * box.height}px`;
      cross.hidden = false;
      this.tell(this.point, true);
    } else if (event.key === "Enter" || event.key === " ") {
      if (this.point) this.pick(this.point);
    } else if (event.key === "Escape") {
      this.onPick(null);
    } else return;
    event.preventDefault();
  }
}

export function percent(share, digits = 1) {
  if (digits && share > 0 && share < 0.0005) return "<0.1 %";
  return `${(100 * share).toFixed(digits)} %`;
}
