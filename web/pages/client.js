// One shopper's connection: websocket `shunxi.v1` with resume. A message can be lost, a list cannot: after every
// reconnect the newest list comes, and one that is not newer than what is shown is dropped.
//
// Events of the client: "state" {state, wait, reason}, "slate" (the slate), "refused" (rejections of events).
// States: connecting → connected; reconnecting → recovered → connected; stopped (reconnecting would not help).

const BACKOFF_LOW_S = 0.5;
const BACKOFF_HIGH_S = 20;
const STABLE_MS = 10_000; // a connection must last this long to make the next failure a first one
const GRACE_S = 10; // silence for longer than the announced ping interval plus this: the server is gone
const CALL_MS = 5_000;
const QUEUE_LIMIT = 1_000; // events that wait for a connection; the oldest go first
const BATCH = 50;
const RECOVERED_MS = 4_000;
const TOKEN_EXPIRED = 4005;
const SILENT = 4000;

export class Client extends EventTarget {
  #url; #token; #placement; #n;
  #socket = null; #calls = new Map(); #lastId = 0;
  #position = null; #queue = []; #flushing = false;
  #attempt = 0; #wasConnected = false; #stopped = true; #openedAt = 0; #pingS = 25;
  #retry = 0; #silence = 0; #calmDown = 0; #refresh = 0; #expiresIn = 0;

  /** `token()` → {token, expires_in}, asked for whenever one is needed. */
  constructor({ url, token, placement = "home", n = 12 }) {
    super();
    this.#url = url;
    this.#token = token;
    this.#placement = placement;
    this.#n = n;
  }

  start() {
    this.#stopped = false;
    addEventListener("online", this.#hurry);
    this.#connect();
  }

  stop() {
    this.#stopped = true;
    removeEventListener("online", this.#hurry);
    for (const timer of [this.#retry, this.#silence, this.#calmDown, this.#refresh]) clearTimeout(timer);
    this.#drop(1000, "bye");
  }

  /** Queue events; they are sent in order, again with the same ids after a lost connection, until acknowledged. */
  track(events) {
    this.#queue.push(...events);
    if (this.#queue.length > QUEUE_LIMIT) this.#queue.splice(0, this.#queue.length - QUEUE_LIMIT);
    this.#flush();
  }

  get waiting() {
    return this.#queue.length;
  }

  // ------------------------------------------------------------------ connecting
  async #connect() {
    this.#say(this.#wasConnected ? "reconnecting" : "connecting");
    let credentials;
    try {
      credentials = await this.#token();
    } catch (error) {
      if (!this.#stopped) this.#again(error.message);
      return;
    }
    if (this.#stopped) return;
    this.#expiresIn = credentials.expires_in;
    const socket = new WebSocket(this.#url, ["shunxi.v1"]);
    this.#socket = socket;
    this.#listenFor(2 * CALL_MS);
    socket.onopen = () => this.#greet(socket, credentials.token);
    socket.onmessage = (message) => this.#hear(socket, message.data);
    socket.onclose = (event) => this.#lost(socket, event.code, event.reason);
  }

  async #greet(socket, token) {
    const resume = this.#position ? { [this.#placement]: this.#position } : {};
    try {
      const { ping } = await this.#call("connect", { token, resume });
      this.#pingS = ping;
      await this.#call("subscribe", { placement: this.#placement, n: this.#n });
    } catch (error) {
      if (this.#socket === socket) this.#lost(socket, SILENT, error.message);
      return;
    }
    if (this.#socket !== socket) return;
    this.#openedAt = performance.now();
    this.#say(this.#wasConnected ? "recovered" : "connected");
    if (this.#wasConnected) this.#calmDown = setTimeout(() => this.#say("connected"), RECOVERED_MS);
    this.#wasConnected = true;
    this.#keepToken();
    this.#flush();
  }

  #lost(socket, code, reason) {
    if (this.#socket !== socket) return;
    this.#drop(SILENT, "lost");
    if (this.#stopped) return;
    if (code >= 4500 && code < 5000) {
      this.#stopped = true;
      this.#say("stopped", { reason: reason || String(code) });
      return;
    }
    if (this.#openedAt && performance.now() - this.#openedAt > STABLE_MS) this.#attempt = 0;
    this.#openedAt = 0;
    if (code === TOKEN_EXPIRED && this.#attempt === 0) {
      this.#attempt = 1; // a new token is all it takes, unless that fails too
      this.#connect();
    } else {
      this.#again(reason);
    }
  }

  /** Full jitter (M. Brooker, "Exponential Backoff and Jitter"): any moment up to a doubling limit. */
  #again(reason) {
    const limit = Math.min(BACKOFF_HIGH_S, BACKOFF_LOW_S * 2 ** this.#attempt);
    const wait = Math.max(0.1, Math.random() * limit);
    this.#attempt += 1;
    this.#say("reconnecting", { wait, reason });
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#connect(), wait * 1000);
  }

  #hurry = () => {
    if (this.#socket || this.#stopped) return;
    clearTimeout(this.#retry);
    this.#connect();
  };

  #drop(code, reason) {
    const socket = this.#socket;
    this.#socket = null;
    for (const timer of [this.#silence, this.#calmDown, this.#refresh]) clearTimeout(timer);
    for (const { reject, timer } of this.#calls.values()) {
      clearTimeout(timer);
      reject(new Error("the connection was lost"));
    }
    this.#calls.clear();
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(code, reason);
    }
  }

  #listenFor(ms) {
    clearTimeout(this.#silence);
    const socket = this.#socket;
    this.#silence = setTimeout(() => this.#lost(socket, SILENT, "silence"), ms);
  }

  #keepToken() {
    clearTimeout(this.#refresh);
    this.#refresh = setTimeout(async () => {
      try {
        const { token, expires_in: expiresIn } = await this.#token();
        this.#expiresIn = expiresIn;
        await this.#call("refresh", { token });
        this.#keepToken();
      } catch {
        // The old token runs out and the server closes with 4005; then a new one is asked for.
      }
    }, this.#expiresIn * 800);
  }

  // ------------------------------------------------------------------ frames
  #call(name, body) {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return Promise.reject(new Error("not connected"));
    const id = (this.#lastId += 1);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#calls.delete(id);
        reject(new Error(`no answer to ${name}`));
      }, CALL_MS);
      this.#calls.set(id, { resolve, reject, timer });
      socket.send(JSON.stringify({ id, [name]: body }));
    });
  }

  #hear(socket, data) {
    this.#listenFor((this.#pingS + GRACE_S) * 1000);
    const frame = JSON.parse(data);
    if (frame.push) {
      this.#take(frame.push.slate);
    } else if (frame.id !== undefined) {
      this.#settle(frame);
    } else if (Object.keys(frame).length === 0) {
      socket.send("{}");
    }
  }

  #settle(frame) {
    const call = this.#calls.get(frame.id);
    if (!call) return;
    this.#calls.delete(frame.id);
    clearTimeout(call.timer);
    if (frame.error) call.reject(Object.assign(new Error(frame.error.message), frame.error));
    else call.resolve(Object.entries(frame).find(([name]) => name !== "id")?.[1] ?? {});
  }

  #take(slate) {
    const seen = this.#position;
    if (!slate || slate.placement !== this.#placement) return;
    if (seen && seen.epoch === slate.epoch && slate.version <= seen.version) return; // newest wins
    this.#position = { epoch: slate.epoch, version: slate.version };
    this.dispatchEvent(new CustomEvent("slate", { detail: slate }));
  }

  // ------------------------------------------------------------------ events on their way
  async #flush() {
    if (this.#flushing) return;
    this.#flushing = true;
    try {
      while (this.#queue.length && this.#socket?.readyState === WebSocket.OPEN && this.#openedAt) {
        const batch = this.#queue.slice(0, BATCH);
        const sent = new Date().toISOString();
        let answer;
        try {
          answer = await this.#call("track", { events: batch.map((event) => ({ ...event, sent_ts: sent })) });
        } catch (error) {
          if (error.temporary === undefined) break; // no answer: they are sent again after the next connect
          if (error.temporary) {
            await new Promise((resolve) => setTimeout(resolve, (error.retry_after ?? 1) * 1000));
            continue;
          }
          answer = { rejected: batch.map((_, index) => ({ index, message: error.message })) };
        }
        const done = new Set(batch);
        this.#queue = this.#queue.filter((event) => !done.has(event));
        if (answer.rejected?.length) {
          const refused = answer.rejected.map((one) => ({ ...one, event: batch[one.index] }));
          this.dispatchEvent(new CustomEvent("refused", { detail: refused }));
        }
      }
    } finally {
      this.#flushing = false;
    }
  }

  #say(state, more = {}) {
    this.dispatchEvent(new CustomEvent("state", { detail: { state, ...more } }));
  }
}
