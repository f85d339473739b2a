// What goes on: tiles, plots of the last minutes, and the processes that make the figures.

import { make } from "./dom.js";
import { counted, gauge, id, largest, quantile, total } from "./figures.js";
import { badge, empty, many, plain, rate, section, show, span, table, whole } from "./parts.js";
import { Plot, spark } from "./plot.js";

const RATE_S = 10;
const QUANTILE_S = 60;
const SILENT_S = 6;
const [INGESTED, TO_PUSH, PUSH] = ["shunxi_events_ingested", "shunxi_event_to_push_seconds", "shunxi_push_seconds"];

export class Overview {
  #readings; #tiles = new Map(); #sparks = new Map(); #processes; #plots;
  element = make("div", { className: "grid-of-parts" });

  constructor({ readings }) {
    this.#readings = readings;
    const tiles = make("div", { className: "tiles" }, ...[
      ["events", "Events a second"], ["list", "Event → list"], ["screen", "List → screen"], ["connections", "Connections"],
      ["lag", "Events waiting"], ["model", "Model"], ["loss", "Training loss"], ["dead", "Dead letters"],
    ].map(([name, title]) => this.#tile(name, title)));
    this.#plots = {
      events: new Plot("Events a second", [["taken", "accepted"], ["folded", "folded by workers"], ["refused", "refused"]],
        { unit: rate, none: "No event has come since this page was opened. Send one: rec track view_item --user u1 --item …" }),
      list: new Plot("Event → list, over the last minute", [["p50", "p50"], ["p95", "p95"], ["p99", "p99"]],
        { unit: span, none: "No list was made because of an event while this page is open. Somebody has to be connected, and do something." }),
      slates: new Plot("Lists made a second, by cause", [["event", "event"], ["request", "request"], ["model", "model"], ["catalog", "catalog"], ["rule", "rule"]],
        { unit: rate, none: "No list was made while this page is open. Somebody has to be connected." }),
      waiting: new Plot("Waiting", [["behind", "events not folded"], ["archive", "events not archived"], ["refresh", "users without their new list"]],
        { unit: (value) => plain(value), none: "No worker and no archiver has said how far it is." }),
    };
    this.#processes = make("div", {}, empty("No process has told anything yet. Workers, archiver, trainer and web tell every two seconds, through Redis."));
    this.element.append(make("h1", { className: "unseen", text: "Overview" }), tiles,
      make("div", { className: "plots" }, ...Object.values(this.#plots).map(({ element }) => element)),
      section("Processes", { about: "Each tells its own figures every two seconds. Rates are those of the last ten seconds, quantiles of the last minute." }, this.#processes));
  }

  open() {}

  #tile(name, title) {
    const [value, note, line] = [make("p", { className: "value", text: "–" }), make("p", { className: "note" }), make("div", { className: "spark-box" })];
    this.#tiles.set(name, { value, note, line });
    this.#sparks.set(name, []);
    return make("article", { className: "tile", "data-tile": name }, make("h2", { text: title }), value, note, line);
  }

  #set(name, value, note = "", drawn = undefined) {
    const tile = this.#tiles.get(name);
    if (tile.value.textContent !== value) tile.value.textContent = value;
    if (tile.note.textContent !== note) tile.note.textContent = note;
    if (drawn === undefined) return;
    const kept = this.#sparks.get(name);
    kept.push(drawn);
    if (kept.length > 90) kept.shift();
    tile.line.replaceChildren(spark(kept));
  }

  read(reading) {
    const recent = this.#readings.over(RATE_S);
    const minute = this.#readings.over(QUANTILE_S);
    this.#counts(reading, recent);
    this.#times(reading, minute);
    this.#state(reading);
    show(this.#processes, JSON.stringify([reading.processes, Math.round(reading.at)]), () => processes(reading, minute));
  }

  #counts(reading, recent) {
    const now = recent && {
      taken: total(recent.rates[INGESTED]), refused: total(recent.rates.shunxi_events_rejected), folded: total(recent.rates.shunxi_events_folded),
    };
    const sum = total(counted(reading, INGESTED));
    this.#set("events", now ? rate(now.taken) : "–", `${whole(sum)} since these processes began`, now ? now.taken : null);
    if (!now) return;
    this.#plots.events.add({ at: reading.at, ...now });
    const causes = recent.rates.shunxi_slates ?? {};
    this.#plots.slates.add({ at: reading.at, ...Object.fromEntries(["event", "request", "model", "catalog", "rule"].map((cause) => [cause, causes[cause] ?? (Object.keys(causes).length ? 0 : null)])) });
  }

  #times(reading, minute) {
    const of = (metric) => Object.fromEntries([["p50", 0.5], ["p95", 0.95], ["p99", 0.99]].map(([name, q]) => [name, minute ? quantile(q, minute.buckets[metric]) : null]));
    const [list, screen] = [of(TO_PUSH), of(PUSH)];
    const words = ({ p50, p99 }) => (p50 === null ? "nothing in the last minute" : `p50 ${span(p50)} · p99 ${span(p99)}`);
    this.#set("list", list.p95 === null ? "–" : `p95 ${span(list.p95)}`, words(list), list.p95);
    this.#set("screen", screen.p95 === null ? "–" : `p95 ${span(screen.p95)}`, words(screen), screen.p95);
    this.#plots.list.add({ at: reading.at, ...list });
  }

  #state(reading) {
    const connections = gauge(reading, "shunxi_push_connections");
    const online = gauge(reading, "shunxi_users_online", largest);
    this.#set("connections", connections === null ? "–" : whole(connections), online === null ? "" : `${many(online, "user")} online`, connections);
    const [behind, archive, refresh] = ["shunxi_behavior_lag_records", "shunxi_archive_lag_records", "shunxi_refresh_waiting"].map((metric) => gauge(reading, metric));
    this.#set("lag", behind === null ? "–" : whole(behind), archive === null ? "no archiver tells" : `${whole(archive)} not archived`, behind);
    this.#plots.waiting.add({ at: reading.at, behind, archive, refresh });
    const { model } = reading;
    this.#set("model", model ? model.version : "gate-0", model ? `learned through ${ago(model.learned_through, reading.at)}${model.pinned ? " · pinned" : ""}` : "never trained; it serves until a version is promoted");
    const [loss, late, share] = ["shunxi_train_loss_nats", "shunxi_learned_behind_seconds", "shunxi_train_share"].map((metric) => gauge(reading, metric));
    this.#set("loss", loss ? `${loss.toFixed(3)} nats` : "–", loss === null ? "no trainer tells" : `${late ? `learned ${span(late)} ago` : "nothing learned yet"}${share !== null && share > 0 && share < 1 ? ` · ${Math.round(100 * share)} % of examples` : ""}`, loss || null);
    const dead = counted(reading, "shunxi_dead_letters");
    const reasons = Object.entries(dead).filter(([, count]) => count).map(([reason, count]) => `${reason} ${whole(count)}`);
    this.#set("dead", whole(total(dead)), reasons.join(" · ") || "none since these workers began");
  }
}

const ago = (at, now) => (at ? `${span(Math.max(0, now - Date.parse(at) / 1000))} ago` : "nothing yet");

function processes({ processes: all, at: now }, minute) {
  if (!all.length) return empty("No process has told anything within the last 15 s. Redis may be away, or nothing runs.");
  return table("Processes", [
    ["Role", ({ role }) => role],
    ["Name", ({ name }) => make("code", { text: name })],
    ["State", (process) => state(process, now)],
    ["Runs for", ({ began, at }) => span(at - began), { number: true }],
    ["Version", ({ version }) => version],
    ["What it has", (process) => has(process, minute?.own[id(process)] ?? {}), { wide: true }],
  ], all);
}

function state({ role, state: said, at }, now) {
  if (now - at > SILENT_S) return badge(`silent for ${span(now - at)}`, "warn");
  if (role === "worker") return badge(said ?? "not said", said === "ready" ? "good" : "warn");
  return badge("running", "good");
}

/** `recent`: its own buckets of the last minute. */
function has({ role, gauges: g }, recent) {
  const one = (metric) => total(g[metric] ?? {});
  if (role === "worker") return `${many(one("shunxi_state_users"), "user")} · ${many(one("shunxi_search_indexed_items"), "item")} indexed · ${many(one("shunxi_behavior_lag_records"), "event")} waiting`;
  if (role === "web") return `${many(one("shunxi_push_connections"), "connection")} · event loop held up, p99 ${span(quantile(0.99, recent.shunxi_loop_gap_seconds))}`;
  if (role === "archiver") return `${many(one("shunxi_archive_lag_records"), "event")} not archived`;
  const [loss, late] = [one("shunxi_train_loss_nats"), one("shunxi_learned_behind_seconds")];
  return late ? `${plain(loss)} nats · learned ${span(late)} ago` : "nothing learned yet";
}
