// The REST API. Every request of the page is made here, so that signing in has one place.

const ROOT = new URL("api/v1/", document.baseURI);
let token = "";

/** From now on requests say who is asking; the token is forgotten with the page. */
export function signIn(bearer) {
  token = bearer;
}

export const get = async (path) => (await request("GET", path)).json();
export const getText = async (path) => (await request("GET", path)).text();
export const post = async (path, body) => (await request("POST", path, { body })).json();
export const remove = (path) => request("DELETE", path);

/** The events of a turn as [kind, data], to the end; throws when it failed or was cut off. */
export async function* ask(conversation, question, signal) {
  const response = await request("POST", `conversations/${conversation}/messages`, {
    body: question, accept: "text/event-stream", signal,
  });
  for await (const [kind, data] of frames(response.body)) {
    if (kind === "failed") throw new Problem(data, 500);
    yield [kind, data];
    if (kind === "completed") return;
  }
  throw new Error("The answer broke off before its end.");
}

/** What the server says went wrong, as a sentence. */
export class Problem extends Error {
  constructor(body, status) {
    super(body?.detail || body?.title || `The server answered with status ${status}.`);
    this.status = body?.status ?? status;
  }
}

async function request(method, path, { body, accept = "application/json", signal } = {}) {
  const headers = { Accept: accept };
  if (body) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  const options = { method, headers, signal, body: body && JSON.stringify(body) };
  const response = await fetch(new URL(path, ROOT), options).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Error("The server cannot be reached. Is “ibid serve” still running?");
  });
  if (!response.ok) throw new Problem(await response.json().catch(() => null), response.status);
  return response;
}

async function* frames(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new Error("The connection was lost before the answer was complete.");
    });
    if (done) return;
    const parts = (held + value).split(/\r?\n\r?\n/);
    held = parts.pop();
    yield* parts.map(frame).filter(Boolean);
  }
}

function frame(text) {
  const field = (name) => text.split(/\r?\n/)
    .filter((line) => line.startsWith(`${name}:`))
    .map((line) => line.slice(name.length + 1).replace(/^ /, ""))
    .join("\n");
  const data = field("data");
  return data && [field("event"), JSON.parse(data)];
}
