// Requests to the REST API. All requests of the page are made here, so that only this file needs the token.

const ROOT = new URL("api/v1/", document.baseURI);
let token = "";

/** Send this token with all later requests. It is not stored. */
export function setToken(value) {
  token = value;
}

export const get = async (path) => (await request("GET", path)).json();
export const getText = async (path) => (await request("GET", path)).text();
export const post = async (path, body) => (await request("POST", path, { body })).json();
export const remove = (path) => request("DELETE", path);

/** Yield the events of an answer as [kind, data]. Throw an error if it fails or the stream ends early. */
export async function* ask(conversation, question, signal) {
  const response = await request("POST", `conversations/${conversation}/messages`, {
    body: question, accept: "text/event-stream", signal,
  });
  for await (const [kind, data] of frames(response.body)) {
    if (kind === "failed") throw new Problem(data, 500);
    yield [kind, data];
    if (kind === "completed") return;
  }
  throw new Error("The answer ended before it was complete.");
}

/** An error with the message of a problem that the server sent. */
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
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new Error("The connection was lost before the answer was complete.");
    });
    if (done) return;
    const parts = (buffer + value).split(/\r?\n\r?\n/);
    buffer = parts.pop();
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
