// Interest by department, as the server counts it: a gain for each action, halved every 30 minutes.

import { make } from "./dom.js";

const GAINS = { select_item: 1, view_item: 1, add_to_cart: 3, purchase: 4, not_interested: -4 };
const HALF_LIFE_MS = 30 * 60_000;
const SHOWN = 3;

export class Interests {
  #bars; #sums = new Map(); #rows = new Map();

  constructor(bars) {
    this.#bars = bars;
  }

  add(action, category, now = Date.now()) {
    if (!category) return;
    const old = this.#sums.get(category);
    this.#sums.set(category, { sum: (old ? decayed(old, now) : 0) + (GAINS[action] ?? 0), at: now });
    this.draw(now);
  }

  reset() {
    this.#sums.clear();
    this.draw();
  }

  draw(now = Date.now()) {
    const all = [...this.#sums].map(([category, entry]) => [category, decayed(entry, now)]);
    const top = all.filter(([, sum]) => sum > 0.05).sort((a, b) => b[1] - a[1]).slice(0, SHOWN);
    const scale = Math.max(6, ...top.map(([, sum]) => sum));
    const shown = new Set(top.map(([category]) => category));
    for (const [category, row] of this.#rows) {
      if (shown.has(category)) continue;
      row.term.remove();
      row.value.remove();
      this.#rows.delete(category);
    }
    for (const [category, sum] of top) {
      const row = this.#rows.get(category) ?? this.#row(category);
      row.bar.style.setProperty("--share", String(sum / scale));
      row.figure.textContent = sum.toFixed(1);
      this.#bars.append(row.term, row.value);
    }
    this.#bars.dataset.empty = top.length ? "" : "Nothing yet. Click something.";
  }

  #row(category) {
    const bar = make("span", { className: "bar" });
    const figure = make("span", { className: "figure" });
    const row = { bar, figure, term: make("dt", { text: category }), value: make("dd", {}, bar, figure) };
    this.#rows.set(category, row);
    return row;
  }
}

function decayed({ sum, at }, now) {
  return sum * 0.5 ** (Math.max(0, now - at) / HALF_LIFE_MS);
}
