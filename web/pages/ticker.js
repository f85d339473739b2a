// Events and what came of them: which list, and how long it took by this page's clock.

import { make } from "./dom.js";

const KEPT = 30;
const PATIENCE_MS = 8_000;

export class Ticker {
  #lines; #words; #quiet; #pending = []; #newest = null; #told; #known = {};

  /** `words(event)`: what happened; `told(milliseconds)`: a list came; `quiet`: names of events that are not shown. */
  constructor(lines, client, { words, told = () => {}, quiet = ["view_item_list"] }) {
    this.#lines = lines;
    this.#words = words;
    this.#told = told;
    this.#quiet = quiet;
    client.addEventListener("track", ({ detail }) => this.#sent(detail));
    client.addEventListener("slate", ({ detail }) => this.#arrived(detail));
    client.addEventListener("refused", ({ detail }) => detail.forEach((one) => this.note(`refused: ${one.message}`)));
    client.addEventListener("dropped", ({ detail }) => this.note(`the ${detail.length} oldest events were given up`));
  }

  note(words) {
    this.#line(make("span", { className: "what note", text: words }));
  }

  reset() {
    for (const { timer } of this.#pending.splice(0)) clearTimeout(timer);
    this.#lines.replaceChildren();
  }

  /** What is tracked together, a click and the look that follows it, is one line under the last one's name. */
  #sent(event, now = performance.now()) {
    if (this.#quiet.includes(event.event)) return;
    const seen = event.event === "view_item_list"; // an impression never makes a list
    const entry = (!seen && this.#newest) || this.#entry(seen, now);
    entry.ids.push(event.event_id);
    entry.name.textContent = event.event;
    entry.what.textContent = this.#words(event);
    if (seen) return;
    if (!this.#newest) queueMicrotask(() => (this.#newest = null));
    this.#newest = entry;
  }

  #entry(seen, now) {
    const [name, what] = [make("code"), make("span", { className: "what" })];
    const outcome = make("span", { className: "outcome", text: seen ? "noted" : "→ …" });
    this.#line(name, what, outcome);
    const timer = seen ? 0 : setTimeout(() => (outcome.textContent = "→ no list yet"), PATIENCE_MS);
    const entry = { ids: [], name, what, outcome, timer, at: now };
    if (!seen) this.#pending.push(entry);
    return entry;
  }

  /**
   * The action it was made for is settled, and those sent before it: they are part of this list too. The list that a
   * new subscription gets is made for none, but its version counts those that it knows of.
   */
  #arrived(slate, now = performance.now()) {
    const found = this.#pending.findIndex(({ ids }) => ids.includes(slate.cause?.event_id));
    const grown = slate.epoch === this.#known.epoch ? slate.version - this.#known.version : 0;
    this.#known = slate;
    const settled = slate.cause?.kind === "request" ? Math.max(found + 1, grown) : found + 1;
    for (const { outcome, timer, at } of this.#pending.splice(0, settled)) {
      clearTimeout(timer);
      const took = Math.max(1, Math.round(now - at));
      outcome.textContent = `→ list v${slate.version} in ${took} ms`;
      outcome.classList.add("done");
      this.#told(took, slate);
    }
  }

  #line(...parts) {
    this.#lines.prepend(make("li", {}, ...parts));
    while (this.#lines.children.length > KEPT) this.#lines.lastElementChild.remove();
  }
}
