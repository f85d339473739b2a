// Questions to the shop's own server, and what to do while it is away.

const AGAIN_MS = 4_000;

/** The JSON of an address. Raises an Error with the server's words, code and status; `temporary`: asking again may help. */
export async function ask(path, options) {
  let response, answer;
  try {
    response = await fetch(path, options);
    answer = await response.json();
  } catch (cause) {
    if (!response || response.status > 500) throw Object.assign(new Error("The server cannot be reached.", { cause }), { temporary: true });
    throw cause;
  }
  if (!response.ok) throw Object.assign(new Error(answer.error?.message ?? `status ${response.status}`), answer.error, { status: response.status });
  return answer;
}

/** Call `act` whenever a client is connected again, and every few seconds; the function that comes back ends it. */
export function again(client, act) {
  const back = ({ detail }) => ["connected", "recovered"].includes(detail.state) && act();
  const timer = setInterval(() => document.visibilityState === "visible" && act(), AGAIN_MS);
  client.addEventListener("state", back);
  return () => {
    clearInterval(timer);
    client.removeEventListener("state", back);
  };
}

/** Ask until there is an answer. */
export function askUntil(client, path) {
  return new Promise((resolve, reject) => {
    let end = null;
    const attempt = async () => {
      try {
        resolve(await ask(path));
      } catch (error) {
        if (error.temporary) return void (end ??= again(client, attempt));
        reject(error);
      }
      end?.();
    };
    attempt();
  });
}
