// Questions to the server, with the key of this tab. The key is in sessionStorage and in a header, nowhere else.

const KEPT = "shunxi.console.key";

/** What the server answered instead; `status` 0: nothing came. */
export class Refused extends Error {
  constructor(message, status, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export class Api {
  #key = sessionStorage.getItem(KEPT) ?? "";
  /** Called when the server does not take the key any more. */
  refused = () => {};

  get known() { return this.#key !== ""; }

  use(key) {
    this.#key = key;
    sessionStorage.setItem(KEPT, key);
  }

  forget() {
    this.#key = "";
    sessionStorage.removeItem(KEPT);
  }

  get(path, query = {}) { return this.#ask("GET", path, query); }
  put(path, body) { return this.#ask("PUT", path, {}, body); }
  post(path, body) { return this.#ask("POST", path, {}, body); }
  drop(path, query) { return this.#ask("DELETE", path, query); }

  async #ask(method, path, query, body) {
    const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined && value !== ""));
    const headers = { Authorization: `Bearer ${this.#key}`, ...(body ? { "Content-Type": "application/json" } : {}) };
    let response;
    try {
      response = await fetch(asked.size ? `${path}?${asked}` : path, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
    } catch {
      throw new Refused("The server does not answer. Is rec web running?", 0, "away");
    }
    const told = await response.json().catch(() => ({}));
    if (response.ok || path === "/health/ready") return told;
    const { message = `The server answered ${response.status}.`, code = "" } = told.error ?? {};
    if (response.status === 401 || (response.status === 403 && code === "forbidden")) this.refused(message);
    throw new Refused(message, response.status, code);
  }
}

/** A path with parts that may hold anything: at`/v1/rules/${id}`. */
export function at(strings, ...parts) {
  return strings.reduce((path, text, index) => path + encodeURIComponent(parts[index - 1]) + text);
}
