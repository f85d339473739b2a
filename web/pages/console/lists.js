// What became of lists: CTR and CVR with intervals, strategies, what the bandit earned, experiments.

import { at } from "./api.js";
import { make } from "./dom.js";
import { ask, badge, button, empty, json, percent, plain, say, section, show, table, tell, when, whole } from "./parts.js";
import { interval } from "./plot.js";
import { result } from "./results.js";

const KINDS = ["strategy", "placement", "category", "item", "all"];
const EVERY = 5;

export class Lists {
  #api; #by = "strategy"; #rates = make("div"); #strategies = make("div"); #experiments = make("div"); #results = make("div"); #turn = 0; #earned = {}; #stored = null;
  #off = make("p", { className: "notice", role: "status" });
  element = make("div");

  constructor({ api }) {
    this.#api = api;
    const choose = make("select", { id: "rates-by", on: { change: () => {
      this.#by = choose.value;
      this.#load(true);
    } } }, ...KINDS.map((kind) => make("option", { value: kind, text: kind })));
    this.element.append(make("h1", { className: "unseen", text: "Lists" }), this.#off,
      section("CTR and CVR", { more: [make("label", { for: "rates-by", text: "by" }), choose] }, this.#rates),
      section("Strategies", { about: "Ways to make a list, by name. The bandit shares the lists among those that are offered to it.", more: [button("Add …", () => this.#putStrategy())] }, this.#strategies),
      section("Experiments", { about: "Which strategies are compared, and on whom. What each arm earned so far is added up below from all lists that were looked at.", more: [button("Add …", () => this.#putExperiment())] }, this.#experiments, this.#results));
  }

  open() { this.#load(); }

  read(reading) {
    this.#earned = { reward: {}, lists: {} };
    for (const { gauges } of reading.processes) {
      Object.assign(this.#earned.reward, gauges.shunxi_strategy_reward);
      Object.assign(this.#earned.lists, gauges.shunxi_strategy_lists);
    }
    if (!this.element.hidden && ++this.#turn % EVERY === 0) this.#load();
  }

  #load(asked = false) {
    this.#fill(this.#rates, () => this.#api.get("/v1/feedback", { by: this.#by, n: 50 }), (body) => this.#rated(body), asked);
    this.#fill(this.#strategies, async () => (this.#stored = { ...(await this.#api.get("/v1/strategies")), earned: this.#earned }), (body) => this.#offers(body), asked);
    this.#fill(this.#experiments, () => this.#api.get("/v1/experiments"), (body) => {
      show(this.#results, JSON.stringify(body.experiments), () => body.experiments.map((one) => result(this.#api, one)), { asked });
      return this.#running(body);
    }, asked);
  }

  #rated(body) {
    this.#off.textContent = body.joining === false ? "Feedback is off here: what became of lists is not counted, a bandit learns nothing, and experiments have no result. Set REC_FEEDBACK=true for rec up (or for every rec worker), and start it again." : "";
    return rates(body, this.#by);
  }

  async #fill(element, get, build, asked) {
    try {
      const body = await get();
      show(element, JSON.stringify(body), () => build(body), { asked });
    } catch (error) {
      show(element, error.message, () => empty(error.message), { asked });
    }
  }

  #offers({ strategies, earned }) {
    const names = new Set(strategies.map(({ strategy }) => strategy.name));
    const others = Object.keys(earned.lists ?? {}).filter((name) => !names.has(name)).map((name) => ({ strategy: { name }, own: true }));
    if (!strategies.length && !others.length) return empty("No strategy is stored: every list is made by the installation's own (REC_STRATEGY). Add one to compare it.");
    return table("Strategies", [
      ["Name", ({ strategy: { name } }) => make("code", { text: name })],
      ["Chosen by", ({ bandit, own }) => (own ? badge("the installation's own") : badge(bandit ? "bandit" : "name only", bandit ? "accent" : ""))],
      ["Earned a list", ({ strategy: { name } }) => plain(earned.reward?.[name] ?? null), { number: true }],
      ["Lists, decayed", ({ strategy: { name } }) => (earned.lists?.[name] === undefined ? "–" : whole(earned.lists[name])), { number: true }],
      ["Settings", ({ strategy: { name: _, ...settings } }) => make("code", { text: Object.keys(settings).length ? JSON.stringify(settings) : "as it is by default" }), { wide: true }],
      ["", (offer) => (offer.own ? "" : make("span", { className: "buttons" }, button("Change …", () => this.#putStrategy(offer), { label: `Change ${offer.strategy.name} …` }), button("Drop …", () => this.#dropStrategy(offer.strategy.name), { label: `Drop ${offer.strategy.name} …` })))],
    ], [...strategies, ...others]);
  }

  #running({ experiments }) {
    if (!experiments.length) return empty("No experiment is stored. Store two strategies, then compare them here.");
    const now = Date.now() / 1000;
    return table("Experiments", [
      ["Name", ({ name }) => make("code", { text: name })],
      ["State", ({ running }) => badge(running === false ? "stopped" : "running", running === false ? "" : "good")],
      ["Since", ({ since }) => (since ? when(since, now) : "–")],
      ["Where", ({ placements = [] }) => placements.join(", ") || "everywhere"],
      ["Arms", ({ arms }) => arms.map(({ name, strategy, share }) => `${name}: ${strategy}, ${percent(share, 0)}`).join(" · "), { wide: true }],
      ["", (one) => make("span", { className: "buttons" }, button("Show", () => tell(one.name, json(one)), { label: `Show ${one.name}` }),
        ...(one.running === false ? [] : [button("Stop …", () => this.#stop(one), { label: `Stop ${one.name} …` })]), button("Drop …", () => this.#dropExperiment(one.name), { label: `Drop ${one.name} …` }))],
    ], experiments);
  }

  async #change(title, options) {
    if (await ask(title, options)) this.#load(true);
  }

  #putStrategy({ strategy = {}, bandit = false } = {}) {
    const { name = "", ...settings } = strategy;
    return this.#change(name ? `Change ${name}` : "Add a strategy", {
      fields: [
        ...(name ? [] : [["name", "Name", { required: true, maxlength: 64 }]]),
        ["settings", "Settings, as JSON", { rows: 5, value: JSON.stringify(settings), required: true, help: "Such as {\"temperature\": 0.1, \"diversity\": \"mmr\"}; docs/policy.md has all of them." }],
        ["bandit", "Offer it to the bandit", { type: "checkbox", value: bandit }],
      ],
      confirm: "Store",
      act: async (values) => {
        const called = name || values.name;
        await this.#api.put(at`/v1/strategies/${called}`, { strategy: parsed(values.settings), bandit: values.bandit, why: values.why, ...who(values) });
        say(`${called} is stored; workers have it within two seconds.`);
      },
    });
  }

  #dropStrategy(name) {
    return this.#change(`Drop ${name}`, { confirm: "Drop", danger: true, act: async (values) => {
      await this.#api.drop(at`/v1/strategies/${name}`, { why: values.why, ...who(values) });
      say(`${name} is gone.`);
    } });
  }

  #putExperiment() {
    const [one = "default", other = "other"] = (this.#stored?.strategies ?? []).map(({ strategy }) => strategy.name);
    const example = [{ name: "control", strategy: one, share: 0.5 }, { name: "test", strategy: other, share: 0.5 }];
    return this.#change("Add an experiment", {
      about: "It runs at once. The same shopper always gets the same arm; the first arm is the control.",
      fields: [
        ["name", "Name", { required: true, maxlength: 64 }],
        ["arms", "Arms, as JSON", { rows: 4, required: true, value: JSON.stringify(example), help: "Of stored strategies. To compare with the default, store it first, under any name; {} is greedy." }],
        ["placements", "Placements, by comma", { help: "None: everywhere." }],
      ],
      confirm: "Start",
      act: async (values) => {
        const experiment = { arms: parsed(values.arms), placements: names(values.placements) };
        await this.#api.put(at`/v1/experiments/${values.name}`, { experiment, why: values.why, ...who(values) });
        say(`${values.name} runs.`);
      },
    });
  }

  #stop({ name, ...experiment }) {
    return this.#change(`Stop ${name}`, { about: "Nobody is assigned any more; it stays, so that its result can be read.", confirm: "Stop", act: async (values) => {
      const { since: _, ...kept } = experiment;
      await this.#api.put(at`/v1/experiments/${name}`, { experiment: { ...kept, running: false }, why: values.why, ...who(values) });
      say(`${name} has stopped.`);
    } });
  }

  #dropExperiment(name) {
    return this.#change(`Drop ${name}`, { confirm: "Drop", danger: true, act: async (values) => {
      await this.#api.drop(at`/v1/experiments/${name}`, { why: values.why, ...who(values) });
      say(`${name} is gone.`);
    } });
  }
}

const who = ({ by }) => (by ? { actor: by } : {});
export const names = (text) => text.split(",").map((name) => name.trim()).filter(Boolean);

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`That is no JSON: ${error.message}`);
  }
}

function rates({ rows, joining, lists, level }, by) {
  if (joining === false) return empty("Nothing is counted while feedback is off. With it CTR and CVR grow here as lists are seen.");
  if (!rows.length) return empty("No list was seen yet, as far as anybody has told: clients say which places came into view (view_item_list). A list is counted when its window is over: REC_FEEDBACK_WINDOW_S after its first sign, half an hour unless it is set.");
  const most = (name, trials) => Math.max(0, ...rows.filter((row) => row[trials] > 0).map((row) => row[name].high));
  const top = { ctr: most("ctr", "seen"), cvr: most("cvr", "clicks") };
  const drawn = (name, trials) => (row) => {
    if (row[trials] === 0) return make("span", { className: "soft", text: `no ${trials} yet` }); // the prior alone would say 50 %
    const { value, low, high } = row[name];
    const words = `${percent(value)}, ${Math.round(100 * level)} % interval ${percent(low)} to ${percent(high)}`;
    return make("div", { className: "measured" }, make("b", { text: percent(value) }), interval(row[name], top[name] || 1, words), make("small", { text: `${percent(low)} – ${percent(high)}` }));
  };
  return [make("p", { className: "about", text: `${whole(lists)} lists were counted. Counts decay. A rate is an estimate, so none of a few is not 0 %; bars are ${Math.round(100 * level)} % intervals, each column on one scale from 0 to its largest.` }), table(`CTR and CVR by ${by}`, [
    [by, ({ key }) => make("code", { text: key })],
    ["Seen", ({ seen }) => whole(seen), { number: true }],
    ["Clicks", ({ clicks }) => whole(clicks), { number: true }],
    ["CTR", drawn("ctr", "seen")],
    ["Purchases", ({ purchases }) => whole(purchases), { number: true }],
    ["CVR", drawn("cvr", "clicks")],
  ], rows)];
}
