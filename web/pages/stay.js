// How long somebody has really been at something. Told as it grows, and when it ends.
//
// A second counts while the page is visible and has the focus, and somebody has moved, typed or scrolled within a minute.
// A film counts while it plays. So what is told is never more than what happened; a clock that stood still, as when the
// computer slept, adds nothing.

const STEP_MS = 500;
const MOST_MS = 2_000; // between two steps: more than that is a sleep
const IDLE_MS = 60_000;
const FIRST_S = 5; // then at twice as much each time: an event a second would be noise
const LEAST_S = 1; // of news at the end
const MORE = 1.5; // ... than was told, when the page is put away for a while: each telling makes a new list
const COMPLETE = 0.9; // as the server has it

const SIGNS_OF_LIFE = ["pointermove", "pointerdown", "keydown", "scroll", "touchstart"];

export class Stay {
  #tell; #shown; #counts; #goal; #spent = 0; #told = 0; #next = FIRST_S; #on = false; #at; #alive; #ends = new AbortController(); #timer; #leaving;

  /**
   * `tell(seconds)`: so many so far, to be sent; `shown(seconds, counting)`: twice a second. `length`: of all of it, in
   * seconds; 0: nobody knows. `counts()`: what else has to hold, as that a film plays; then nobody has to move.
   * `leaving`: a set of what is called when the page ends.
   */
  constructor({ tell, shown = () => {}, length = 0, counts = null, leaving }) {
    this.#tell = tell;
    this.#shown = shown;
    this.#counts = counts;
    this.#leaving = leaving;
    this.#goal = length * COMPLETE;
    this.#at = this.#alive = performance.now();
    const signal = this.#ends.signal;
    const step = () => this.step();
    for (const type of ["focus", "blur"]) addEventListener(type, step, { signal });
    for (const type of SIGNS_OF_LIFE) addEventListener(type, () => (this.#alive = performance.now()), { signal, passive: true, capture: true });
    document.addEventListener("visibilitychange", () => this.#turned(), { signal, capture: true });
    leaving.add(this.#last);
    this.#timer = setInterval(step, STEP_MS);
    this.step();
  }

  get seconds() { return Math.round(this.#spent / 100) / 10; }

  /** Count until now; to be called when something that `counts` changes, too. */
  step() {
    const now = performance.now();
    if (this.#on) this.#spent += Math.min(MOST_MS, now - this.#at);
    this.#at = now;
    const awake = this.#counts ? this.#counts() : now - this.#alive < IDLE_MS;
    this.#on = awake && document.visibilityState === "visible" && document.hasFocus();
    this.#shown(this.seconds, this.#on);
    const done = this.#goal > 0 && this.#told < this.#goal && this.seconds >= this.#goal;
    if (done || this.seconds >= this.#next) this.#say();
  }

  /** `seen`: whether it was ever shown. */
  end({ seen = true } = {}) {
    if (seen) this.#last();
    clearInterval(this.#timer);
    this.#ends.abort();
    this.#leaving.delete(this.#last);
  }

  #turned() {
    this.step();
    if (document.visibilityState === "hidden" && this.seconds >= MORE * this.#told) this.#last(); // a phone may never come back
  }

  #last = () => {
    this.step();
    if (this.seconds - this.#told >= LEAST_S) this.#say();
  };

  #say() {
    this.#told = this.seconds;
    while (this.#next <= this.#told) this.#next *= 2;
    this.#tell(this.#told);
  }
}
