// Lines over the last minutes, and intervals beside each other, as SVG. Colors come from the style sheet; a line is
// also told apart by its dashes, and what it shows now is written beside its name.

import { make } from "./dom.js";

const NS = "http://www.w3.org/2000/svg";
const [LEFT, RIGHT, TOP, BOTTOM] = [46, 8, 8, 20];
const HEIGHT = 168;

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Up to five round numbers from 0 that reach `top`. */
export function steps(top) {
  if (!(top > 0)) return [0, 1];
  const rough = top / 4;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * [1, 2, 2.5, 5, 10].find((times) => times * unit >= rough);
  return Array.from({ length: Math.ceil(top / step - 1e-9) + 1 }, (_, n) => n * step);
}

/** The `d` of a path through [x, y]; null interrupts it. */
export function path(points) {
  let pen = false;
  return points.map((point) => {
    if (!point) pen = false;
    const drawn = point ? `${pen ? "L" : "M"}${point[0].toFixed(1)} ${point[1].toFixed(1)}` : "";
    pen = Boolean(point);
    return drawn;
  }).join("");
}

/** A plot of some lines. `lines`: [[name, label]]; `unit(value)` says a value. Points are {at, name: value or null}. */
export class Plot {
  #lines; #unit; #points = []; #seconds; #box; #legend = new Map(); #title; #none;

  constructor(title, lines, { unit, seconds = 600, none }) {
    this.#title = title;
    this.#lines = lines;
    this.#unit = unit;
    this.#seconds = seconds;
    this.#box = svg("svg", { class: "plot", role: "img", height: HEIGHT });
    this.#none = make("p", { className: "empty over", text: none });
    const legend = make("ul", { className: "legend" }, ...lines.map(([name, label], n) => {
      const value = make("b", { text: "–" });
      this.#legend.set(name, value);
      const swatch = svg("svg", { class: "swatch", width: 18, height: 8, "aria-hidden": "true" }, svg("path", { d: "M0 4H18", class: `line line-${n}` }));
      return make("li", {}, swatch, make("span", { text: label }), value);
    }));
    this.element = make("figure", { className: "figure" }, make("figcaption", {}, make("h2", { text: title }), legend), make("div", { className: "canvas" }, this.#box, this.#none));
    new ResizeObserver(() => this.#draw()).observe(this.#box.parentElement);
    this.#box.addEventListener("pointermove", (event) => this.#point(event));
    this.#box.addEventListener("pointerleave", () => this.#draw());
  }

  add(point) {
    this.#points.push(point);
    while (this.#points[0].at < point.at - this.#seconds) this.#points.shift();
    this.#draw();
  }

  #scale() {
    const width = Math.max(200, this.#box.parentElement.clientWidth);
    const end = this.#points.at(-1)?.at ?? 0;
    const reach = Math.min(this.#seconds, Math.max(60, end - (this.#points[0]?.at ?? end)));
    const values = this.#points.flatMap((point) => this.#lines.map(([name]) => point[name] ?? 0));
    const ticks = steps(Math.max(0, ...values));
    const inner = width - LEFT - RIGHT;
    return {
      width, end, reach, ticks,
      x: (at) => LEFT + inner * (1 - (end - at) / reach),
      y: (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / ticks.at(-1)),
    };
  }

  #draw(picked = null) {
    const { width, end, reach, ticks, x, y } = this.#scale();
    const points = this.#points.filter(({ at }) => at >= end - reach);
    this.#none.hidden = points.some((point) => this.#lines.some(([name]) => point[name] !== null && point[name] !== undefined));
    const now = picked ?? points.at(-1);
    for (const [name, value] of this.#legend) value.textContent = now?.[name] === null || now?.[name] === undefined ? "–" : this.#unit(now[name]);
    if (!this.#box.parentElement.clientWidth) return;
    this.#box.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.#box.setAttribute("width", width);
    this.#box.setAttribute("aria-label", `${this.#title}: ${this.#lines.map(([name, label]) => `${label} ${this.#legend.get(name).textContent}`).join(", ")}`);
    const minutes = reach >= 240 ? 2 : reach >= 120 ? 1 : 0.5;
    const marks = Array.from({ length: Math.floor(reach / 60 / minutes) + 1 }, (_, n) => n * minutes);
    this.#box.replaceChildren(
      ...ticks.map((tick) => svg("g", { class: "grid" }, svg("path", { d: `M${LEFT} ${y(tick)}H${width - RIGHT}` }),
        label(LEFT - 6, y(tick) + 4, this.#unit(tick), "end"))),
      ...marks.map((mark) => label(x(end - mark * 60), HEIGHT - 4, mark ? `−${mark} min` : "now", mark ? "middle" : "end"))
        .filter((text) => Number(text.getAttribute("x")) > LEFT + 12),
      ...this.#lines.map(([name], n) => svg("path", {
        class: `line line-${n}`, d: path(points.map((point) => point[name] === null || point[name] === undefined ? null : [x(point.at), y(point[name])])),
      })),
      ...(picked ? [svg("path", { class: "cross", d: `M${x(picked.at)} ${TOP}V${HEIGHT - BOTTOM}` }), label(x(picked.at), TOP + 8, `−${Math.round(end - picked.at)} s`, x(picked.at) > width / 2 ? "end" : "start")] : []),
    );
  }

  #point({ offsetX }) {
    const { x } = this.#scale();
    const near = this.#points.reduce((best, point) => (!best || Math.abs(x(point.at) - offsetX) < Math.abs(x(best.at) - offsetX) ? point : best), null);
    if (near) this.#draw(near);
  }
}

const label = (x, y, text, anchor) => {
  const element = svg("text", { x: x.toFixed(1), y: y.toFixed(1), "text-anchor": anchor });
  element.textContent = text;
  return element;
};

/** A small line without axes, for a tile; `values` may have gaps. */
export function spark(values, { width = 120, height = 30 } = {}) {
  const top = Math.max(...values.map((value) => value ?? 0), 0) || 1;
  const across = width / Math.max(1, values.length - 1);
  const points = values.map((value, n) => (value === null || value === undefined ? null : [n * across, height - 2 - (height - 4) * (value / top)]));
  return svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" }, svg("path", { class: "line line-0", d: path(points) }));
}

/** An interval on a scale from 0 to `top`: a bar from low to high, and the value in it. The words are for the ear. */
export function interval({ value, low, high }, top, words) {
  const [width, height] = [200, 16];
  const x = (share) => Math.min(width, (share / top) * width);
  return svg("svg", { class: "interval", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words, preserveAspectRatio: "none" },
    svg("path", { class: "rail", d: `M0 8H${width}` }),
    svg("path", { class: "range", d: `M${x(low)} 8H${Math.max(x(high), x(low) + 1)}` }),
    svg("path", { class: "value", d: `M${x(value)} 2V14` }));
}
