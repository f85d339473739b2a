// Who this page is, for the demo server: a shopper without a login, whose token it hands to this page. A real shop asks
// its own backend, which asks POST /v1/tokens.

import { ask } from "./ask.js";

export class Who {
  #name; #mine = null; #making = null; #given = null;

  /** `name`: the first part of the shopper's id, and where the browser keeps it. At first somebody never seen before. */
  constructor(name) {
    this.#name = name;
  }

  /** What the SDK asks for: {token, expires_in}. Who asks while somebody new is being made gets their token, too. */
  token() {
    const here = this.#here;
    return (this.#given = here === null ? this.#make() : this.#ask({ shopper: here }));
  }

  /** Be nobody: the next token is for whom another tab has become meanwhile, else for somebody new. */
  forget() {
    if (this.#kept === this.#mine) this.#keep(null);
    this.#mine = this.#making = this.#given = null;
  }

  /** Call `act` when another tab of this browser has become somebody else. */
  followed(act) {
    addEventListener("storage", ({ key, newValue }) => key === this.#key && newValue && this.#mine && newValue !== this.#mine && act());
  }

  /** A question of this shopper's own; raises an Error with the server's words. */
  async get(path, options = {}, again = true) {
    const given = (this.#given ??= this.token());
    const drop = () => { if (this.#given === given) this.#given = null; }; // the next question asks for one
    let token;
    try {
      ({ token } = await given);
    } catch (error) {
      drop();
      throw error;
    }
    try {
      return await ask(path, { ...options, headers: { Authorization: `Bearer ${token}` } });
    } catch (error) {
      if (error.status !== 401) throw error;
      drop();
      if (again) return this.get(path, options, false); // it ran out, as while the machine slept
      throw error;
    }
  }

  #make() {
    if (this.#making) return this.#making;
    const wanted = () => this.#making === making; // else this page was told to be nobody meanwhile
    const making = this.#ask({ shopper: this.#name, fresh: true })
      .then((answer) => {
        if (wanted()) this.#keep((this.#mine = answer.shopper));
        return answer;
      })
      .finally(() => { if (wanted()) this.#making = null; });
    return (this.#making = making);
  }

  #ask(body) {
    return ask("/demo/token", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  }

  get #key() { return `shunxi.shopper.${this.#name}`; }

  // This tab's own comes first: another tab may have become somebody else.
  get #here() { return (this.#mine ??= this.#kept); }

  // A browser may keep nothing: then who this is lasts as long as the page.
  get #kept() {
    try { return localStorage.getItem(this.#key); } catch { return null; }
  }

  #keep(shopper) {
    try {
      if (shopper === null) localStorage.removeItem(this.#key);
      else localStorage.setItem(this.#key, shopper);
    } catch { /* as above */ }
  }
}
