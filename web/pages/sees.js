// What the system sees of a shopper: the connection, and interests as the server keeps them.

import { make } from "./dom.js";

const SIGNS = { idle: "◌", connecting: "◌", connected: "●", reconnecting: "◌", recovered: "✓", stopped: "■" };
const SOON_MS = 120;
const FADING_MS = 15_000;

/** Show a client's state in an element `.link` with `.sign`, `.state` and `.more`. */
export function badge(link, client) {
  const [sign, state, more] = [".sign", ".state", ".more"].map((part) => link.querySelector(part));
  client.addEventListener("state", ({ detail }) => show(detail));
  if (client.state !== "stopped") show({ state: client.state });
  function show(detail) {
    if (detail.state === "idle") return; // between two shoppers
    const words = detail.state === "stopped" ? `stopped: ${detail.reason}` : detail.state;
    link.dataset.state = detail.state;
    sign.textContent = SIGNS[detail.state];
    if (state.textContent !== words) state.textContent = words; // said aloud once a state, not once a try
    wait(detail.wait);
  }
  client.addEventListener("track", () => {
    if (link.dataset.state === "reconnecting") wait();
  });
  function wait(seconds) {
    const waiting = client.state === "reconnecting" ? client.waiting : 0;
    const words = [seconds ? `in ${seconds.toFixed(1)} s` : "", waiting ? `(${waiting} events wait)` : ""];
    more.textContent = words.filter(Boolean).join(" ");
  }
}

/** Asks what the worker knows of the shopper, whenever that may have changed. `told(me)` hears the answer. */
export class Sight {
  #who; #told; #soon = 0; #asked = 0;

  constructor(who, client, told) {
    this.#who = who;
    this.#told = told;
    client.addEventListener("slate", () => this.look());
    client.addEventListener("state", ({ detail }) => detail.state === "connected" && this.look());
    if (client.state === "connected") this.look();
    setInterval(() => document.visibilityState === "visible" && client.state === "connected" && this.look(), FADING_MS);
  }

  look() {
    clearTimeout(this.#soon);
    this.#soon = setTimeout(async () => {
      const turn = (this.#asked += 1);
      try {
        const me = await this.#who.get("/demo/me");
        if (turn === this.#asked) this.#told(me);
      } catch {
        // The badge says what is away; what was seen last stays.
      }
    }, SOON_MS);
  }

  /** Whatever is under way is of somebody else by now. */
  drop() {
    clearTimeout(this.#soon);
    this.#asked += 1;
  }
}

/** Interests as bars in a `dl`. */
export class Bars {
  #bars; #shown; #rows = new Map();

  constructor(bars, shown) {
    this.#bars = bars;
    this.#shown = shown;
    bars.dataset.empty = ""; // until somebody has asked, nobody knows that there is nothing
  }

  /** `interests`: [{name, now}], the strongest first. */
  draw(interests) {
    const top = interests.slice(0, this.#shown);
    const scale = Math.max(6, ...top.map(({ now }) => now));
    const names = new Set(top.map(({ name }) => name));
    for (const [name, row] of this.#rows) {
      if (names.has(name)) continue;
      row.term.remove();
      row.value.remove();
      this.#rows.delete(name);
    }
    for (const { name, now } of top) {
      const row = this.#rows.get(name) ?? this.#row(name);
      row.bar.style.setProperty("--share", String(now / scale));
      row.figure.textContent = now.toFixed(1);
      this.#bars.append(row.term, row.value);
    }
    this.#bars.dataset.empty = top.length ? "" : "Nothing yet. Click something.";
  }

  #row(name) {
    const bar = make("span", { className: "bar" });
    const figure = make("span", { className: "figure" });
    const row = { bar, figure, term: make("dt", { text: name }), value: make("dd", {}, bar, figure) };
    this.#rows.set(name, row);
    return row;
  }
}
