// The list of classes with their share of the image, confidence, and a button to show only that class.

import { percent } from "./view.js";

const $ = (id) => document.getElementById(id);

export class Legend {
  constructor({ onPick }) {
    this.rows = new Map();
    this.onPick = onPick;
    this.alone = null;
    $("all").addEventListener("click", () => onPick(null));
  }

  clear() {
    this.rows.clear();
    $("legend").replaceChildren();
    $("none").hidden = false;
    $("heads").hidden = true;
  }

  /** @param live keeps every class that was seen at its place, so that nothing jumps. */
  update(classes, live) {
    $("none").hidden = classes.length > 0;
    $("heads").hidden = classes.length === 0;
    const seen = new Map(classes.map((c) => [c.id, c]));
    for (const c of classes) {
      if (!this.rows.has(c.id)) this.rows.set(c.id, this.row(c));
    }
    for (const [id, row] of this.rows) {
      const found = seen.get(id);
      if (!found && !live) {
        row.item.remove();
        this.rows.delete(id);
        continue;
      }
      const share = found?.share ?? 0;
      row.share.textContent = percent(share);
      row.sure.textContent = found?.confidence == null ? "–" : percent(found.confidence, 0);
      row.bar.style.transform = `scaleX(${share})`;
      const sure = found?.confidence == null ? "" : `, confidence ${percent(found.confidence, 0)}`;
      row.button.setAttribute("aria-label", `${row.name}: ${percent(share)} of the image${sure}`);
    }
    const order = [...this.rows.entries()].sort((a, b) =>
      live ? a[0] - b[0] : (seen.get(b[0])?.share ?? 0) - (seen.get(a[0])?.share ?? 0));
    const items = order.map(([, row]) => row.item);
    const list = $("legend");
    if (items.some((item, place) => list.children[place] !== item)) list.replaceChildren(...items);
  }

  isolate(id) {
    this.alone = id;
    $("all").hidden = id === null;
    for (const [other, row] of this.rows) {
      row.button.setAttribute("aria-pressed", String(other === id));
      row.button.classList.toggle("off", id !== null && other !== id);
    }
  }

  row({ id, name, color }) {
    const part = (tag, kind, text = "") => {
      const element = document.createElement(tag);
      element.className = kind;
      element.textContent = text;
      return element;
    };
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.class = name;
    button.setAttribute("aria-pressed", String(this.alone === id));
    const swatch = part("i", "swatch");
    swatch.style.background = `rgb(${color.join(" ")})`;
    const share = part("span", "share number");
    const sure = part("span", "sure number");
    const track = part("span", "bar");
    const bar = document.createElement("i");
    track.append(bar);
    button.append(swatch, part("span", "name", name), share, sure, track);
    button.addEventListener("click", () => this.onPick(this.alone === id ? null : id));
    item.append(button);
    return { item, button, share, sure, bar, name };
  }
}
