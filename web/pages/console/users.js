// One user, all the way: events → state → candidates → scores → policy steps → list.

import { at } from "./api.js";
import { make } from "./dom.js";
import { fates } from "./fates.js";
import { badge, button, empty, facts, json, percent, plain, section, show, span, table, tell, when, whole } from "./parts.js";
import { eventText, reasonText } from "./words.js";

const EVENTS = 60;

export class Users {
  #api; #find; #online = make("div"); #one = make("div"); #user = ""; #settings = null; #titles = new Map(); #placement; #n; #beside;
  element = make("div");

  constructor({ api }) {
    this.#api = api;
    this.#find = make("input", { type: "search", id: "user-find", placeholder: "user_id or visitor_id", autocomplete: "off", spellcheck: "false", maxlength: 128, on: { input: () => this.#whoIsHere() } });
    this.#placement = make("input", { id: "user-placement", value: "home", size: 10, autocomplete: "off", spellcheck: "false" });
    this.#beside = make("input", { id: "user-beside", placeholder: "none", size: 12, autocomplete: "off", spellcheck: "false" });
    this.#n = make("input", { id: "user-n", type: "number", min: 1, max: 200, value: 20 });
    const form = make("form", { className: "find", on: { submit: (event) => {
      event.preventDefault();
      if (this.#find.value.trim()) location.hash = `#users/${encodeURIComponent(this.#find.value.trim())}`;
    } } }, make("label", { className: "unseen", for: "user-find", text: "User" }), this.#find, make("button", { className: "main", text: "Inspect" }));
    this.element.append(make("h1", { className: "unseen", text: "Users" }),
      section("Users", { about: "Type an id, or take somebody who is connected now.", more: [form] }, this.#online), this.#one);
  }

  read({ settings }) { this.#settings = settings; }

  open(user) {
    this.#whoIsHere();
    if (user && user !== this.#user) this.#inspect(user);
    if (!user) {
      this.#user = "";
      this.#one.replaceChildren();
    }
  }

  async #whoIsHere() {
    const q = this.#find.value.trim();
    try {
      const { online, users } = await this.#api.get("/v1/users", { q, n: 24 });
      if (q !== this.#find.value.trim()) return;
      show(this.#online, JSON.stringify([online, users]), () => {
        if (!online) return empty("Nobody is connected now. Open the shop, or watch somebody: rec watch --user u1.");
        if (!users.length) return empty(`None of the ${whole(online)} who are connected has that in their id. Inspect looks for anybody.`);
        return make("ul", { className: "chips" }, ...users.map(({ user_id: id, screens }) => make("li", {}, make("a", { className: "chip", href: `#users/${encodeURIComponent(id)}`, title: Object.keys(screens).join(", "), text: id }))),
          ...(online > users.length ? [make("li", { className: "help", text: `of ${whole(online)} connected` })] : []));
      });
    } catch (error) {
      show(this.#online, error.message, () => empty(error.message));
    }
  }

  async #inspect(user) {
    this.#user = user;
    this.#one.replaceChildren(empty(`Asking the worker that owns ${user} …`));
    let known;
    try {
      known = await this.#api.get(at`/v1/users/${user}`);
    } catch (error) {
      if (user === this.#user) this.#one.replaceChildren(empty(error.status === 404 ? `Nothing is stored about ${user}. Ids are exact, letter by letter.` : error.message));
      return;
    }
    if (user !== this.#user) return;
    this.#learnTitles(known);
    const now = Date.now() / 1000;
    const made = make("div", {}, empty("Not made yet: a list made now goes to this page alone; no screen changes. With it comes what became of the best candidates, where each fell out, and why."));
    const make_ = button("Make a list now", () => this.#make(made));
    this.#one.replaceChildren(
      make("div", { className: "title" }, make("h2", { text: user }), ...(known.erased_at ? [badge("erased", "warn")] : []), button("Look again", () => this.#inspect(user)), button("Everything, as JSON", () => tell(user, json(known)))),
      section("1 Events", { about: eventsAbout(known.events) }, this.#events(known.events, now)),
      section("2 State", { about: "What the worker folded the events into. Interests as they are now." }, this.#state(known, now)),
      section("3 Lists on screens", { about: "The newest stored list of each screen: what spoke for an item, its score, the policy steps that moved it, and the chance it had to be on the list." }, ...this.#stored(known.exchange, now)),
      section("4 A list made now", { more: [make("label", { for: "user-placement", text: "placement" }), this.#placement, make("label", { for: "user-beside", text: "beside item" }), this.#beside, make("label", { for: "user-n", text: "n" }), this.#n, make_] }, made),
      section("5 Lists that wait for what becomes of them", {}, this.#windows(known.feedback, now)));
  }

  #learnTitles({ exchange }) {
    for (const { items } of Object.values(exchange.slates)) for (const { item_id: id, item } of items) if (item?.title) this.#titles.set(id, item.title);
  }

  #name = (id) => this.#titles.get(id);

  #item(id) { return make("a", { href: `#catalog/${encodeURIComponent(id)}`, title: id, text: this.#titles.get(id) ?? id }); }

  #events(events, now) {
    if (!events.length) return empty("None in the archive. The archiver writes events there; without it, or without consent, there are none.");
    return table("Newest events", [
      ["When", ({ event_ts: then, received_ts: or }) => when(then ?? or, now)],
      ["Event", ({ event }) => make("code", { text: event })],
      ["What", (event) => eventText({ ...event, items: event.items ?? [] }, this.#name), { wide: true }],
      ["From the list", ({ attribution }) => (attribution?.slate_id ? `v${attribution.version ?? "?"}` : "–")],
      ["", (event) => button("Show", () => tell(event.event, json(event)), { label: `Show ${event.event} ${event.event_id}` })],
    ], events.slice(0, EVENTS), { tall: true });
  }

  #state({ state, trail, exchange }, now) {
    if (!state) return empty("The worker has no state of this user: no event of theirs was folded.");
    const { history = [], bought = {}, hidden = {}, searches = [], visitors = {}, categories = {}, brands = {}, consent } = state;
    const choice = { true: "granted", false: "denied" }[consent] ?? "never chosen";
    return make("div", { className: "pair" }, facts([
      ["Position", `v${state.version ?? 0} of epoch ${state.epoch}`], ["Events applied", whole(state.applied ?? 0)], ["Came late", state.late ? whole(state.late) : null],
      ["Newest event", state.events_through ? when(state.events_through, now) : null], ["Consent", choice], ["On screens", Object.entries(exchange.on_screen).map(([screen, n]) => `${screen} (${n})`).join(", ") || "none"],
      ["History", `${whole(history.length)} actions on ${whole(new Set(history.map(([, id]) => id)).size)} items`], ["Bought", this.#links(Object.keys(bought))], ["Hidden", this.#links(Object.keys(hidden))],
      ["Searched for", searches.slice(-5).reverse().map(([, words]) => words).join(", ")], ["Visitors", Object.entries(visitors).map(([id, mark]) => `${id} (${mark})`).join(", ")], ["Became", state.merged_into],
      ["Last looked at", this.#links(trail.slice(-5).reverse().map(({ item_id: id }) => id))],
    ]), make("div", {}, this.#interests("Categories", categories, now), this.#interests("Brands", brands, now)));
  }

  #links(ids) {
    if (!ids.length) return "";
    const shown = ids.slice(0, 6).flatMap((id, n) => [...(n ? [", "] : []), this.#item(id)]);
    return make("span", {}, ...shown, ...(ids.length > 6 ? [` and ${ids.length - 6} more`] : []));
  }

  #interests(title, interests, now) {
    const { short_half_life_s: short = 1800, long_half_life_s: long = 2592000 } = this.#settings ?? {};
    const rows = Object.entries(interests).map(([name, [s, l, then]]) => ({ name, now: s * 0.5 ** (Math.max(0, now - then) / short), lasting: l * 0.5 ** (Math.max(0, now - then) / long) }))
      .sort((a, b) => b.now - a.now || b.lasting - a.lasting).slice(0, 6);
    if (!rows.length) return make("div", {}, make("h3", { text: title }), empty("No interest yet."));
    const most = Math.max(...rows.map((row) => Math.max(row.now, row.lasting)), 0.001);
    return make("div", {}, make("h3", { text: title }), table(title, [["Name", ({ name }) => name], ["Now", (row) => bar(row.now / most, plain(row.now, 2))], ["Lasting", (row) => bar(row.lasting / most, plain(row.lasting, 2))]], rows));
  }

  #stored({ slates }, now) {
    const found = Object.entries(slates);
    if (!found.length) return [empty("No list is stored. One is, from the moment that a screen of theirs subscribes, for a day.")];
    return found.map(([screen, slate]) => make("details", { open: screen === "home" || found.length === 1 ? "" : null }, make("summary", { text: `${screen} · v${slate.version} · ${slate.items.length} items` }), this.#slate(slate, now)));
  }

  async #make(into) {
    try {
      const found = await this.#api.get(at`/v1/users/${this.#user}/candidates`, { placement: this.#placement.value.trim(), n: this.#n.value, item_id: this.#beside.value.trim() });
      for (const { item_id: id, item } of found.slate.items) if (item?.title) this.#titles.set(id, item.title);
      for (const { item_id: id, title } of found.fates) if (title) this.#titles.set(id, title);
      into.replaceChildren(this.#slate(found.slate, Date.now() / 1000), make("h3", { text: "What became of the candidates" }), fates(found, (id) => this.#item(id), bar));
    } catch (error) {
      into.replaceChildren(empty(error.message));
    }
  }

  #slate(slate, now) {
    const most = Math.max(...slate.items.map(({ score }) => score), 1e-9);
    const learned = slate.learned_through ? `learned through ${span(Math.max(0, now - Date.parse(slate.learned_through) / 1000))} ago` : "learned nothing yet";
    return make("div", {}, make("p", { className: "about" }, `Made ${span(Math.max(0, now - Date.parse(slate.created_at) / 1000))} ago because of ${slate.cause.kind === "event" ? "an event" : `a ${slate.cause.kind}`}, by `, make("code", { text: slate.model_version }), ` (${learned}), strategy `, make("code", { text: slate.strategy }), "."),
      table(`List ${slate.placement}`, [
        ["#", (row) => slate.items.indexOf(row) + 1, { number: true }],
        ["Item", ({ item_id: id }) => this.#item(id), { wide: true }],
        ["Candidate of", ({ source }) => badge(source)],
        ["Score", ({ score }) => bar(score / most, plain(score, 3))],
        ["Why", ({ reason }) => reasonText(reason, this.#name), { wide: true }],
        ["Policy", ({ reason }) => (reason.policy?.length ? make("span", {}, ...reason.policy.flatMap((step) => [badge(step, "accent"), " "])) : "as ranked")],
        ["Chance", ({ propensity }) => percent(propensity, propensity > 0.1 ? 0 : 1), { number: true }],
      ], slate.items));
  }

  #windows(windows, now) {
    if (!windows.length) return empty("None. A list waits here from its first sign until its window is over, where REC_FEEDBACK is set.");
    return table("Lists that are joined with what becomes of them", [
      ["List", ({ slate_id: id }) => make("code", { text: id })],
      ["First seen", ({ seen }) => (Object.values(seen).length ? when(Math.min(...Object.values(seen)), now) : "not yet")],
      ["Places seen", ({ seen }) => whole(Object.keys(seen).length), { number: true }],
      ["Acted on", ({ actions }) => Object.entries(actions).map(([id, all]) => `${this.#titles.get(id) ?? id}: ${Object.keys(all).join(", ")}`).join(" · ") || "–", { wide: true }],
    ], [...windows].reverse(), { tall: true });
  }
}

const eventsAbout = (events) => (events.length > EVENTS ? `The newest ${EVENTS} of ${whole(events.length)} in the archive.` : "As the archive has them, newest first.");

function bar(share, text) {
  const filled = make("span", { className: "fill", "aria-hidden": "true" });
  filled.style.setProperty("--share", String(Math.max(0, Math.min(1, share))));
  return make("span", { className: "bar" }, filled, make("span", { className: "of", text }));
}
