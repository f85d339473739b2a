// Events and what came of them: which list, and how long it took by this page's clock.

import { make } from "./dom.js";

const KEPT = 30;
const PATIENCE_MS = 8_000;

export class Ticker {
  #lines; #pending = new Map();

  constructor(lines) {
    this.#lines = lines;
  }

  /** An action was sent: `event` is the last event of it. */
  sent(event, what, now = performance.now()) {
    const outcome = make("span", { className: "outcome", text: "→ …" });
    this.#line(make("code", { text: event.event }), make("span", { className: "what", text: what }), outcome);
    const timer = setTimeout(() => this.#give(event.event_id), PATIENCE_MS);
    this.#pending.set(event.event_id, { outcome, timer, at: now });
  }

  /** A list came. The action it was made for is settled, and those sent before it: they are part of this list too. */
  arrived(slate, now = performance.now()) {
    const cause = slate.cause?.event_id;
    if (!this.#pending.has(cause)) return;
    for (const [id, { outcome, timer, at }] of this.#pending) {
      clearTimeout(timer);
      this.#pending.delete(id);
      outcome.textContent = `→ list v${slate.version} in ${Math.max(1, Math.round(now - at))} ms`;
      outcome.classList.add("done");
      if (id === cause) break;
    }
  }

  note(words) {
    this.#line(make("span", { className: "what note", text: words }));
  }

  reset() {
    for (const { timer } of this.#pending.values()) clearTimeout(timer);
    this.#pending.clear();
    this.#lines.replaceChildren();
  }

  #give(id) {
    this.#pending.get(id).outcome.textContent = "→ no list yet";
  }

  #line(...parts) {
    this.#lines.prepend(make("li", {}, ...parts));
    while (this.#lines.children.length > KEPT) this.#lines.lastElementChild.remove();
  }
}
