// Who this page is, for the demo server: a shopper without a login, whose token it hands to this page. A real shop asks
// its own backend, which asks POST /v1/tokens.

import { ask } from "./ask.js";

export class Who {
  #name; #fresh; #mine = null; #renewing = null; #given = null;

  /** `name`: the first part of the shopper's id, and where the browser keeps it. `fresh`: never seen before, at first. */
  constructor(name, { fresh = false } = {}) {
    this.#name = name;
    this.#fresh = fresh;
  }

  /** What the SDK asks for: {token, expires_in}. Who asks while somebody new is being made gets their token, too. */
  token() {
    const fresh = this.#renewing || (this.#fresh && this.#kept === null);
    this.#given = fresh ? this.renew() : this.#ask({ shopper: this.#kept ?? this.#name });
    return this.#given;
  }

  /** Be somebody new from now on. */
  renew() {
    return (this.#given = this.#renewing ??= this.#renew().finally(() => (this.#renewing = null)));
  }

  async #renew() {
    const answer = await this.#ask({ shopper: this.#name, fresh: true });
    this.#keep(answer.shopper);
    return answer;
  }

  /** A question of this shopper's own; raises an Error with the server's words. */
  async get(path, options = {}) {
    const given = (this.#given ??= this.token());
    let token;
    try {
      ({ token } = await given);
    } catch (error) {
      if (this.#given === given) this.#given = null; // the next question asks for one again
      throw error;
    }
    return ask(path, { ...options, headers: { Authorization: `Bearer ${token}` } });
  }

  #ask(body) {
    return ask("/demo/token", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  }

  get #key() { return `shunxi.shopper.${this.#name}`; }

  // A browser may keep nothing: then who this is lasts as long as the page.
  get #kept() {
    try { return localStorage.getItem(this.#key) ?? this.#mine; } catch { return this.#mine; }
  }

  #keep(shopper) {
    this.#mine = shopper;
    try { localStorage.setItem(this.#key, shopper); } catch { /* as above */ }
  }
}
