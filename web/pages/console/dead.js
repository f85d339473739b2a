// Records that could not be processed: why, where, when. What they hold is shown only to who asks, as text.

import { at } from "./api.js";
import { make } from "./dom.js";
import { badge, bytes, button, empty, facts, section, show, table, tell, when, whole } from "./parts.js";

export class DeadLetters {
  #api; #tally = make("div"); #rows = make("div", {}, empty("Reading the topic …"));
  element = make("div");

  constructor({ api }) {
    this.#api = api;
    this.element.append(make("h1", { className: "unseen", text: "Dead letters" }),
      section("Dead letters", { about: "Records that could not be processed went here, and everything else flowed on. They are kept for REC_RETENTION_DAYS. A payload may be personal data: it is read only when you ask for it.",
        more: [button("Refresh", () => this.open(true))] }, this.#tally, this.#rows));
  }

  async open(asked = false) {
    try {
      const { letters } = await this.#api.get("/v1/dead-letters", { n: 100 });
      const counts = letters.reduce((sums, { reason }) => sums.set(reason, (sums.get(reason) ?? 0) + 1), new Map());
      show(this.#tally, JSON.stringify([...counts]), () => (counts.size ? make("ul", { className: "chips" }, ...[...counts].map(([reason, count]) => make("li", {}, badge(`${reason} ${whole(count)}`, "warn")))) : []));
      show(this.#rows, JSON.stringify(letters), () => this.#table(letters), { asked: asked === true });
    } catch (error) {
      show(this.#rows, error.message, () => empty(error.message), { asked: asked === true });
    }
  }

  #table(letters) {
    if (!letters.length) return empty("There is none: every record was processed.");
    const now = Date.now() / 1000;
    return table("The newest dead letters", [
      ["When", ({ at: then }) => when(then, now)],
      ["Reason", ({ reason }) => badge(reason, "warn")],
      ["Error", ({ error }) => error, { wide: true }],
      ["Where", ({ topic, partition, offset }) => make("code", { text: `${topic}[${partition}]@${offset}` })],
      ["Payload", ({ bytes: count }) => bytes(count), { number: true }],
      ["", (letter) => button("Show payload", () => this.#show(letter), { label: `Show the payload of ${letter.topic} ${letter.partition} ${letter.offset}` })],
    ], letters);
  }

  async #show({ letter_id: id, topic, partition, offset }) {
    const title = `${topic}[${partition}]@${offset}`;
    try {
      const letter = await this.#api.get(at`/v1/dead-letters/${id}`);
      tell(title, facts([["Reason", letter.reason], ["Error", letter.error], ["Key", make("code", { text: letter.key })], ["Payload", `${bytes(letter.bytes)}${letter.bytes >= 65_536 ? ", cut there" : ""}`]]),
        make("pre", { className: "raw", tabindex: "0", text: letter.payload || "(empty)" }));
    } catch (error) {
      tell(title, empty(error.message));
    }
  }
}
