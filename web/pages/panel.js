// What the system sees of this shopper, and what they can say to it: pause, forget.

import { make } from "./dom.js";
import { badge, Bars, Sight } from "./sees.js";
import { Ticker } from "./ticker.js";
import { eventText, learnedAgo } from "./words.js";

const FIRST = "storefront"; // the list of the first page
const ERASED = "erased"; // why the server ended the connection of somebody who is forgotten
const FOLLOW_MS = 2_000; // for the tab that asked for the erasure to say who comes next
const RECEIPT_MS = 1_000;
const RECEIPT_TRIES = 20;

export class Panel {
  #panel; #who; #client; #bars; #ticker; #sight; #slate = null; #paused = false; #receipt = null; #waiting = 0; #renewed; #told;

  /** `renewed()` is called when the shopper was forgotten and is somebody new; `told(me)` for what is kept of them. */
  constructor(panel, { who, client, titleOf, kindOf, renewed, told }) {
    this.#panel = panel;
    this.#who = who;
    this.#client = client;
    this.#renewed = renewed;
    this.#told = told;
    badge(this.#find(".link"), client);
    this.#bars = new Bars(this.#find("#bars"), 5);
    this.#ticker = new Ticker(this.#find("#lines"), client, {
      words: (event) => eventText(event, titleOf, kindOf), quiet: [],
      told: (took) => (document.getElementById("peek-words").textContent = `event → list in ${took} ms`),
    });
    this.#sight = new Sight(who, client, (me) => this.#see(me));
    this.#slate = this.#find("shunxi-list").slate ?? null; // it may have been faster than this script
    this.#find("#pause").addEventListener("click", () => this.#pause());
    this.#find("#forget").addEventListener("click", () => this.#forget());
    client.addEventListener("state", ({ detail }) => {
      if (detail.state === "stopped" && detail.reason === ERASED) this.#waiting = setTimeout(() => this.#elsewhere(), FOLLOW_MS);
    });
    who.followed(() => this.#elsewhere());
    client.addEventListener("slate", ({ detail }) => {
      if (detail.placement === FIRST) this.#slate = detail;
      this.#model();
    });
    this.#model();
    setInterval(() => this.#model(), 1_000);
    const peek = document.getElementById("peek");
    peek.addEventListener("click", () => {
      const open = panel.classList.toggle("up");
      peek.setAttribute("aria-expanded", String(open));
      if (open) panel.scrollTo(0, 0);
    });
    addEventListener("keydown", ({ key }) => key === "Escape" && panel.classList.contains("up") && peek.click());
  }

  #find(selector) { return this.#panel.querySelector(selector); }

  #see(me) {
    const { interests, half_life_s: halfLife, events, bought, hidden, consent } = me;
    this.#told(me);
    this.#bars.draw(interests);
    this.#find("#half-life").textContent = `halve in ${Math.round(halfLife / 60)} min`;
    const parts = [`${events} ${events === 1 ? "event" : "events"}`, bought && `${bought} bought`, hidden && `${hidden} hidden`];
    this.#find("#known").textContent = consent === "denied" ? "Nothing is kept: personalization is paused." : `Kept of you: ${parts.filter(Boolean).join(", ")}.`;
    this.#show(consent === "denied");
  }

  #model() {
    const slate = this.#slate;
    if (!slate) return;
    const facts = [
      ["Version", slate.model_version],
      ["Learned", slate.learned_through ? learnedAgo(slate.learned_through, Date.now()).replace("learned ", "up to ") : "not from this shop yet"],
      ["Strategy", slate.strategy],
      ["List", `v${slate.version} of epoch ${slate.epoch.slice(0, 6)}, made for ${slate.cause?.kind ?? "you"}`],
    ];
    const texts = facts.map(([, text]) => text).join("\n");
    const model = this.#find("#model");
    if (model.dataset.texts === texts) return;
    model.dataset.texts = texts;
    model.replaceChildren(...facts.flatMap(([name, text]) => [make("dt", { text: name }), make("dd", { text })]));
  }

  #show(paused) {
    this.#paused = paused;
    const button = this.#find("#pause");
    button.setAttribute("aria-pressed", String(paused));
    button.textContent = paused ? "Resume personalization" : "Pause personalization";
  }

  #pause() {
    this.#show(!this.#paused);
    this.#client.setConsent({ personalization_storage: this.#paused ? "denied" : "granted" });
    this.#say(this.#paused ? "Paused. What was known of you is gone, and your lists are everybody's." : "Resumed. Your lists follow you again.");
    this.#sight.look();
  }

  async #forget() {
    const button = this.#find("#forget");
    button.disabled = true;
    this.#say("Forgetting …");
    try {
      const { erasure_id: id } = await this.#who.get("/demo/forget", { method: "POST" });
      this.#begin();
      this.#say("Forgotten. You are somebody new.");
      this.#follow(id).catch(() => {}); // the receipt stays where it is; only its words stop growing
    } catch (error) {
      this.#say(`That did not work: ${error.message}`);
    }
    button.disabled = false;
  }

  /** The shopper was forgotten, but not by a click on this page. */
  #elsewhere() {
    this.#begin();
    this.#say("You were forgotten in another tab or by the shop, and are somebody new.");
  }

  /** Begin as somebody new. Their token is the client's business, which asks until it comes. */
  #begin() {
    clearTimeout(this.#waiting);
    this.#client.stop({ forget: true });
    this.#who.forget();
    this.#sight.drop();
    this.#bars.draw([]);
    this.#ticker.reset();
    this.#find("#known").textContent = "";
    this.#slate = null;
    this.#receipt = null;
    this.#show(false);
    for (const list of document.querySelectorAll("shunxi-list")) list.client = this.#client; // empty again
    this.#renewed();
    this.#client.start();
  }

  /** The receipt grows as each store has removed its part. */
  async #follow(id) {
    this.#receipt = id;
    for (let turn = 0; turn < RECEIPT_TRIES; turn += 1) {
      const response = await fetch(`/demo/erasures/${encodeURIComponent(id)}`);
      if (!response.ok) return;
      const { steps } = await response.json();
      if (this.#receipt !== id) return;
      this.#say(`Forgotten. You are somebody new. Receipt: ${steps.length} stores so far (${steps.map(({ store }) => store).join(", ")}).`);
      await new Promise((resolve) => setTimeout(resolve, RECEIPT_MS));
    }
  }

  #say(words) {
    const said = this.#find("#said");
    if (said.textContent !== words) said.textContent = words;
  }
}
