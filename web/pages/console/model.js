// Which version serves, what the trainer decides, and a person's choice.

import { make } from "./dom.js";
import { counted, gauge, total } from "./figures.js";
import { ask, badge, button, empty, facts, plain, rate, say, section, show, span, table, when, whole } from "./parts.js";
import { Plot } from "./plot.js";

const EVERY = 5; // readings
const NEWEST = 10; // versions at first; a busy trainer records one every few seconds
const MOST = 200;
const STATES = { live: "good", past: "", held: "", rolled_back: "warn", withdrawn: "warn" };

export class Model {
  #api; #readings; #live = make("div"); #trainer = make("div"); #versions = make("div", {}, empty("Reading the versions …"));
  #loss; #speed; #open = false; #turn = 0; #serves; #pinned = null; #wanted = NEWEST; #more = button("Show more", () => this.#showMore());
  element = make("div");

  constructor({ api, readings }) {
    this.#api = api;
    this.#readings = readings;
    this.#loss = new Plot("Training loss, nats", [["loss", "last step"]], { unit: (value) => plain(value), none: "No trainer tells a loss yet. It begins with the first batch of examples: rec trainer has to run, and somebody has to do something." });
    this.#speed = new Plot("Examples learned a second", [["learned", "learned"]], { unit: rate, none: "No trainer has told anything while this page is open." });
    this.element.append(make("h1", { className: "unseen", text: "Model" }),
      make("div", { className: "pair" },
        section("Serves now", { more: [button("Roll back …", () => this.#rollBack()), button("Let the trainer choose …", () => this.#letGo())] }, this.#live),
        section("Trainer", {}, this.#trainer)),
      make("div", { className: "plots" }, this.#loss.element, this.#speed.element),
      section("Versions", { about: "Newest first. Scores were measured before a version learned from what they measure; in brackets those of the version that served at the time. A row that tells of a hold has no weights of its own." }, this.#versions, this.#more));
    this.#more.hidden = true;
  }

  open() {
    this.#open = true;
    this.#load();
  }

  read(reading) {
    const recent = this.#readings.over(10);
    const loss = gauge(reading, "shunxi_train_loss_nats");
    this.#loss.add({ at: reading.at, loss: loss || null });
    this.#speed.add({ at: reading.at, learned: recent && "shunxi_examples_learned" in recent.rates ? total(recent.rates.shunxi_examples_learned) : null });
    this.#pinned = reading.pinned;
    show(this.#live, JSON.stringify([reading.model, reading.pinned]), () => live(reading));
    show(this.#trainer, JSON.stringify(reading.processes.filter(({ role }) => role === "trainer")), () => trainer(reading));
    const other = reading.model?.version !== this.#serves; // the table must not name another one live
    this.#serves = reading.model?.version;
    if (this.#open && !this.element.hidden && (++this.#turn % EVERY === 0 || other)) this.#load();
  }

  async #load(asked = false) {
    let body;
    try {
      body = await this.#api.get("/v1/models", { n: Math.min(MOST, this.#wanted + 1) });
    } catch (error) {
      return show(this.#versions, error.message, () => empty(error.message), { asked });
    }
    const now = Date.now() / 1000;
    const versions = body.versions.slice(0, this.#wanted);
    this.#more.hidden = body.versions.length <= this.#wanted;
    show(this.#versions, JSON.stringify(versions), () => this.#table(versions, now), { asked });
  }

  #showMore() {
    this.#wanted = Math.min(MOST, this.#wanted + 5 * NEWEST);
    return this.#load(true);
  }

  #table(versions, now) {
    if (!versions.length) return empty("No version was recorded yet. The trainer records one as soon as it has learned something and judged it (REC_TRAIN_JUDGE_S).");
    return table("Versions of the model", [
      ["State", ({ state, pinned, withdrawn }) => make("span", {}, badge(state.replace("_", " "), STATES[state]), ...(pinned ? [" ", badge("pinned", "accent")] : []), ...(withdrawn && state === "live" ? [" ", badge("withdrawn", "warn")] : []))],
      ["Version", ({ version }) => make("code", { text: version })],
      ["Made", ({ created_at: at }) => when(at, now)],
      ["nll", ({ metrics }) => score(metrics, "nll"), { number: true }],
      ["hr@10", ({ metrics }) => score(metrics, "hr@10"), { number: true }],
      ["Learned", ({ metrics }) => (metrics.learned ? whole(metrics.learned) : "–"), { number: true }],
      ["Why", ({ note }) => note, { wide: true }],
      ["", (row) => (row.has_weights && row.state !== "live" && !row.withdrawn ? button("Promote …", () => this.#promote(row), { label: `Promote ${row.version} …` }) : "")],
    ], versions);
  }

  async #choose(title, about, confirm, body) {
    const done = await ask(title, { about, confirm, act: async ({ why, by }) => {
      const { version } = await this.#api.post("/v1/models", { ...body, why, by });
      say(version ? `${version} serves, and is pinned.` : "Nothing is pinned: the trainer chooses.");
    } });
    if (done) this.#load(true);
  }

  #promote({ version }) {
    return this.#choose(`Promote ${version}`, "Its weights are read first. It serves within seconds and is pinned: nothing else goes live by itself until you let go.", "Promote and pin", { decision: "promote", version });
  }

  #rollBack() {
    return this.#choose("Roll back", "The newest earlier version that has served comes back, and is pinned.", "Roll back and pin", { decision: "roll_back" });
  }

  #letGo() {
    return this.#choose("Let the trainer choose", this.#pinned ? `${this.#pinned} is pinned now. Afterwards the trainer promotes again by itself.` : "Nothing is pinned now; the trainer chooses already.", "Let go", { decision: "automatic" });
  }
}

function live({ model, pinned, at }) {
  if (!model) return empty(`The gate that nobody has trained serves (gate-0).${pinned ? ` ${pinned} is pinned.` : ""} The first version goes live when it is no worse.`);
  return facts([
    ["Version", make("span", {}, make("code", { text: model.version }), ...(model.pinned ? [" ", badge("pinned", "accent")] : []))],
    ["Made", when(model.created_at, at)],
    ["Learned through", model.learned_through ? when(model.learned_through, at) : "nothing yet"],
    ["Examples learned", model.metrics.learned ? whole(model.metrics.learned) : null],
    ["nll", score(model.metrics, "nll")],
    ["hr@10", score(model.metrics, "hr@10")],
    ["Instead of", model.parent],
    ["Why", model.note],
  ]);
}

function trainer(reading) {
  const found = reading.processes.find(({ role }) => role === "trainer");
  if (!found) return empty("No trainer tells anything. Start one: rec trainer. What serves stays as it is without it.");
  const verdicts = counted(reading, "shunxi_model_verdicts");
  const one = (metric) => gauge(reading, metric);
  return facts([
    ["Process", make("code", { text: found.name })],
    ["Decisions", `${whole(verdicts.promote ?? 0)} promoted · ${whole(verdicts.hold ?? 0)} held · ${whole(verdicts.roll_back ?? 0)} rolled back`],
    ["Since", when(found.began, reading.at)],
    ["Learned", `${whole(total(counted(reading, "shunxi_examples_learned")))} examples`],
    ["Newest event learned from", one("shunxi_learned_behind_seconds") ? `${span(one("shunxi_learned_behind_seconds"))} ago` : "none yet"],
    ["Share of the examples", one("shunxi_train_share") ? `${Math.round(100 * one("shunxi_train_share"))} %` : "–"],
    ["Loss of the last step", one("shunxi_train_loss_nats") ? `${one("shunxi_train_loss_nats").toFixed(4)} nats` : "–"],
    ["Children that died", whole(total(counted(reading, "shunxi_trainer_child_restarts")))],
  ]);
}

function score(metrics, name) {
  if (!(name in metrics)) return "–";
  const before = metrics[`live_${name}`];
  return `${metrics[name].toFixed(4)}${before === undefined ? "" : ` (${before.toFixed(4)})`}`;
}
