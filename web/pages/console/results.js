// What came of an experiment: each arm's subjects and what one of them earned, beside the control, with intervals.

import { at } from "./api.js";
import { make } from "./dom.js";
import { badge, button, empty, plain, span, table, whole } from "./parts.js";
import { interval } from "./plot.js";

/** A block for one experiment; it reads all lists that were looked at, so it does so when asked, not every few seconds. */
export function result(api, experiment) {
  const body = make("div", {}, empty("Adding up …"));
  const look = async () => {
    try {
      body.replaceChildren(told(await api.get(at`/v1/experiments/${experiment.name}/result`), experiment));
    } catch (error) {
      body.replaceChildren(empty(error.message));
    }
  };
  look();
  return make("div", { className: "result" }, make("div", { className: "head" }, make("h3", { text: experiment.name }), button("Look again", look, { label: `Look again at ${experiment.name}` })), body);
}

function told({ arms, effects, waiting, otherwise, before, level }, { window_s: within = 86400 }) {
  const beside = new Map(effects.map((effect) => [effect.arm, effect]));
  const rows = Object.entries(arms);
  const most = Math.max(...rows.map(([, arm]) => arm.high ?? arm.mean), 1e-9);
  const left = [otherwise && `${whole(otherwise)} lists that another strategy made than that of their arm`, before && `${whole(before)} lists of before it began`].filter(Boolean);
  return make("div", {}, make("p", { className: "about", text: `A subject counts once, ${span(within)} after their first list: ${whole(waiting)} are still within that time. Intervals are ${plain(100 * level, 4)} % and hold however often they are looked at.${left.length ? ` Left out: ${left.join(", ")}.` : ""}` }),
    table("Result", [
      ["Arm", ([name]) => make("code", { text: name })],
      ["Exposed", ([, { exposed }]) => whole(exposed), { number: true }],
      ["Counted", ([, { subjects }]) => whole(subjects), { number: true }],
      ["A subject earned", ([, arm]) => measured(arm, most, level)],
      ["Beside the control", ([name]) => (beside.has(name) ? difference(beside.get(name)) : "is the control"), { wide: true }],
      ["Conclusion", ([name]) => (beside.has(name) ? conclusion(beside.get(name)) : badge("control")), { wide: true }],
    ], rows));
}

function measured({ mean, low, high, subjects }, most, level) {
  if (!subjects) return "–";
  if (low === null) return make("span", {}, make("b", { text: plain(mean) }), make("small", { text: " too few for an interval" }));
  const words = `${plain(mean)}, ${plain(100 * level, 4)} % interval ${plain(low)} to ${plain(high)}`;
  return make("div", { className: "measured" }, make("b", { text: plain(mean) }), interval({ value: mean, low: Math.max(0, low), high }, most, words), make("small", { text: `${plain(low)} – ${plain(high)}` }));
}

const signed = (value) => (value > 0 ? `+${plain(value)}` : plain(value));
const difference = ({ value, low, high }) => (low === null ? signed(value) : `${signed(value)} (${signed(low)} to ${signed(high)})`);
const conclusion = ({ verdict, low, high }) => make("span", {}, badge(low === null ? "too early" : low > 0 ? "better" : high < 0 ? "worse" : "open", low === null ? "" : low > 0 ? "good" : high < 0 ? "warn" : ""), ` ${verdict.replace(/^too early: /, "")}`);
