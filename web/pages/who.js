// Who this page is, for the demo server: a shopper without a login, whose token it hands to this page. A real shop asks
// its own backend, which asks POST /v1/tokens.

export class Who {
  #name; #token = null; #given = null;

  /** `name`: the first part of the shopper's id, and where the browser keeps it. `fresh`: never seen before, at first. */
  constructor(name, { fresh = false } = {}) {
    this.#name = name;
    if (fresh && this.#kept === null) this.#token = this.renew();
  }

  /** What the SDK asks for: {token, expires_in}. */
  async token() {
    const given = this.#token ?? this.#ask({ shopper: this.#kept ?? this.#name });
    this.#token = null; // a token that was made ahead serves once
    this.#given = given;
    return given;
  }

  /** Be somebody new from now on. */
  async renew() {
    const answer = await this.#ask({ shopper: this.#name, fresh: true });
    localStorage.setItem(this.#key, answer.shopper);
    return answer;
  }

  /** A question of this shopper's own; raises an Error with the server's words. */
  async get(path, options = {}) {
    const { token } = await (this.#given ?? this.token());
    return read(await fetch(path, { ...options, headers: { Authorization: `Bearer ${token}` } }));
  }

  async #ask(body) {
    const headers = { "Content-Type": "application/json" };
    return read(await fetch("/demo/token", { method: "POST", headers, body: JSON.stringify(body) }));
  }

  get #key() { return `shunxi.shopper.${this.#name}`; }
  get #kept() { return localStorage.getItem(this.#key); }
}

async function read(response) {
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.error?.message ?? `status ${response.status}`), answer.error);
  return answer;
}
