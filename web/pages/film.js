// A demo film: drawings of products that move past, with a line of text each, and a clock that runs while it plays.

import { safeUrl } from "/shunxi.js";
import { make } from "./dom.js";
import { clockText } from "./words.js";

const STEP_MS = 200;
const DRIFT = [{ transform: "scale(1.02) translateX(-1.5%)" }, { transform: "scale(1.16) translateX(1.5%)" }];

/** {element, playing(), end()}. `scenes`: [{image_url, text, seconds}]; `changed()` whenever it starts or stops to play. */
export function film({ title, scenes, changed }) {
  const total = scenes.reduce((sum, { seconds }) => sum + seconds, 0);
  const image = make("img", { alt: "", width: 480, height: 480 });
  const caption = make("p", { className: "caption", "aria-live": "polite" });
  const button = make("button", { type: "button", className: "play", on: { click: () => set(!playing) } });
  const bar = make("progress", { max: total, value: 0, "aria-label": "How much has been played" });
  const time = make("span", { className: "time" });
  const element = make(
    "figure",
    { className: "film" },
    make("div", { className: "screen", on: { click: () => set(!playing) } }, image, caption),
    make("div", { className: "controls" }, button, bar, time),
    make("figcaption", { className: "note", text: "A demo film: drawings of this shop’s products with a text each, no sound. The clock runs while it plays." }),
  );
  const motion = matchMedia("(prefers-reduced-motion: reduce)").matches ? null : image.animate(DRIFT, { duration: 6_000, iterations: Infinity, direction: "alternate", easing: "ease-in-out" });
  motion?.pause();
  let [playing, at, shown, last] = [false, 0, -1, 0];
  const timer = setInterval(step, STEP_MS);
  const hidden = () => document.visibilityState === "hidden" && set(false); // nobody watches
  document.addEventListener("visibilitychange", hidden);
  draw();

  function set(wanted) {
    if (wanted === playing) return;
    if (wanted && at >= total) at = 0;
    playing = wanted;
    last = performance.now();
    if (playing) motion?.play();
    else motion?.pause();
    draw();
    changed();
  }

  function step() {
    if (!playing) return;
    const now = performance.now();
    at = Math.min(total, at + (now - last) / 1_000);
    last = now;
    if (at >= total) set(false);
    draw();
  }

  function draw() {
    let [scene, left] = [0, at];
    while (scene < scenes.length - 1 && left >= scenes[scene].seconds) left -= scenes[scene++].seconds;
    if (scene !== shown) {
      shown = scene;
      image.src = safeUrl(scenes[scene].image_url) ?? "";
      caption.textContent = scenes[scene].text;
    }
    const words = playing ? "Pause" : at >= total ? "Play again" : "Play";
    if (button.textContent !== words) {
      button.textContent = words;
      button.setAttribute("aria-label", `${words}: ${title}`);
    }
    element.dataset.playing = String(playing);
    bar.value = at;
    time.textContent = `${clockText(at)} / ${clockText(total)}`;
  }

  function end() {
    clearInterval(timer);
    motion?.cancel();
    document.removeEventListener("visibilitychange", hidden);
  }

  return { element, playing: () => playing, end };
}
