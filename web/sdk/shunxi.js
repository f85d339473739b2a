// Each part: shunxi.d.ts

const BACKOFF_S = [0.5, 20];
const STABLE_MS = 10_000; // then failures count anew
const GRACE_S = 10; // later than a ping: the server is gone
const CALL_MS = 5_000;
const RECOVERED_MS = 4_000;
const QUEUE_LIMIT = 1_000;
const BATCH = 50;
const FRAME_BYTES = 250_000; // a larger frame ends the connection
const KEEPALIVE_BYTES = 60_000; // of 64 KiB
const STORED_MS = 24 * 3_600_000; // the server knows an event_id as long
const CLICK_MS = 30 * 60_000;
const CLICKS = 100;
const SEEN_MS = 1_000; // the MRC's viewability
const GATHER_MS = 1_000;
const MAX_QUERY = 1_024; // the server's
const TOLD_LIMIT = 5_000;
const USES = ["personalization_storage", "analytics_storage", "ad_storage", "ad_personalization"];
const [SILENT, TOKEN_EXPIRED] = [4000, 4005];
const [TAB, BROWSER] = ["sessionStorage", "localStorage"];
const FIELDS = "items value currency search_term transaction_id consent context".split(" ");

export function uuid7(now = Date.now()) {
  const hex = (number, digits) => number.toString(16).padStart(digits, "0");
  const digits = crypto.getRandomValues(new Uint8Array(9)).reduce((before, byte) => before + hex(byte, 2), hex(Math.floor(now), 12));
  return digits.replace(/^(.{8})(.{4})(.{3})(.{3})/, "$1-$2-7$3-8$4-");
}

export class ShunxiError extends Error {
  constructor({ message, code = "internal", temporary = false, retry_after: retryAfter, field }) {
    super(message);
    Object.assign(this, { code, temporary, retryAfter, field });
  }
}

function placed(slate, id) {
  const index = slate.items.findIndex((item) => item.item_id === id);
  return { item_id: id, ...(index >= 0 && { index }) };
}

const lost = (message) => new ShunxiError({ message, code: "unavailable", temporary: true });

export class Shunxi extends EventTarget {
  #url; #getToken; #key;
  #socket = null; #live = false; #calls = new Map(); #lastId = 0; #pingS = 25; #attempt = 0; #openedAt = 0;
  #was = false; #state = "idle"; #timers = {};
  #identity; // {token, lifetime, who: {user_id, visitor_id}}
  #screens = new Map(); // placement → {n, itemId, listeners, slate, asked, had}
  #queue = []; #flushing = false; #session; #clicks; #consent = {}; #turn = 0; #naming = null;
  #impressions = new Impressions((slate, items) => this.track("view_item_list", { items, slate }));

  constructor({ token, url = location.origin, key = "shunxi", consent = {} }) {
    super();
    if (typeof token !== "function") throw new TypeError("token: give a function that returns one");
    this.#url = new URL(url, location.href).origin;
    this.#getToken = token;
    this.#key = key;
    this.#consent = { ...consent };
    this.#session = recall(TAB, `${key}.session`) ?? uuid7();
    this.#clicks = new Map(recall(TAB, `${key}.clicks`) ?? []);
    this.#remember([]);
    addEventListener("storage", ({ key: name, newValue }) => {
      const [user, choice] = (name === `${key}.consent` && JSON.parse(newValue)) || [];
      if (!user || user !== this.userId) return;
      Object.assign(this.#consent, choice);
      this.#remember([]);
    });
  }

  get state() { return this.#state; }
  get userId() { return this.#identity?.who.user_id; }
  get waiting() { return this.#queue.length; }

  start() {
    if (this.#state !== "idle" && this.#state !== "stopped") return this;
    keep(TAB, `${this.#key}.session`, (this.#session ??= uuid7()));
    this.#was = false;
    this.#attempt = 0;
    addEventListener("online", this.#hurry);
    addEventListener("pagehide", this.#leave);
    document.addEventListener("visibilitychange", this.#turned);
    this.#connect();
    return this;
  }

  stop({ forget = false } = {}) {
    if (forget) this.#forget();
    else this.#leave();
    this.#end();
    this.#drop(1000, "bye");
    this.#say("idle");
  }

  // -- lists
  subscribe(placement, { n = 20, itemId = null } = {}, listener = () => {}) {
    const listen = (slate) => listener({ ...slate, items: slate.items.slice(0, n) });
    let screen = this.#screens.get(placement);
    if (!screen) this.#screens.set(placement, (screen = { n: 0, itemId, listeners: new Set() }));
    const other = screen.itemId !== itemId;
    if (other) Object.assign(screen, { itemId, slate: null, had: 0 });
    if (screen.slate) listen(screen.slate);
    screen.listeners.add(listen);
    if (other || screen.n < n) {
      Object.assign(screen, { n: Math.max(screen.n, n), slate: null }); // longer, of the same version
      if (this.#live) this.#ask(placement, screen);
    }
    return () => {
      screen.listeners.delete(listen);
      if (screen.listeners.size || this.#screens.get(placement) !== screen) return;
      this.#screens.delete(placement);
      clearTimeout(screen.again);
      if (this.#live) this.#call("unsubscribe", { placement }).catch(() => {}); // lost: so is the screen
    };
  }

  async #ask(placement, screen) {
    const asked = (screen.asked = this.#lastId + 1);
    screen.deaf = true;
    try {
      await this.#call("subscribe", { placement, n: screen.n, item_id: screen.itemId ?? undefined }, () => {
        if (screen.asked === asked) Object.assign(screen, { had: screen.n, deaf: false });
      });
    } catch (error) {
      if (this.#screens.get(placement) !== screen || screen.asked !== asked || !this.#live) return;
      if (error.temporary) screen.again = setTimeout(() => this.#live && this.#ask(placement, screen), (error.retryAfter ?? 1) * 1_000);
      else if (screen.had) Object.assign(screen, { n: screen.had, deaf: false }); // what was subscribed still is
      this.#tell("error", Object.assign(error, { placement }));
    }
  }

  #take(slate) {
    const screen = this.#screens.get(slate?.placement);
    if (!screen || screen.deaf) return;
    if (screen.slate?.epoch === slate.epoch && slate.version <= screen.slate.version) return; // newest wins
    screen.slate = slate;
    for (const listener of [...screen.listeners]) listener(slate);
    this.#tell("slate", slate);
  }

  // -- events
  track(name, { slate, ...fields } = {}) {
    for (const field of Object.keys(fields)) {
      if (!FIELDS.includes(field)) throw new TypeError(`track: no field ${field}; there are slate, ${FIELDS.join(", ")}`);
    }
    const items = (fields.items ?? []).map((item) => (typeof item === "string" ? { item_id: item } : item));
    const consent = { ...this.#consent, ...fields.consent };
    const attribution = slate ? { slate_id: slate.slate_id, version: slate.version } : this.#credit(items);
    const event = {
      event: name, event_id: uuid7(), session_id: this.#session, client_ts: new Date().toISOString(), ...fields, items,
      ...(attribution && { attribution }), ...(Object.keys(consent).length && { consent }),
    };
    if (!this.#session) return event; // of somebody forgotten
    if (this.#identity) Object.assign(event, this.#identity.who);
    if (slate && name === "select_item") this.#remember(items, attribution);
    this.#queue.push(event);
    this.#bound();
    this.#tell("track", event);
    queueMicrotask(() => this.#flush()); // what is tracked together travels together
    return event;
  }

  act(name, slate, itemId, { item, ...more } = {}) {
    const meant = !slate.search?.fallback; // else the words found nothing
    return this.track(name, { ...(meant && { search_term: slate.query }), ...more, slate, items: [{ ...placed(slate, itemId), ...item }] });
  }

  click(slate, itemId) { return this.act("select_item", slate, itemId); }

  setConsent(choice) {
    const fresh = USES.filter((use) => /^(granted|denied)$/.test(choice[use]) && this.#consent[use] !== choice[use]);
    for (const use of fresh) this.#consent[use] = choice[use];
    this.#remember([]);
    if (!fresh.length) return;
    keep(BROWSER, `${this.#key}.consent`, [this.userId, this.#consent]);
    keep(BROWSER, `${this.#key}.consent`, null); // other tabs heard it
    this.track("search"); // without words: counted as a choice
  }

  observe(element, slate, itemId) { this.#impressions.observe(element, slate, itemId); }
  unobserve(element) { this.#impressions.unobserve(element); }

  #credit(items) {
    const clicks = items.map(({ item_id: id }) => this.#clicks.get(id));
    const [first] = clicks;
    if (!first || clicks.some((click) => click?.slate_id !== first.slate_id || Date.now() - click.at > CLICK_MS)) return null;
    return { slate_id: first.slate_id, version: first.version };
  }

  #remember(items, attribution) {
    if (this.#consent[USES[0]] === "denied") this.#clicks.clear();
    else for (const { item_id: id } of items) {
      this.#clicks.delete(id);
      this.#clicks.set(id, { ...attribution, at: Date.now() });
    }
    this.#clicks = new Map([...this.#clicks].slice(-CLICKS));
    keep(TAB, `${this.#key}.clicks`, [...this.#clicks]);
  }

  #bound() {
    const count = this.#queue.length - QUEUE_LIMIT;
    if (count > 0) this.#tell("dropped", this.#queue.splice(0, count));
  }

  async #flush() {
    if (this.#flushing) return;
    this.#flushing = true;
    try {
      while (this.#queue.length && this.#live) {
        const batch = this.#queue.slice(0, BATCH);
        let answer, size;
        while ((size = bytes(this.#stamped(batch))) > FRAME_BYTES && batch.length > 1) batch.length >>= 1;
        try {
          if (size > FRAME_BYTES) throw new ShunxiError({ message: `${size} bytes. Give less context.`, code: "too_large" });
          answer = await this.#call("track", { events: this.#stamped(batch) });
        } catch (error) {
          if (!this.#live) break; // again after the next connect
          if (error.temporary) {
            await new Promise((resolve) => setTimeout(resolve, (error.retryAfter ?? 1) * 1_000));
            continue;
          }
          answer = { rejected: batch.map((_, index) => ({ index, code: error.code, message: error.message })) };
        }
        this.#done(batch);
        if (answer.rejected?.length) this.#tell("refused", answer.rejected.map((one) => ({ ...one, event: batch[one.index] })));
      }
    } finally {
      this.#flushing = false;
    }
  }

  #stamped(events) {
    const sent = new Date().toISOString();
    return events.map((event) => ({ ...this.#identity.who, ...event, sent_ts: sent }));
  }

  #done(events) {
    this.#queue = this.#queue.filter((event) => !events.includes(event));
  }

  // A beacon has no token.
  #leave = () => {
    this.#impressions.report();
    if (!this.#identity || !this.#queue.length) return;
    const others = (recall(BROWSER, `${this.#key}.queue`) ?? []).filter((event) => !this.#holds(event));
    keep(BROWSER, `${this.#key}.queue`, [...others, ...this.#stamped(this.#queue)].slice(-QUEUE_LIMIT));
    let room = KEEPALIVE_BYTES;
    const batch = this.#queue.filter((event) => {
      const size = bytes(event) + 200;
      return size < room && (room -= size);
    });
    if (batch.length) fetch(`${this.#url}/v1/events`, {
      method: "POST", keepalive: true, body: JSON.stringify({ events: this.#stamped(batch) }),
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${this.#identity.token}` },
    }).then((response) => response.ok && this.#done(batch), () => {});
  };

  #holds({ event_id: id }) { return this.#queue.some((event) => event.event_id === id); }

  #restore() {
    const stored = recall(BROWSER, `${this.#key}.queue`) ?? [];
    const mine = stored.filter((event) => event.user_id === this.userId);
    if (!mine.length) return;
    keep(BROWSER, `${this.#key}.queue`, stored.filter((event) => !mine.includes(event)));
    this.#queue.unshift(...mine.filter((event) => !this.#holds(event) && Date.now() - Date.parse(event.client_ts) < STORED_MS));
    this.#bound();
  }

  #forget() {
    this.#impressions.clear();
    this.#queue = [];
    this.#consent = {};
    this.#clicks.clear();
    this.#remember([]);
    this.#screens.forEach((screen) => (screen.slate = null));
    keep(BROWSER, `${this.#key}.queue`, null);
    keep(TAB, `${this.#key}.session`, (this.#session = null));
    this.#identity = null;
  }

  // -- questions
  async search(q, { track = true, ...wanted } = {}) {
    const body = question(q, { n: 20, ...wanted });
    if (track) this.track("search", { search_term: q });
    const slate = this.#live ? (await this.#call("search", body)).slate : await this.#get("/v1/search", body);
    return { ...slate, query: q };
  }

  async suggest(q, { n = 8, signal } = {}) { return this.#get("/v1/suggest", question(q, { n }), signal); }

  async #get(path, query, signal, identity = this.#identity) {
    const { token } = identity ?? (await this.#identify());
    let response, body;
    try {
      response = await fetch(`${this.#url}${path}?${new URLSearchParams(query)}`, { signal, headers: { Authorization: `Bearer ${token}` } });
      body = await response.json();
    } catch (error) {
      if (signal?.aborted) throw error;
      if (!response) throw lost(error.message);
    }
    if (response.ok && body) return body;
    const { status } = response;
    if (status === 401 && identity) return this.#get(path, query, signal, null); // it ran out
    throw new ShunxiError(body?.error?.message ? body.error : { message: `status ${status} without JSON`, code: "unreadable", temporary: status > 500 || status === 429 });
  }

  // -- the connection
  // one for all: two could name two users
  #identify() {
    const turn = this.#turn;
    return (this.#naming ??= this.#name(turn).finally(() => { if (this.#turn === turn) this.#naming = null; }));
  }

  async #name(turn) {
    const given = await this.#getToken();
    const { token, expires_in: expiresIn } = typeof given === "string" ? { token: given } : given;
    const { sub, visitor_id, iat, exp } = payload(token);
    const identity = { token, lifetime: expiresIn ?? exp - iat, who: { user_id: sub, ...(visitor_id && { visitor_id }) } };
    if (this.#turn !== turn) return identity; // stopped meanwhile
    if (this.#identity && this.userId !== sub) throw new ShunxiError({ message: "The token names another user. Make another client for them.", code: "another_user" });
    return (this.#identity = identity);
  }

  async #connect() {
    clearTimeout(this.#timers.retry);
    if (this.#state !== "reconnecting") this.#say(this.#was ? "reconnecting" : "connecting");
    const turn = this.#turn;
    let identity;
    try {
      identity = await this.#identify();
    } catch (error) {
      if (this.#turn !== turn) return;
      if (error.code === "another_user") this.#halt(error.message);
      else this.#again(error.message);
      return;
    }
    if (this.#turn !== turn) return;
    const socket = (this.#socket = new WebSocket(`${this.#url.replace(/^http/, "ws")}/v1/ws`, ["shunxi.v1"]));
    this.#listen(2 * CALL_MS);
    socket.onopen = () => this.#greet(socket, identity);
    socket.onmessage = ({ data }) => this.#hear(socket, data);
    socket.onclose = ({ code, reason }) => this.#lost(socket, code, reason);
  }

  async #greet(socket, { token }) {
    const resume = {};
    for (const [placement, { slate, itemId }] of this.#screens) if (slate && itemId === null) resume[placement] = { epoch: slate.epoch, version: slate.version };
    try {
      this.#pingS = (await this.#call("connect", { token, resume })).ping;
    } catch (error) {
      if (error.temporary) this.#lost(socket, SILENT, error.message); // else the closing frame says more
      return;
    }
    if (this.#socket !== socket) return;
    this.#live = true;
    this.#openedAt = performance.now();
    for (const [placement, screen] of this.#screens) this.#ask(placement, screen);
    this.#say(this.#was ? "recovered" : "connected");
    if (this.#was) this.#timers.calm = setTimeout(() => this.#say("connected"), RECOVERED_MS);
    this.#was = true;
    this.#renew(0.8);
    this.#restore();
    this.#flush();
  }

  #lost(socket, code, reason) {
    if (this.#socket !== socket) return;
    this.#drop(SILENT, "lost");
    if (code >= 4500 && code < 5000) {
      this.#halt(reason || String(code));
      return;
    }
    if (this.#openedAt && performance.now() - this.#openedAt > STABLE_MS) this.#attempt = 0;
    this.#openedAt = 0;
    if (code !== TOKEN_EXPIRED || this.#attempt) return this.#again(reason);
    this.#attempt = 1; // a new token is all it takes
    this.#connect();
  }

  // full jitter
  #again(reason) {
    const [low, high] = BACKOFF_S;
    const wait = Math.max(0.1, Math.random() * Math.min(high, low * 2 ** this.#attempt++));
    this.#say("reconnecting", { wait, reason });
    this.#timers.retry = setTimeout(() => this.#connect(), wait * 1_000);
  }

  #halt(reason) {
    this.#end();
    this.#say("stopped", { reason });
  }

  #end() {
    this.#anew();
    clearTimeout(this.#timers.retry);
    removeEventListener("online", this.#hurry);
    removeEventListener("pagehide", this.#leave);
    document.removeEventListener("visibilitychange", this.#turned);
  }

  #hurry = () => {
    if (this.#socket || this.#state !== "reconnecting") return;
    this.#anew(); // the token may hang
    this.#connect();
  };

  #anew() {
    this.#turn += 1;
    this.#naming = null;
  }

  #turned = () => {
    const seen = document.visibilityState === "visible";
    this.#impressions.turn(seen);
    if (seen) this.#hurry();
  };

  #drop(code, reason) {
    const socket = this.#socket;
    this.#socket = null;
    this.#live = false;
    Object.values(this.#timers).forEach(clearTimeout);
    for (const screen of this.#screens.values()) clearTimeout(screen.again);
    for (const { reject, timer } of this.#calls.values()) {
      clearTimeout(timer);
      reject(lost("the connection was lost"));
    }
    this.#calls.clear();
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code, reason);
  }

  #listen(ms) {
    clearTimeout(this.#timers.silence);
    const socket = this.#socket;
    this.#timers.silence = setTimeout(() => this.#lost(socket, SILENT, "silence"), ms);
  }

  #renew(share) {
    this.#timers.renew = setTimeout(async () => {
      const socket = this.#socket;
      let next = 0.8;
      try {
        const { token } = await this.#identify();
        await this.#call("refresh", { token });
      } catch {
        next = 0.05;
      }
      if (this.#socket === socket && this.#live) this.#renew(next);
    }, Math.min(2 ** 31 - 1, this.#identity.lifetime * share * 1_000)); // a longer timer would fire at once
  }

  // -- frames
  #call(name, body, arrived) {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return Promise.reject(lost("not connected"));
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#calls.delete(id);
        reject(lost(`no answer to ${name}`));
      }, CALL_MS);
      this.#calls.set(id, { name, resolve, reject, timer, arrived });
      socket.send(JSON.stringify({ id, [name]: body }));
    });
  }

  #hear(socket, data) {
    this.#listen((this.#pingS + GRACE_S) * 1_000);
    const frame = JSON.parse(data);
    if (frame.push) this.#take(frame.push.slate);
    else if (frame.id !== undefined) this.#settle(frame);
    else if (Object.keys(frame).length === 0) socket.send("{}");
  }

  #settle({ id, error, ...answer }) {
    const call = this.#calls.get(id);
    if (!call) return;
    this.#calls.delete(id);
    clearTimeout(call.timer);
    if (error) return call.reject(new ShunxiError(error));
    call.arrived?.();
    call.resolve(answer[call.name] ?? {});
  }

  #say(state, more = {}) {
    this.#state = state;
    this.#tell("state", { state, ...more });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

class Impressions {
  #tell; #cards = new Map(); #told = new Set(); #ready = new Map(); #gather = 0;
  #observer = new IntersectionObserver((entries) => entries.forEach((entry) => this.#look(entry)), { threshold: 0.5 });

  constructor(tell) { this.#tell = tell; }

  observe(element, slate, itemId) {
    const card = this.#cards.get(element);
    if (card?.slate.slate_id === slate.slate_id && card.itemId === itemId) return;
    this.unobserve(element);
    this.#cards.set(element, { slate, itemId });
    this.#observer.observe(element);
  }

  unobserve(element) {
    clearTimeout(this.#cards.get(element)?.timer);
    this.#cards.delete(element);
    this.#observer.unobserve(element);
  }

  turn(front) {
    for (const card of this.#cards.values()) {
      clearTimeout(card.timer);
      if (front && card.half) this.#wait(card);
    }
    if (!front) this.report();
  }

  clear() {
    this.turn(false);
    this.#cards.clear();
  }

  report() {
    clearTimeout(this.#gather);
    this.#gather = 0;
    this.#ready.forEach(({ slate, items }) => this.#tell(slate, items));
    this.#ready.clear();
  }

  #look({ target, isIntersecting }) {
    const card = this.#cards.get(target);
    if (!card) return;
    clearTimeout(card.timer);
    card.half = isIntersecting;
    if (isIntersecting && document.visibilityState === "visible") this.#wait(card);
  }

  #wait(card) {
    const { slate, itemId } = card;
    const key = `${slate.slate_id} ${itemId}`;
    card.timer = setTimeout(() => {
      if (this.#told.has(key)) return;
      if (this.#told.size >= TOLD_LIMIT) this.#told.clear();
      this.#told.add(key);
      const ready = this.#ready.get(slate.slate_id) ?? { slate, items: [] };
      this.#ready.set(slate.slate_id, { slate, items: [...ready.items, placed(slate, itemId)] });
      this.#gather ||= setTimeout(() => this.report(), GATHER_MS);
    }, SEEN_MS);
  }
}

// -- <shunxi-list>
const UNSEEN = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap";

export function defineList(client, name = "shunxi-list") {
  const List = class extends ShunxiList {};
  List.prototype.fallback = client;
  customElements.define(name, List);
  return List;
}

export class ShunxiList extends (globalThis.HTMLElement ?? Object) {
  static observedAttributes = ["placement", "n", "item-id"];
  render = renderCard;
  pick = () => true;
  slate = null;
  #client; #end; #list = document.createElement("ol"); #said = document.createElement("p"); #rows = new Map(); #aloud = 0; #asked = false;

  get client() { return this.#client ?? this.fallback; }
  set client(client) {
    this.#client = client;
    this.#restart();
  }

  connectedCallback() {
    this.#said.setAttribute("role", "status");
    this.#said.style.cssText = UNSEEN;
    for (const type of ["click", "auxclick"]) this.#list.addEventListener(type, this.#clicked);
    this.append(this.#list, this.#said);
    this.#restart();
  }

  disconnectedCallback() { this.#stop(); }
  attributeChangedCallback() { this.#restart(); }

  #restart() {
    if (this.#asked) return; // several attributes set together are one wish
    this.#asked = true;
    queueMicrotask(() => {
      this.#asked = false;
      this.#stop();
      if (!this.isConnected || !this.client) return;
      const [placement, n, itemId] = ShunxiList.observedAttributes.map((name) => this.getAttribute(name));
      if (!placement) return;
      this.dataset.state = "waiting";
      this.#end = this.client.subscribe(placement, { n: Number(n ?? 20), itemId }, (slate) => this.show(slate));
    });
  }

  #stop() {
    this.#end?.();
    this.#end = null;
    for (const { li } of this.#rows.values()) this.client?.unobserve(li);
    this.#rows.clear();
    this.#list.replaceChildren();
    this.slate = null;
  }

  show(slate) {
    const first = this.slate === null;
    const focused = this.#focused();
    const boxes = matchMedia("(prefers-reduced-motion: reduce)").matches ? null : new Map([...this.#rows].map(([id, { li }]) => [id, li.getBoundingClientRect()]));
    const items = slate.items.filter(this.pick);
    const listed = new Set(items.map((item) => item.item_id));
    let gone = 0;
    for (const [id, { li }] of this.#rows) {
      if (listed.has(id)) continue;
      this.client?.unobserve(li);
      li.remove();
      this.#rows.delete(id);
      gone += 1;
    }
    this.slate = slate;
    this.dataset.state = items.length ? "shown" : "empty";
    items.forEach((item, index) => this.#place(item, index, slate));
    this.#refocus(focused);
    if (boxes && !first) this.#play(boxes);
    if (gone && !first) this.#speak(gone);
    this.dispatchEvent(new CustomEvent("shunxi-slate", { detail: slate, bubbles: true }));
  }

  #place(item, index, slate) {
    const row = this.#rows.get(item.item_id) ?? { li: document.createElement("li") };
    const card = JSON.stringify(item.item);
    const made = this.render(item, { index, slate, known: row.card === card ? row.made : undefined });
    if (row.made !== made) row.li.replaceChildren(made);
    row.li.dataset.itemId = item.item_id;
    Object.assign(row, { made, card, index });
    this.#rows.set(item.item_id, row);
    if (this.#list.children[index] !== row.li) this.#list.insertBefore(row.li, this.#list.children[index] ?? null);
    this.client?.observe(row.li, slate, item.item_id);
  }

  #clicked = (event) => {
    const control = event.target.closest("a[href], [data-shunxi-click]");
    const id = control?.closest("li[data-item-id]")?.dataset.itemId;
    if (id === undefined || (event.type === "auxclick" && event.button !== 1)) return;
    this.client.click(this.slate, id);
    const item = this.slate.items.find((one) => one.item_id === id);
    const detail = { item, slate: this.slate };
    if (!this.dispatchEvent(new CustomEvent("shunxi-click", { detail, bubbles: true, cancelable: true }))) event.preventDefault();
  };

  #focused() {
    const control = document.activeElement;
    const id = this.#list.contains(control) ? control.closest("li[data-item-id]")?.dataset.itemId : undefined;
    return id === undefined ? null : { control, id, index: this.#rows.get(id)?.index ?? 0 };
  }

  #refocus(focused) {
    if (!focused || document.activeElement === focused.control) return;
    const { children } = this.#list;
    const li = this.#rows.get(focused.id)?.li ?? children[Math.min(focused.index, children.length - 1)];
    (li?.contains(focused.control) ? focused.control : li?.querySelector("a[href], button"))?.focus({ preventScroll: true });
  }

  #play(boxes) {
    for (const [id, { li }] of this.#rows) {
      for (const animation of li.getAnimations()) animation.cancel();
      const [last, start] = [li.getBoundingClientRect(), boxes.get(id)];
      const [x, y] = [start?.left - last.left, start?.top - last.top];
      if (!start) li.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 320, easing: "ease-out" });
      else if (Math.abs(x) > 1 || Math.abs(y) > 1) li.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], { duration: 480, easing: "cubic-bezier(.2,.8,.2,1)" });
    }
  }

  #speak(gone) {
    clearTimeout(this.#aloud);
    this.#aloud = setTimeout(() => {
      const [top] = this.slate?.items ?? [];
      if (top) this.#said.textContent = `List changed: ${gone} new. First now: ${top.item?.title || top.item_id}`;
    }, 1_000);
  }
}

function renderCard(item, { known }) {
  if (known) return known;
  const card = item.item ?? {};
  const link = Object.assign(document.createElement("a"), { href: safeUrl(card.url) ?? "#" });
  const picture = safeUrl(card.image_url);
  if (picture) link.append(Object.assign(document.createElement("img"), { src: picture, alt: "", loading: "lazy" }));
  for (const [part, text] of [["title", card.title || item.item_id], ["price", money(card.price, card.currency)]]) {
    link.append(" ", Object.assign(document.createElement("span"), { className: part, textContent: text }));
  }
  return link;
}

export function safeUrl(url) {
  try {
    return url && /^https?:$/.test(new URL(url, location.href).protocol) ? url : null;
  } catch {
    return null;
  }
}

const formats = {}; // dear to make

export function money(price, currency) {
  if (typeof price !== "number") return "";
  const lang = document.documentElement.lang || "en";
  const style = /^[A-Z]{3}$/.test(currency) ? { style: "currency", currency } : { minimumFractionDigits: 2 };
  return (formats[lang + currency] ??= new Intl.NumberFormat(lang, style)).format(price);
}

// -- GA4
const GA4 = "view_item_list select_item view_item add_to_cart remove_from_cart add_to_wishlist purchase search share".split(" ");

export function bridgeDataLayer(client, { layer = (globalThis.dataLayer ??= []), skip = ["select_item", "view_item_list"] } = {}) {
  const take = (entry) => {
    if (!entry || typeof entry !== "object") return; // GTM takes functions, too
    const said = "length" in entry ? [...entry] : ["event", entry.event, { ...entry, ...entry.ecommerce }];
    const [command, name, body] = said;
    if (command === "consent" && name === "update") client.setConsent(body); // a default is nobody's choice
    if (command !== "event" || !GA4.includes(name) || skip.includes(name)) return;
    const { items, value, currency, transaction_id, search_term } = body ?? {};
    const known = [items ?? []].flat().filter((item) => item?.item_id !== undefined).slice(0, 200).map((item) => ({
      item_id: String(item.item_id), ...numbers(item, "index", "price", "quantity"),
    }));
    if (!known.length && name !== "search") return;
    const fields = { items: known, ...numbers({ value }, "value") };
    for (const [field, text] of Object.entries({ currency, transaction_id, search_term })) if (text != null) fields[field] = String(text);
    client.track(name, fields);
  };
  [...layer].forEach(take);
  const push = layer.push;
  layer.push = function (...entries) {
    entries.forEach(take);
    return push.apply(this, entries);
  };
  return () => { layer.push = push; };
}

// GA4 takes "19.90"
function numbers(from, ...names) {
  const found = names.map((name) => [name, Number(from[name] ?? NaN)]);
  return Object.fromEntries(found.filter(([name, value]) => Number.isFinite(value) && (name === "value" || value >= 0)));
}

function question(q, wanted) {
  const { length } = [...(q ?? "")];
  if (!length || length > MAX_QUERY) throw new ShunxiError({ message: `q has ${length} characters. Give 1 to ${MAX_QUERY}.`, code: "invalid_field", field: "q" });
  return Object.fromEntries(Object.entries({ ...wanted, q }).filter(([, value]) => value != null));
}

const bytes = (told) => new Blob([JSON.stringify(told)]).size;

function payload(token) {
  try {
    const base64 = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))));
  } catch {
    throw new ShunxiError({ message: "token() gave no JWT. Give what POST /v1/tokens answers.", code: "invalid_token" });
  }
}

// A browser may keep nothing: it throws.
function recall(kind, name) {
  try { return JSON.parse(globalThis[kind].getItem(name)); } catch { return null; }
}
function keep(kind, name, value) {
  try {
    globalThis[kind].removeItem(name); // no room: rather nothing than something old
    if (value !== null) globalThis[kind].setItem(name, JSON.stringify(value));
  } catch {}
}
