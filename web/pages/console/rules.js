// The shop's rules, what waits for a person, and who changed what.

import { at } from "./api.js";
import { make } from "./dom.js";
import { names } from "./lists.js";
import { ask, badge, button, empty, json, say, section, show, table, tell, when } from "./parts.js";

const EFFECTS = ["boost", "bury", "pin", "exclude"];
const LANGUAGE = "Such as category = \"Camping\" and price < 200, or title contains \"sale\". docs/policy.md has the language.";

export class Rules {
  #api; #rules = make("div"); #queue = make("div"); #trail = make("div"); #filter; #entries = []; #stored = [];
  element = make("div");

  constructor({ api }) {
    this.#api = api;
    this.#filter = make("input", { type: "search", id: "trail-find", placeholder: "Filter", autocomplete: "off", on: { input: () => this.#showTrail() } });
    this.element.append(make("h1", { className: "unseen", text: "Rules" }),
      section("Rules", { about: "A change is on every open screen within two seconds.", more: [button("Add a rule …", () => this.#edit(), { kind: "main" }), button("Refresh", () => this.#load(true))] }, this.#rules),
      section("Waiting for a person", { about: "Changes of rules, where REC_RULES_NEED_REVIEW is set, and items that came flagged." }, this.#queue),
      section("Audit trail", { about: "Everything that was changed, by the API and by commands, newest first.", more: [make("label", { className: "unseen", for: "trail-find", text: "Filter the audit trail" }), this.#filter] }, this.#trail));
  }

  open() { this.#load(); }

  read() {
    if (this.#stored.length) this.#showRules(); // one may have begun or ended
  }

  async #load(asked = false) {
    try {
      const [{ rules }, reviews, { entries }] = await Promise.all([this.#api.get("/v1/rules"), this.#api.get("/v1/reviews"), this.#api.get("/v1/audit", { n: 200 })]);
      this.#entries = entries;
      this.#stored = rules;
      this.#showRules(asked);
      show(this.#queue, JSON.stringify(reviews), () => this.#reviews(reviews), { asked });
      this.#showTrail(asked);
    } catch (error) {
      for (const element of [this.#rules, this.#queue, this.#trail]) show(element, error.message, () => empty(error.message), { asked });
    }
  }

  #showRules(asked = false) {
    const rules = this.#stored;
    show(this.#rules, JSON.stringify([rules, rules.map(standing)]), () => this.#table(rules), { asked });
  }

  #table(rules) {
    if (!rules.length) return empty("There is no rule: lists are made by the model and the strategy alone. Add one to boost, bury, pin or exclude what a condition means.");
    return table("Rules", [
      ["Rule", ({ rule_id: id }) => make("code", { text: id })],
      ["Effect", (row) => effect(row.rule ?? row.proposal.rule)],
      ["Condition", (row) => make("code", { text: (row.rule ?? row.proposal.rule).condition }), { wide: true }],
      ["Where", (row) => (row.rule ?? row.proposal.rule).placements?.join(", ") || "everywhere"],
      ["State", (row) => state(row)],
      ["", (row) => make("span", { className: "buttons" }, button("Change …", () => this.#edit(row.rule ?? row.proposal.rule), { label: `Change ${row.rule_id} …` }),
        button("End …", () => this.#end(row.rule_id), { label: `End ${row.rule_id} …` }))],
    ], rules);
  }

  #reviews({ rules, items }) {
    if (!rules.length && !items.length) return empty("Nothing waits.");
    const rows = [
      ...rules.map(({ rule_id: id, rule, proposal }) => ({ kind: "rule", id, what: proposal.rule ? (rule ? "change the rule" : "add the rule") : "end the rule", by: proposal.by, why: proposal.why, all: { now: rule, proposal } })),
      ...items.map((item) => ({ kind: "item", id: item.item_id, what: "show the flagged item", by: "", why: item.title, all: item })),
    ];
    return table("What waits for a review", [
      ["What", ({ what }) => what],
      ["Of", ({ id }) => make("code", { text: id })],
      ["By", ({ by }) => by || "–"],
      ["Why", ({ why }) => why, { wide: true }],
      ["", (row) => make("span", { className: "buttons" }, button("Show", () => tell(row.id, json(row.all)), { label: `Show ${row.id}` }),
        button("Approve …", () => this.#decide(row, "approve"), { label: `Approve ${row.id} …` }), button("Reject …", () => this.#decide(row, "reject"), { label: `Reject ${row.id} …` }))],
    ], rows);
  }

  #showTrail(asked = false) {
    const wanted = this.#filter.value.trim().toLowerCase();
    const found = this.#entries.filter((entry) => JSON.stringify(entry).toLowerCase().includes(wanted));
    const none = this.#entries.length ? "No entry has that in it." : "Nothing was changed yet. Whatever the API, the console or a command changes is written down here, with the reason.";
    const now = Date.now() / 1000;
    show(this.#trail, JSON.stringify(found), () => (found.length ? table("Audit trail", [
      ["When", ({ at: then }) => when(then, now)],
      ["Who", ({ actor }) => actor],
      ["What", ({ action }) => action],
      ["Of", ({ target }) => make("code", { text: target })],
      ["Why", ({ detail }) => detail.why ?? detail.note ?? "", { wide: true }],
      ["", (entry) => button("Show", () => tell(`${entry.action}: ${entry.target}`, json(entry.detail)), { label: `Show ${entry.action} ${entry.target}` })],
    ], found, { tall: true }) : empty(none)), { asked });
  }

  async #change(title, options) {
    if (await ask(title, options)) this.#load(true);
  }

  #edit(rule) {
    const local = (at) => (at ? new Date(Date.parse(at) - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 16) : "");
    return this.#change(rule ? `Change ${rule.rule_id}` : "Add a rule", {
      fields: [
        ...(rule ? [] : [["rule_id", "Name", { required: true, maxlength: 64, help: "Letters, digits, dots, hyphens." }]]),
        ["effect", "Effect", { options: EFFECTS, value: rule?.effect ?? "boost" }],
        ["condition", "Condition", { rows: 2, required: true, value: rule?.condition ?? "", help: LANGUAGE }],
        ["strength", "Factor or place", { type: "number", value: rule?.factor ?? rule?.place ?? "", min: 0, step: "any", help: "Of boost and bury the factor (4 if empty), of a pin the place from 0." }],
        ["placements", "Placements, by comma", { value: rule?.placements?.join(", ") ?? "", help: "None: everywhere." }],
        ["priority", "Priority", { type: "number", value: rule?.priority ?? 0, step: 1, help: "The larger one comes first." }],
        ["starts_at", "Starts", { type: "datetime-local", value: local(rule?.starts_at) }],
        ["ends_at", "Ends", { type: "datetime-local", value: local(rule?.ends_at) }],
        ["enabled", "Enabled", { type: "checkbox", value: rule?.enabled ?? true }],
        ["note", "Note", { value: rule?.note ?? "", maxlength: 500 }],
      ],
      confirm: rule ? "Change" : "Add",
      act: async (values) => {
        const id = rule?.rule_id ?? values.rule_id;
        const after = await this.#api.put(at`/v1/rules/${id}`, { rule: asRule(values), why: values.why, by: values.by });
        say(after.proposal ? `${id} waits for a review.` : `${id} holds; open screens follow within two seconds.`);
      },
    });
  }

  #end(id) {
    return this.#change(`End ${id}`, { about: "It holds no longer, within two seconds.", confirm: "End the rule", danger: true, act: async ({ why, by }) => {
      const { deleted } = await this.#api.drop(at`/v1/rules/${id}`, { why, by });
      say(deleted ? `${id} is gone.` : `The end of ${id} waits for a review.`);
    } });
  }

  #decide({ kind, id, what }, decision) {
    const verb = decision === "approve" ? "Approve" : "Reject";
    return this.#change(`${verb}: ${what} ${id}`, { confirm: verb, danger: decision === "reject", act: async ({ why, by }) => {
      await this.#api.post(at`/v1/reviews/${kind}/${id}`, { decision, why, by });
      say(`${id}: ${decision === "approve" ? "approved" : "rejected"}.`);
    } });
  }
}

function asRule({ effect: chosen, condition, strength, placements, priority, starts_at: starts, ends_at: ends, enabled, note }) {
  const instant = (text) => (text ? { at: new Date(text).toISOString() } : {}).at;
  const number = strength === "" ? undefined : Number(strength);
  return {
    effect: chosen, condition, placements: names(placements), priority: Number(priority || 0), enabled, note,
    factor: chosen === "boost" || chosen === "bury" ? number : undefined,
    place: chosen === "pin" ? number : undefined,
    starts_at: instant(starts), ends_at: instant(ends),
  };
}

function effect(rule) {
  const more = rule.effect === "pin" ? ` at place ${rule.place ?? 0}` : rule.effect === "exclude" ? "" : ` × ${rule.factor ?? 4}`;
  return badge(`${rule.effect}${more}`, { boost: "good", pin: "accent", exclude: "warn", bury: "" }[rule.effect]);
}

/** Whether a rule holds now; "" where it is a proposal yet. */
function standing({ rule }) {
  if (!rule) return "";
  const now = Date.now();
  if (rule.enabled === false) return "off";
  if (rule.starts_at && Date.parse(rule.starts_at) > now) return `from ${new Date(rule.starts_at).toLocaleString()}`;
  return rule.ends_at && Date.parse(rule.ends_at) <= now ? "over" : "holds";
}

function state(row) {
  const { rule, proposal } = row;
  const [words, now] = [make("span"), standing(row)];
  if (rule) words.append(badge(now, now === "holds" ? "good" : ""));
  if (proposal) words.append(" ", badge(rule ? (proposal.rule ? "change waits" : "end waits") : "waits for a review", "warn"));
  return words;
}
