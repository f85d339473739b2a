// What every part of the console is made of: sections, tables, badges, times, questions to whoever uses it.

import { make } from "./dom.js";

/** A heading with what belongs to it; `more` goes beside the heading. */
export function section(title, { about, more = [], className = "" } = {}, ...children) {
  const head = make("div", { className: "head" }, make("h2", { text: title }), ...more);
  return make("section", { className: `part ${className}` }, head, ...(about ? [make("p", { className: "about", text: about })] : []), ...children);
}

export const empty = (text) => make("p", { className: "empty", text });
export const badge = (text, kind = "") => make("span", { className: `badge ${kind}`, text });
export const code = (text) => make("code", { text });
export const button = (text, act, { label, kind = "plain" } = {}) =>
  make("button", { type: "button", className: kind, text, "aria-label": label, on: { click: act } });

/** A table that scrolls by itself where it is wide, and is one block a row on a phone: the roles say that it is a table still. Columns: [title, cell(row) → text or element, {number, wide}]. */
export function table(caption, columns, rows, { tall } = {}) {
  const cell = (tag, content, { number, wide, acts } = {}, more = {}) => {
    const element = make(tag, { className: [number && "number", wide && "wide", acts && "to-do"].filter(Boolean).join(" "), ...more });
    element.append(content instanceof Node ? content : String(content ?? ""));
    return element;
  };
  return make("div", { className: tall ? "scroll tall" : "scroll", tabindex: "0", role: "region", "aria-label": caption }, make("table", { role: "table" },
    make("caption", { className: "unseen", text: caption }),
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...columns.map(([title, , kind = title ? {} : { acts: true }]) =>
      title ? cell("th", title, kind, { scope: "col", role: "columnheader" }) : cell("th", make("span", { className: "unseen", text: "Actions" }), kind, { scope: "col", role: "columnheader" })))),
    make("tbody", { role: "rowgroup" }, ...rows.map((row) => make("tr", { role: "row" }, ...columns.map(([title, of, kind = title ? {} : { acts: true }]) => cell("td", of(row), kind, { role: "cell", "data-label": title || null })))))));
}

/** [[name, text or element]] as a list of terms. */
export function facts(pairs) {
  return make("dl", { className: "facts" }, ...pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").flatMap(([name, value]) => {
    const told = make("dd");
    told.append(value instanceof Node ? value : String(value));
    return [make("dt", { text: name }), told];
  }));
}

/** Replace what an element shows, unless it shows just that; not under somebody's hands, unless they asked for it. */
export function show(element, key, build, { asked = false } = {}) {
  const held = element.contains(document.activeElement);
  if (element.dataset.key === key || (held && !asked && element.dataset.key)) return;
  element.dataset.key = key;
  element.replaceChildren(...[build()].flat());
  if (held) {
    element.tabIndex = -1;
    element.focus({ preventScroll: true });
  }
}

// ---------------------------------------------------------------- words
export const whole = (value) => Math.round(value).toLocaleString("en");
export const many = (count, one, more = `${one}s`) => `${whole(count)} ${count === 1 ? one : more}`;
export const plain = (value, digits = 3) => (value === null || value === undefined ? "–" : Number(value.toPrecision(digits)).toLocaleString("en", { maximumFractionDigits: 6 }));
export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;

export function rate(value) {
  if (value === null || value === undefined) return "–";
  return value >= 100 ? whole(value) : String(Number(value.toFixed(value >= 10 ? 1 : 2)));
}

/** Seconds as a person says them: 4.2 ms, 1.3 s, 5 min. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${plain(seconds * 1000, seconds < 0.01 ? 2 : 3)} ms`;
  if (seconds < 120) return `${seconds < 10 ? Number(seconds.toFixed(1)) : Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

export function bytes(count) {
  return count < 1024 ? `${count} B` : `${(count / 1024).toFixed(1)} KiB`;
}

/** An instant as a time, with the whole of it for whoever points at it. `now`: seconds since 1970. */
export function when(at, now) {
  const date = typeof at === "number" ? new Date(at * 1000) : new Date(at);
  return make("time", { datetime: date.toISOString(), title: date.toLocaleString(), text: age(date, now) });
}

const age = (date, now) => `${span(Math.max(0, now - date.getTime() / 1000))} ago`;

/** Say anew how long ago every instant inside an element is. `now`: seconds since 1970. */
export function retell(element, now) {
  for (const time of element.querySelectorAll("time")) {
    const text = age(new Date(time.dateTime), now);
    if (time.textContent !== text) time.textContent = text;
  }
}

// ---------------------------------------------------------------- questions
let toasting;

/** Say that something is done. */
export function say(words) {
  const toast = document.getElementById("toast");
  toast.textContent = words;
  toast.classList.add("up");
  clearTimeout(toasting);
  toasting = setTimeout(() => toast.classList.remove("up"), 6_000);
}

/** Ask in a dialog, and act: `fields` are [name, label, {type, value, options, help, required, rows}], `act(values)` may
 * refuse, which is said in the dialog. Every change says why, and who. Resolves to whether it was done. */
export function ask(title, { about, fields = [], confirm, danger = false, act }) {
  const asked = [...fields, ["why", "Why", { required: true, help: "Goes into the audit trail.", maxlength: 500 }],
    ["by", "Who you are", { value: sessionStorage.getItem("shunxi.console.by") ?? "", help: "Goes into the audit trail beside “api key”.", maxlength: 100 }]];
  const inputs = asked.map(([name, label, options = {}]) => [name, field(name, label, options)]);
  const wrong = make("p", { className: "wrong", role: "alert" });
  const go = make("button", { className: danger ? "danger" : "main", text: confirm });
  const form = make("form", { method: "dialog" }, make("h2", { text: title, id: "ask-title" }),
    ...(about ? [make("p", { className: "about", text: about })] : []),
    make("div", { className: "fields" }, ...inputs.map(([, { row }]) => row)), wrong,
    make("p", { className: "acts" }, button("Cancel", () => dialog.close()), go));
  const dialog = make("dialog", { "aria-labelledby": "ask-title" }, form);
  return new Promise((resolve) => {
    let done = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const values = Object.fromEntries(inputs.map(([name, { input }]) => [name, input.type === "checkbox" ? input.checked : input.value.trim()]));
      sessionStorage.setItem("shunxi.console.by", values.by);
      go.disabled = true;
      wrong.textContent = "";
      try {
        await act(values);
        done = true;
        dialog.close();
      } catch (error) {
        wrong.textContent = error.message;
        wrong.scrollIntoView({ block: "nearest" }); // a long form ends below the window
      }
      go.disabled = false;
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(done);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

function field(name, label, { type = "text", value = "", options, help, required, rows, maxlength, ...more }) {
  const common = { id: `ask-${name}`, name, "aria-describedby": help ? `ask-${name}-help` : null, required: required ? "" : null, maxlength, ...more };
  let input;
  if (options) {
    input = make("select", common, ...options.map((option) => make("option", { value: option, text: option })));
  } else if (rows) input = make("textarea", { ...common, rows, spellcheck: "false" });
  else input = make("input", { ...common, type, autocomplete: "off" });
  if (type === "checkbox") input.checked = Boolean(value);
  else if (value !== "") input.value = value;
  const row = make("div", { className: `field ${type}` }, make("label", { for: common.id, text: label }), input,
    ...(help ? [make("p", { className: "help", id: `ask-${name}-help`, text: help })] : []));
  return { row, input };
}

/** What is shown in a dialog, to be read. */
export function tell(title, ...children) {
  const dialog = make("dialog", { "aria-labelledby": "tell-title", className: "read" }, make("div", { className: "head" },
    make("h2", { text: title, id: "tell-title" }), button("Close", () => dialog.close())), ...children);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** JSON as text that a person reads. */
export const json = (value) => make("pre", { className: "raw", tabindex: "0", text: JSON.stringify(value, null, 2) });
